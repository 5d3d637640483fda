"""MobileNetEdgeTPU (Gupta, Akin 2020): fused bottlenecks cost more MACs and fewer cycles where layers are narrow.

Cycles of the systolic model, weights stationary, without stalls. The accuracy is an analytic function of expansions,
kernels and filters that does not know which layers are fused: the search places them for the sake of cycles alone.
The last two stages are equally wide, so that every network has a wide layer to place (a first run, on the space's own
five stages, found networks without any, and so said nothing of them).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Objective
from archip.core.record import Record
from archip.hardware.models.systolic import Systolic
from archip.ir.layer_table import LayerTable
from archip.ir.workload import Workload, workload
from archip.spaces.mobilenet_edge_tpu import MobileNetEdgeTPU
from archip.spaces.product import ProductSpace
from archip.strategies.regularized_evolution import RegularizedEvolution
from claims._claim import Observed

EXPECTED = """On a 32 x 32 array a fused 3x3 bottleneck of c channels has more MACs at every width, fewer cycles for
c = 16, 24, 32, 48 and more for c = 192, 256. A search over both kinds (2,000 networks at 224 x 224, reward
acc (cycles / target)^-0.07, 3 seeds) fuses at least 80 % of the layers with at most 32 input channels and at most 20 %
of those with at least 144; its network is faster than the same one with all layers fused, and with none."""
SOURCE = "arXiv:2003.02838, section 3; MnasNet's reward; card"

Genes = Mapping[str, Any]
SHAPE, CLASSES, ASKED, BATCH, W = (3, 224, 224), 1000, 2000, 50, -0.07
SPACE = MobileNetEdgeTPU(filters=(16, 32, 48, 96, 192, 192), stem_stride=2)
ARRAY = Systolic(rows=32, cols=32, corrected=True)


def _work(genes: Genes, space: MobileNetEdgeTPU = SPACE) -> Workload:
    return workload(space.graph(genes, SHAPE, CLASSES))


def _cycles(work: Workload, array: Systolic = ARRAY) -> int:
    table = array.evaluate(LayerTable.of_workload(work))
    return int((table["total_cycles"] * table["repeat"]).sum())


def _block(channels: int, side: int, fused: bool) -> Workload:
    """The second layer of a stage, which keeps size and channels."""
    space = MobileNetEdgeTPU(filters=(channels,), stem=channels)
    layer = {"fused": fused, "kernel": 3, "expansion": 4}
    genes = {"width1": 1, "layers1": 2} | {f"{gene}1.{b}": value for gene, value in layer.items() for b in (1, 2)}
    work = workload(space.graph(genes, (channels, 2 * side, 2 * side), 2))
    return work.select([i for i, name in enumerate(work.names) if name.startswith("stage1.layer2")])


def _accuracy(genes: Genes) -> float:
    """Between 60 and 80 %: saturates in the layers' expansions, kernels and filters."""
    score = sum(
        math.log2(genes[f"expansion{s}.{b}"] * genes[f"kernel{s}.{b}"] * genes[f"width{s}"])
        for s in range(1, len(SPACE.filters) + 1)
        for b in range(1, genes[f"layers{s}"] + 1)
    )
    return 0.6 + 0.2 * (1 - math.exp(-score / 40))


def _searched(seed: int, target: float) -> Genes:
    """The network of best reward."""
    strategy, rng = RegularizedEvolution(population=100, tournament=25), np.random.default_rng(seed)
    strategy.start(ProductSpace({"net.a": SPACE}), Goals((Objective("quality", 1),)))
    for _ in range(ASKED // BATCH):
        asked = strategy.ask(BATCH, rng)
        strategy.tell([_record(candidate, target) for candidate in asked])
    assert strategy.best is not None
    best: Any = strategy.best.candidate.net["a"]
    return best


def _record(candidate: Candidate, target: float) -> Record:
    genes: Any = candidate.net["a"]
    reward = _accuracy(genes) * (_cycles(_work(genes)) / target) ** W
    return Record(candidate, {"quality": reward})


def _placed(genes: Genes) -> list[tuple[int, bool]]:
    """(input channels, fused?) of every layer."""
    layers, channels = [], SPACE.stem
    for s, filters in enumerate(SPACE.filters, 1):
        for b in range(1, genes[f"layers{s}"] + 1):
            layers.append((channels, genes[f"fused{s}.{b}"]))
            channels = round(filters * genes[f"width{s}"] / 8 + 0.01) * 8
    return layers


def check() -> Observed:
    widths = {16: 112, 24: 56, 32: 56, 48: 28, 96: 14, 192: 7, 256: 7}
    blocks = {c: [_block(c, side, fused) for fused in (False, True)] for c, side in widths.items()}
    more_macs = all(fused.macs > plain.macs for plain, fused in blocks.values())
    ratio = {c: _cycles(fused) / _cycles(plain) for c, (plain, fused) in blocks.items()}
    large = Systolic(rows=64, cols=64, corrected=True)
    on_64 = {c: _cycles(fused, large) / _cycles(plain, large) for c, (plain, fused) in blocks.items()}
    by_width = all(ratio[c] < 1 for c in (16, 24, 32, 48)) and all(ratio[c] > 1 for c in (192, 256))

    target = float(np.median([_cycles(_work(SPACE.sample(np.random.default_rng(i)))) for i in range(50)]))
    found = [_searched(seed, target) for seed in range(3)]
    layers = [layer for genes in found for layer in _placed(genes)]
    early = [fused for channels, fused in layers if channels <= 32]
    late = [fused for channels, fused in layers if channels >= 144]
    cycles = [[_cycles(_work(genes)), *(_cycles(_work(_all(genes, f))) for f in (True, False))] for genes in found]
    faster = all(mixed < min(others) for mixed, *others in cycles)
    placed = np.mean(early) >= 0.8 and len(late) > 0 and np.mean(late) <= 0.2
    shown, shown_64 = (", ".join(f"{c}: {r:.2f}" for c, r in each.items()) for each in (ratio, on_64))
    mean = np.mean(cycles, axis=0) / 1e6
    return Observed(
        bool(more_macs and by_width and placed and faster),
        f"cycles fused / not, by channels: {shown} (on a 64 x 64 array: {shown_64}); fused"
        f" {100 * np.mean(early):.0f} % of {len(early)} narrow and {100 * np.mean(late):.0f} % of {len(late)} wide"
        f" layers; million cycles {mean[0]:.2f} as found, {mean[1]:.2f} all fused, {mean[2]:.2f} none",
    )


def _all(genes: Genes, fused: bool) -> Genes:
    return {name: fused if name.startswith("fused") else value for name, value in genes.items()}
