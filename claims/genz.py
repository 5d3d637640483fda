"""Bambhaniya et al., GenZ (2024): a few rates of a platform tell what serving a language model on it takes."""

from itertools import pairwise

import numpy as np

from archip.hardware.language_model import LLAMA2_7B, LLAMA2_70B
from archip.hardware.models.genz import Genz
from claims._claim import Observed

EXPECTED = """A 7B model in bf16 at 2039 GB/s decodes bound by memory in 6.5 to 7 ms a token, and twice the batch takes
at most 5 % longer until the cache or the arithmetic takes over; prefill of 2048 tokens is bound by arithmetic. A ring
all-reduce of 1 MB over 8 nodes at 25 GB/s and 1.9 us takes 101.6 us. 70B fits on two 80 GB devices, not on one; over
NVLink tensor parallelism makes its token faster with every doubling up to 8, by less each time. Given the same rates,
decoding takes as long as in the public tool, within 0.5 %."""
SOURCE = "arXiv:2406.01698 and its public code, PyPI genz-llm 0.0.16; card GENZ"

# (layers, devices, batch, context) → ms of a decoding step in the tool, without beams.
_TOOL_MS = {
    (32, 1, 1, 512): 6.15862,
    (32, 1, 16, 2048): 13.89400,
    (80, 8, 8, 2048): 13.34784,
    (80, 4, 64, 4096): 29.0305,
}


def check() -> Observed:
    one = Genz()
    tokens = one.decode(LLAMA2_7B, np.array([1, 2]), 512)
    far = one.decode(LLAMA2_7B, np.array([64, 128]), 4096)["latency_s"]
    prefill = one.prefill(LLAMA2_7B, 1, 2048)
    ring = float(Genz(link_bytes_per_s=25e9).all_reduce_s(1e6, 8)) * 1e6
    large = [Genz(tensor_parallel=n).decode(LLAMA2_70B, 1, 2048) for n in (1, 2, 4, 8)]
    gains = [float(a["latency_s"] / b["latency_s"]) for a, b in pairwise(large)]
    apart = max(abs(_decoding_ms(*setting) / tool - 1) for setting, tool in _TOOL_MS.items())
    first, second = tokens["latency_s"]
    holds = [
        6.5e-3 <= first <= 7e-3 and set(tokens["bottleneck"]) == {"memory"},
        second / first <= 1.05 < far[1] / far[0],
        str(prefill["bottleneck"]) == "compute",
        abs(ring - 101.6) < 0.05,
        [bool(costs["fits"]) for costs in large] == [False, True, True, True],
        apart <= 0.005,
        all(gain > 1 for gain in gains) and gains == sorted(gains, reverse=True),
    ]
    doublings = ", ".join(f"{gain:.2f} x" for gain in gains)
    return Observed(
        all(holds),
        f"TPOT {first * 1e3:.2f} ms; twice the batch {second / first - 1:+.1%} at batch 1 with 512 tokens,"
        f" {far[1] / far[0] - 1:+.0%} at batch 64 with 4096; TTFT {float(prefill['latency_s']) * 1e3:.0f} ms, bound by"
        f" {prefill['bottleneck']}; all-reduce {ring:.1f} us; 70B from 1 to 8 devices: {doublings} a doubling;"
        f" at most {apart:.2%} from the tool",
    )


def _decoding_ms(layers: int, devices: int, batch: int, context: int) -> float:
    model = LLAMA2_7B if layers == 32 else LLAMA2_70B
    platform = Genz(bytes_per_s=2039 * 2**30, link_bytes_per_s=300 * 2**30, tensor_parallel=devices)
    return float(platform.decode(model, batch, context)["latency_s"]) * 1e3
