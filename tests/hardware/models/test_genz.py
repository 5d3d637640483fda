"""A platform with round numbers, and the arithmetic of the card."""

from dataclasses import replace

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.language_model import LLAMA2_7B, LLAMA2_70B, LanguageModel
from archip.hardware.models.genz import Genz

TINY = LanguageModel(n_layers=2, hidden=8, n_heads=4, n_kv_heads=2, ffn=16, vocabulary=10)
SLOW = Genz(ops_per_s=100.0, bytes_per_s=10.0, memory_bytes=1e9)


def test_weights_of_published_models():
    assert LLAMA2_7B.params == pytest.approx(6.74e9, rel=1e-3)
    assert LLAMA2_70B.params == pytest.approx(68.98e9, rel=1e-3)
    # Keys and values of 4096 tokens: 2 x 80 layers x 8 heads x 128 x 4096.
    assert LLAMA2_70B.cached(4096) == 2 * 80 * 8 * 128 * 4096


def test_a_decode_step_by_hand():
    """Every operator of two layers and the head: 2 bytes an element, two operations a multiply-accumulate."""
    batch, context = 3, 5
    seconds = lambda macs, elements: max(2 * macs / 100, 2 * elements / 10)  # noqa: E731
    layer = [
        (3 * 8 * 16, 8 * 16 + 3 * (8 + 16)),  # QKV: 8 → 8 + 4 + 4
        (3 * 8 * 8, 8 * 8 + 3 * 16),
        (3 * 8 * 32, 8 * 32 + 3 * 40),  # up and gate
        (3 * 16 * 8, 16 * 8 + 3 * 24),
        (2 * 3 * 6 * 8, 2 * 3 * 8 + 2 * 3 * 6 * 4),  # scores and values of 6 tokens; query, result, keys and values
    ]
    head = seconds(3 * 8 * 10, 80 + 3 * 18)
    found = SLOW.decode(TINY, batch, context)
    assert found["latency_s"] == pytest.approx(2 * sum(seconds(*work) for work in layer) + head)
    assert found["memory_bytes"] == 2 * (TINY.params + 3 * 2 * 2 * 4 * 6 + 3 * (16 + 32))
    assert found["tokens_per_s"] == pytest.approx(3 / found["latency_s"])


def test_decode_of_a_7b_model_reads_its_weights():
    """Card: TPOT at least 13.5 GB / 2039 GB/s = 6.6 ms at batch 1, bound by memory; twice the batch changes little."""
    found = Genz().decode(LLAMA2_7B, np.array([1, 2, 4]), 128)
    assert 6.5e-3 < found["latency_s"][0] < 6.8e-3  # one of the two tables of the vocabulary is not read
    assert set(found["bottleneck"]) == {"memory"}
    assert found["latency_s"][1] < 1.01 * found["latency_s"][0]
    # With a context so long that the cache outweighs the weights, twice the batch takes nearly twice as long.
    far = Genz().decode(LLAMA2_7B, np.array([1, 2]), 1_000_000)
    assert far["latency_s"][1] > 1.9 * far["latency_s"][0]


def test_prefill_is_bound_by_arithmetic():
    found = Genz().prefill(LLAMA2_7B, 1, 2048)
    assert found["bottleneck"] == "compute"
    attention = 32 * 2 * 2048**2 * 4096  # scores and values
    assert found["latency_s"] == pytest.approx(2 * (2048 * (6.74e9 - 2 * 131e6) + attention) / 312e12, rel=0.01)


def test_collectives():
    """Card: 1 MB over 8 nodes at 25 GB/s and 1.9 us: 5 + 26.6 + 70 us; all-gather once around instead of twice."""
    platform = Genz(link_bytes_per_s=25e9)
    assert platform.all_reduce_s(1e6, 8) == pytest.approx(101.6e-6)
    assert platform.all_gather_s(1e6, 8) == pytest.approx(53.3e-6)
    assert platform.send_s(1e6) == pytest.approx(41.9e-6)
    assert platform.all_reduce_s(1e6, 1) == 0


@pytest.mark.golden
@pytest.mark.parametrize(
    ("model", "devices", "batch", "context", "prefill_ms", "decode_ms"),
    [
        (LLAMA2_7B, 1, 1, 512, 21.6951, 6.15862),
        (LLAMA2_7B, 1, 16, 2048, 1473.0637, 13.89400),
        (LLAMA2_70B, 8, 8, 2048, 1172.2694, 13.34784),
        (LLAMA2_70B, 4, 64, 4096, 34214.4904, 29.03050),
    ],
)
def test_the_public_tool(model, devices, batch, context, prefill_ms, decode_ms):
    """Output of PyPI genz-llm 0.0.16 (no beams; prefill without embedding and head, which it gives to all tokens)."""
    platform = Genz(bytes_per_s=2039 * 2**30, link_bytes_per_s=300 * 2**30, tensor_parallel=devices)
    found = platform.prefill(model, batch, context)["latency_s"]
    head = platform.prefill(replace(model, n_layers=1), batch, context)["latency_s"] * 2
    head -= platform.prefill(replace(model, n_layers=2), batch, context)["latency_s"]
    assert (found - head) * 1e3 == pytest.approx(prefill_ms, rel=0.005)
    assert platform.decode(model, batch, context)["latency_s"] * 1e3 == pytest.approx(decode_ms, rel=0.005)


def test_number_formats():
    bf16, int8 = (Genz(weight_format=f).decode(LLAMA2_7B, 1, 0)["latency_s"] for f in ("bf16", "int8"))
    assert int8 == pytest.approx(bf16 / 2, rel=0.01)
    wide, narrow = (Genz(format=f).prefill(LLAMA2_7B, 1, 4096)["compute_s"] for f in ("f32", "int4"))
    assert wide == pytest.approx(8 * narrow)


def test_parallel_devices():
    single = Genz().decode(LLAMA2_70B, 8, 1000)
    tensor = Genz(tensor_parallel=8).decode(LLAMA2_70B, 8, 1000)
    assert not single["fits"]
    assert tensor["fits"]
    message = 8 * 8192 * 2
    scores = Genz().all_gather_s(8 * 32000 * 2, 8)
    assert tensor["network_s"] == pytest.approx(160 * Genz().all_reduce_s(message, 8) + scores)
    assert tensor["memory_s"] == pytest.approx(single["memory_s"] / 8)
    pipeline = Genz(pipeline_parallel=4).decode(LLAMA2_70B, 8, 1000)
    shares = Genz().decode(LLAMA2_70B, 2, 1000)["latency_s"] + 3 * Genz().send_s(message / 4)
    assert pipeline["latency_s"] == pytest.approx(shares)


def test_energy_is_between_idle_and_full_power():
    found = Genz(power_w=100.0).decode(LLAMA2_7B, 1, 100)
    watts = found["energy_j"] / found["latency_s"]
    assert watts == pytest.approx(30 + 40 * found["compute_s"] / found["latency_s"] + 20, rel=1e-3)


def test_chunks_cover_the_prompt():
    """One chunk as long as the prompt, alone, is the prefill with its last token's head beside the batch's."""
    ttft, tpot = SLOW.chunked(TINY, batch=0, context=0, prompt=6, chunk=6)
    assert ttft == tpot == pytest.approx(SLOW.prefill(TINY, 1, 6)["latency_s"])
    longer, shorter = SLOW.chunked(TINY, 2, 4, 12, 3)
    assert longer > ttft
    assert shorter < SLOW.prefill(TINY, 1, 12)["latency_s"]


def test_speculation():
    small = replace(TINY, n_layers=1)
    step = SLOW.decode(TINY, 1, 9, 4)["latency_s"]
    drafted = 3 * SLOW.decode(small, 1, 9)["latency_s"]
    assert SLOW.speculative(TINY, small, 1, 9, 3, 0.0) == pytest.approx(step + drafted)
    assert SLOW.speculative(TINY, small, 1, 9, 3, 1.0) == pytest.approx((step + drafted) / 4)
    assert SLOW.speculative(TINY, small, 1, 9, 3, 0.5) == pytest.approx((step + drafted) / 1.875)


def test_pinned_tensors_have_to_fit():
    fast = replace(SLOW, pinned=("weights",), onchip_bytes_per_s=1e9, onchip_bytes=2 * TINY.params)
    found = fast.decode(TINY, 1, 0)
    assert found["memory_s"] < SLOW.decode(TINY, 1, 0)["memory_s"]
    assert found["fits"]
    assert not replace(fast, onchip_bytes=2 * TINY.params - 1).decode(TINY, 1, 0)["fits"]


def test_a_batch_of_settings_equals_one_by_one():
    together = Genz(tensor_parallel=2).decode(LLAMA2_7B, np.array([1, 8, 64]), np.array([100, 1000, 4000]))
    for i, (batch, context) in enumerate([(1, 100), (8, 1000), (64, 4000)]):
        single = Genz(tensor_parallel=2).decode(LLAMA2_7B, batch, context)
        assert all(together[name][i] == single[name] for name in single)


def test_options_are_checked():
    with pytest.raises(UserError, match="int2"):
        registry.create("hardware/models", "genz", {"format": "int3"})
