"""HAO (Dong et al. 2021): an exact division of the FPGA for every network, a predictor for its accuracy, one front.

Networks and accuracies are those of NAS-Bench-Macro (MobileNet-like, 8 layers of identity, k3 e3 or k5 e6, CIFAR-10),
at 8 bits on a ZU3EG. Bits of single layers are judged on the side of the hardware alone: the table has none.
"""

from __future__ import annotations

import csv
import functools
import gzip
import itertools
from dataclasses import replace

import numpy as np

from archip.core.objectives import Goals, Objective
from archip.core.pareto import hypervolume, non_dominated_mask
from archip.core.record import Record
from archip.core.rng import generator
from archip.hardware.schedule.hao import HAO
from archip.ir.graph import GraphBuilder
from archip.ir.workload import DIMS, Workload, workload
from archip.predictors._agreement import kendall
from archip.predictors.ridge import Ridge
from archip.spaces._network import conv_norm_relu
from archip.spaces.product import ProductSpace
from archip.spaces.tabular import Tabular
from archip.strategies.hao import Hao as HaoStrategy
from claims._claim import Observed, data_file

EXPECTED = """1,000 networks drawn from the table; parameters and MACs of the graphs are the table's. The division
equals exhaustive enumeration for 50 of them on a small FPGA. Half and a quarter of the DSPs make no network faster, and
their mean latency longer. A predictor of accuracy from 100 networks reaches Kendall's tau of 0.7 on the others; the
networks on its front of predicted accuracy and exact latency cover, by their true accuracies, 95 % of the hypervolume
of the true front of all 1,000, and more than as many random ones (mean of 50 draws). The strategy `hao` (100 random
networks, then 100 of its choice, 1,000 solved) covers 95 % of it, too, and more than 200 random ones (mean of 50).
Weights and activations of each layer at 4 or 8 bits, drawn: the division equals exhaustive enumeration for the same 50
networks, none is faster than at 4 bits throughout or slower than at 8, and on the mean they lie strictly between; with
each kind of layer at one width, drawn, too."""
SOURCE = "arXiv:2104.12766, section IV; card; nas_bench_macro.csv.gz (NAS-Bench-Macro, 61a2bfc2)"

N, LEARNT, CHECKED, DRAWS = 1000, 100, 50, 50
STAGES = ((64, 2), (128, 3), (256, 3))  # channels, layers; every stage begins with stride 2
KINDS = {"1": (3, 3), "2": (5, 6)}  # kernel, expansion


def _network(arch: str) -> Workload:
    g = GraphBuilder()
    x = conv_norm_relu(g, g.input("image", (1, 3, 32, 32), "NCHW"), "stem", 32, (3, 3))
    before, kinds = 32, iter(arch)
    for s, (channels, layers) in enumerate(STAGES):
        for b in range(layers):
            x = _layer(g, x, f"stage{s}.layer{b}", next(kinds), (before, channels), 1 + (b == 0))
            before = channels
    x = conv_norm_relu(g, x, "head", 1280, (1, 1))
    return workload(g.finish(g.add("linear", g.add("global_avg_pool", x, name="pool"), name="fc", out_features=10)))


def _layer(g: GraphBuilder, x: str, name: str, kind: str, channels: tuple[int, int], stride: int) -> str:
    """An inverted bottleneck, or the identity (1 x 1 where the shape changes)."""
    before, after = channels
    if kind == "0":
        return x if stride == 1 else _norm(g, x, f"{name}.skip", out_channels=after, kernel=(1, 1), stride=stride)
    kernel, expansion = KINDS[kind]
    inner = before * expansion
    y = conv_norm_relu(g, x, f"{name}.expand", inner, (1, 1))
    y = _norm(g, y, f"{name}.depth", out_channels=inner, kernel=(kernel, kernel), stride=stride,
              padding=(kernel // 2, kernel // 2), groups=inner)  # fmt: skip
    y = g.add("relu", y, name=f"{name}.depth.relu")
    y = _norm(g, y, f"{name}.project", out_channels=after, kernel=(1, 1))
    return g.add("add", x, y, name=f"{name}.add") if stride == 1 else y


def _norm(g: GraphBuilder, x: str, name: str, **shape: object) -> str:
    return g.add("batch_norm", g.add("conv", x, name=f"{name}.conv", bias=False, **shape), name=f"{name}.norm")


def _enumerated(model: HAO, work: Workload) -> float:
    """Least cycles over all combinations of designs."""
    tables = model.designs(work).values()
    budgets = np.array([model.dsps, model.luts, model.brams])
    *first, last = [list(zip(t.cycles_D, t.needs_DR, strict=True)) for t in tables]
    cycles_D, needs_DR = (np.array(column) for column in zip(*last, strict=True))
    best = np.inf
    for chosen in itertools.product(*first):
        left = budgets - sum(needs for _, needs in chosen)
        fits = (needs_DR <= left).all(axis=1)
        if fits.any():
            best = min(best, sum(cycles for cycles, _ in chosen) + cycles_D[fits].min())
    return best


def _mixed(model: HAO, works: list[Workload], rng: np.random.Generator) -> tuple[int, bool, list[float]]:
    """Divisions as enumerated; whether all lie between 4 and 8 bits; mean cycles at 4, by kind, by layer, at 8 bits."""
    exact, ordered, rows = 0, True, []
    for work in works:
        shape = work.bits_LO.shape
        dims = dict(zip(DIMS, work.dims_LD.T, strict=True))
        kind_L = np.where(dims["G"] > 1, 2, dims["FY"] * dims["FX"] == 1)  # k x k, pointwise, depthwise
        by_kind = np.tile(rng.choice([4, 8], 3)[kind_L][:, None], shape[1])
        widths = (np.full(shape, 4), by_kind, rng.choice([4, 8], shape), np.full(shape, 8))
        variants = [replace(work, bits_LO=bits) for bits in widths]
        cycles = [model.plan(variant).cycles for variant in variants]
        exact += all(_enumerated(model, variants[i]) == cycles[i] for i in (1, 2))
        ordered &= all(cycles[0] <= c <= cycles[3] for c in cycles[1:3])
        rows.append(cycles)
    return exact, ordered, np.mean(rows, axis=0).tolist()


def _covered(points: np.ndarray, reference: np.ndarray) -> float:
    return hypervolume(points[non_dominated_mask(points)], reference)


def _searched(table: list[dict[str, str]]) -> np.ndarray:
    """Points (accuracy negated, cycles) of the networks that the strategy asks for."""
    rows = {tuple(row["arch"]): row for row in table}
    names = {"identity": "0", "mb3_e3": "1", "mb5_e6": "2"}
    cycles = functools.cache(lambda arch: HAO().plan(_network(arch)).cycles)
    arch = lambda candidate: "".join(names[gene] for gene in candidate.net["net"].values())  # noqa: E731
    screen = lambda candidates: [{"latency_cycles": float(cycles(arch(c)))} for c in candidates]  # noqa: E731
    strategy = HaoStrategy(learnt=LEARNT, pool=N)
    goals = Goals((Objective("quality", 1), Objective("latency_cycles", -1)))
    strategy.start(ProductSpace({"net.net": Tabular("nas_bench_macro")}, screen=screen), goals)
    points = []
    for number in range(2):
        asked = strategy.ask(LEARNT, generator(0, number))
        found = [(-float(rows[tuple(arch(c))]["mean_acc"]), float(cycles(arch(c)))) for c in asked]
        told = zip(asked, found, strict=True)
        strategy.tell([Record(c, {"quality": -a / 100, "latency_cycles": t}) for c, (a, t) in told])
        points += found
    return np.array(points)


def check() -> Observed:
    with gzip.open(data_file("nas_bench_macro.csv.gz"), "rt") as file:
        table = list(csv.DictReader(file))
    rng = np.random.default_rng(0)
    rows = [table[i] for i in rng.choice(len(table), N, replace=False)]
    works = [_network(row["arch"]) for row in rows]
    same = all((w.params, w.macs) == (int(r["params"]), int(r["flops"])) for w, r in zip(works, rows, strict=True))
    small = HAO(dsps=40, luts=14_000, brams=60, most=8)
    exact = sum(small.plan(w).cycles == _enumerated(small, w) for w in works[:CHECKED])
    mixed, ordered, by_bits = _mixed(small, works[:CHECKED], np.random.default_rng(1))
    ordered &= by_bits[0] < min(by_bits[1:3]) and max(by_bits[1:3]) < by_bits[3]
    cycles = np.array([[HAO(dsps=dsps).plan(w).cycles for w in works] for dsps in (360, 180, 90)])
    slower = bool((np.diff(cycles, axis=0) >= 0).all() and (np.diff(cycles.mean(axis=1)) > 0).all())

    accuracy = np.array([float(row["mean_acc"]) for row in rows])
    genes = np.array([[digit == kind for digit in row["arch"] for kind in "012"] for row in rows], dtype=float)
    predicted, _ = Ridge().fit(genes[:LEARNT], accuracy[:LEARNT]).predict(genes)
    tau = kendall(predicted[LEARNT:], accuracy[LEARNT:])
    points, guesses = (np.column_stack([-values, cycles[0]]) for values in (accuracy, predicted))
    reference = points.max(axis=0)
    chosen = np.flatnonzero(non_dominated_mask(guesses))
    whole = _covered(points, reference)
    share = _covered(points[chosen], reference) / whole
    draws = [_covered(points[rng.choice(N, len(chosen), replace=False)], reference) / whole for _ in range(DRAWS)]
    ours = _covered(_searched(table), reference) / whole
    drawn = [_covered(points[rng.choice(N, 2 * LEARNT, replace=False)], reference) / whole for _ in range(DRAWS)]
    holds = same and exact == CHECKED and slower and tau >= 0.7 and share >= 0.95 and share > np.mean(draws)
    holds = holds and ours >= 0.95 and ours > np.mean(drawn) and mixed == CHECKED and ordered
    text = (
        f"graphs {'as' if same else 'NOT as'} in the table; {exact} of {CHECKED} divisions as enumerated; mean cycles"
    )
    text += f" {', '.join(f'{c:,.0f}' for c in cycles.mean(axis=1))} with 360, 180, 90 DSPs; tau {tau:.3f};"
    text += f" {len(chosen)} networks on the predicted front cover {100 * share:.1f} %, random ones"
    text += f" {100 * np.mean(draws):.1f} % (most {100 * np.max(draws):.1f} %); the strategy's {2 * LEARNT}"
    told = f"mixed bits: {mixed} divisions as enumerated, {'all' if ordered else 'NOT all'} between 4 and 8 bits, mean"
    told += f" cycles {', '.join(f'{c:,.0f}' for c in by_bits)} at 4, by kind, by layer, at 8"
    return Observed(bool(holds), f"{text} {100 * ours:.1f} %, as many random ones {100 * np.mean(drawn):.1f} %; {told}")
