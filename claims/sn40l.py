"""SN40L (2024): experts switch at the speed of DDR beside the chip, and fused kernels move less.

Bandwidths of the node and of the servers' links are recalled from data sheets.
"""

import numpy as np

from archip.hardware.models.sn40l import Sn40l
from archip.ir.graph import GraphBuilder
from archip.ir.workload import Workload, workload
from claims._claim import Observed

EXPECTED = """With uniform requests for 150 experts the hit rate is capacity / 150 within 0.01. Switching is 15 to 31 x
faster than over the links of two 8-GPU servers (64 and 32 GB/s), within 10 %. Fusing the attention and feed-forward
block of a decoder raises the operational intensity at every prompt length; the bound on its time falls by 2 to 13 x
where the prompt is long, as the paper's measured range."""
SOURCE = "arXiv:2405.07518, abstract; card SN40L"


def check() -> Observed:
    node = Sn40l(expert_bytes=14e9)
    hit = node.serve(np.random.default_rng(0).integers(0, 150, 100_000))["hit"][5000:].mean()
    ratios = [14e9 / link / node.switch_s for link in (64e9, 32e9)]
    gains, raised = {}, True
    for tokens in (128, 1024, 4096):
        work = _block(tokens)
        fused, single = node.evaluate(work, np.zeros(len(work), int)), node.evaluate(work, np.arange(len(work)))
        intensity = [f["ops"].sum() / f["n_bytes"].sum() for f in (fused, single)]
        raised = raised and intensity[0] > intensity[1]
        gains[tokens] = single["latency_s"].sum() / fused["latency_s"].sum()
    holds = [
        abs(hit - node.capacity / 150) <= 0.01,
        np.allclose(ratios, [15, 31], rtol=0.1),
        raised,
        2 <= gains[4096] <= 13,
    ]
    return Observed(
        all(holds),
        f"hit rate {hit:.3f} with room for {node.capacity} ({node.capacity / 150:.3f}); switching {ratios[0]:.1f} and"
        f" {ratios[1]:.1f} x faster; intensity raised: {raised}; bound on the time of a block"
        f" {', '.join(f'{gain:.2f} x less with {tokens} tokens' for tokens, gain in gains.items())}; what fusion saves"
        " in launching kernels, which the paper's range includes, is not modelled",
    )


def _block(tokens: int, hidden: int = 4096, heads: int = 32, ffn: int = 11008) -> Workload:
    """One decoder block of the size of Llama 2 7B, operator by operator, in two bytes a number."""
    graph = GraphBuilder()
    x = graph.input("x", (tokens, hidden), "NC")
    normed = graph.add("rms_norm", x, name="norm1")
    q, k, v = (graph.add("linear", normed, name=n, out_features=hidden, bias=False) for n in "qkv")
    split = {
        n: graph.add("reshape", value, name=f"{n}.heads", shape=(heads, tokens, hidden // heads))
        for n, value in (("q", q), ("v", v))
    }
    turned = graph.add("reshape", k, name="k.heads", shape=(heads, hidden // heads, tokens))
    scores = graph.add("softmax", graph.add("matmul", split["q"], turned, name="scores"), name="softmax")
    mixed = graph.add("matmul", scores, split["v"], name="mixed")
    joined = graph.add("reshape", mixed, name="joined", shape=(tokens, hidden))
    x = graph.add("add", x, graph.add("linear", joined, name="out", out_features=hidden, bias=False), name="add1")
    normed = graph.add("rms_norm", x, name="norm2")
    gate, up = (graph.add("linear", normed, name=n, out_features=ffn, bias=False) for n in ("gate", "up"))
    wide = graph.add("mul", graph.add("silu", gate, name="silu"), up, name="gated")
    down = graph.add("linear", wide, name="down", out_features=hidden, bias=False)
    return workload(graph.finish(graph.add("add", x, down, name="add2")), weight_bits=16, activation_bits=16)
