"""GENNAPE (Mills et al. 2023): what is learnt from computation graphs of one space ranks networks of another."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean

import numpy as np
from scipy.stats import spearmanr

from archip.core import registry
from archip.ir.graph import Graph, GraphBuilder
from archip.predictors._graph_rows import NODE_COLUMNS, unpacked
from archip.predictors.gennape import Gennape
from archip.spaces.nb201 import _cell, _conv
from archip.spaces.tabular import Tabular
from claims._claim import Observed, data_file

EXPECTED = """Learnt from 300 cells of NAS-Bench-101 (computation graphs of one cell between stem and classifier, widths
simplified), Spearman with the CIFAR-10 accuracy of 500 cells of NAS-Bench-201, mean of 3 seeds: without any label there
above a ridge regression on the sums of the nodes' columns (numbers of operators, sizes, multiply-accumulates) and above
a plain graph network, both learnt from the same 300; with 20 labels there above that regression on the 20."""
SOURCE = "arXiv:2211.17226, table of transfer from NAS-Bench-101; the card's check"

NODES, SEEDS, SOURCE_N, TUNED_N, UNSEEN_N = 48, 3, 300, 20, 500
SIZE = {"nodes": NODES, "kinds": NODE_COLUMNS}


def check() -> Observed:
    rows = [_seed(seed) for seed in range(SEEDS)]
    zero, ridge, gnn, tuned, few = (fmean(column) for column in zip(*rows, strict=True))
    text = f"""no label there: {zero:.2f}, regression {ridge:.2f}, plain graph network {gnn:.2f};
        20 labels: {tuned:.2f}, regression {few:.2f}"""
    return Observed(zero > max(ridge, gnn) and tuned > few, text)


def _seed(seed: int) -> tuple[float, ...]:
    rng = np.random.default_rng(seed)
    X_NF, y_N = _sampled("nb101_sample", "nb101_sample.csv.gz", "cifar10_valid_108.accuracy", SOURCE_N, rng)
    Z_NF, t_N = _sampled("nb201", "nb201.csv.gz", "cifar10_valid_200.accuracy", TUNED_N + UNSEEN_N, rng)
    few, unseen = slice(TUNED_N), slice(TUNED_N, None)
    scored = lambda said_N: float(spearmanr(said_N, t_N[unseen])[0])  # pyright: ignore  # noqa: E731
    gennape = Gennape(**SIZE, seed=seed).fit(X_NF, _normal(y_N))
    zero = scored(gennape.predict(Z_NF[unseen])[0])
    tuned = scored(gennape.tuned(Z_NF[few], _normal(t_N[few])).predict(Z_NF[unseen])[0])
    plain = registry.create("predictors", "gnn", {**SIZE, "members": 2, "steps": 60, "seed": seed})
    gnn = scored(plain.fit(X_NF, _normal(y_N)).predict(Z_NF[unseen])[0])
    sums = [unpacked(A_NF, NODES, NODE_COLUMNS)[1].sum(1) for A_NF in (X_NF, Z_NF)]
    ridge = registry.create("predictors", "ridge").fit(sums[0], _normal(y_N)).predict(sums[1][unseen])[0]
    from_few = registry.create("predictors", "ridge").fit(sums[1][few], _normal(t_N[few])).predict(sums[1][unseen])[0]
    return zero, scored(ridge), gnn, tuned, scored(from_few)


def _normal(y_N: np.ndarray) -> np.ndarray:
    """Normal scores: cells that learn nothing weigh no more than others."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return ndtri((rankdata(y_N) - 0.5) / len(y_N))


def _sampled(name: str, file: str, metric: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(rows of graphs, accuracies) of a random sample of a table."""
    space = Tabular(name, str(data_file(file).parent))
    rows = rng.choice(space.rows.n_rows, n, replace=False)
    codes_NG = space.rows.keys.codes_NG[rows].astype(int)
    graphs = [_vertices(codes, space) if name == "nb101_sample" else _edges(codes, space) for codes in codes_NG]
    return Gennape.features(graphs, NODES), space.rows.metric(metric)[rows]


def _edges(codes_E: np.ndarray, space: Tabular) -> Graph:
    """A cell of NAS-Bench-201 between stem and classifier."""
    names = [knob.values[code] for knob, code in zip(space.knobs.values(), codes_E.tolist(), strict=True)]
    genes = dict(zip([f"{a}-{b}" for b in (1, 2, 3) for a in range(b)], names, strict=True))
    g = GraphBuilder()
    return _ended(g, _cell(g, _conv(g, g.input("image", (1, 3, 32, 32), "NCHW"), "stem", 48, 3), "cell", genes, 48))


def _vertices(codes_G: np.ndarray, space: Tabular) -> Graph:
    """A cell of NAS-Bench-101 the same way: projections of the input, sums before operators, outputs side by side."""
    most, operators = 7, list(space.knobs.values())[1].values
    n = int(codes_G[0]) + 2
    pairs = zip(combinations(range(most), 2), codes_G[most - 1 :].tolist(), strict=True)
    edges = {pair for pair, code in pairs if code == 1}
    ends = [a for a in range(1, n - 1) if (a, n - 1) in edges]
    width = 48 // max(len(ends), 1)
    g = GraphBuilder()
    x = _conv(g, g.input("image", (1, 3, 32, 32), "NCHW"), "stem", 48, 3)
    made: dict[int, str] = {}
    for v in range(1, n - 1):
        read = [made[a] for a in range(1, v) if (a, v) in edges]
        if (0, v) in edges:
            read.append(_normed(g, x, f"{v}.projection", width, 1))
        total = read[0]
        for i, more in enumerate(read[1:]):
            total = g.add("add", total, more, name=f"{v}.add{i}")
        made[v] = _operated(g, total, f"{v}", str(operators[codes_G[v]]), width)
    out = (
        g.add("concat", *(made[a] for a in ends), name="concat", axis=1)
        if len(ends) > 1
        else made.get(max(ends, default=0), x)
    )
    if (0, n - 1) in edges and ends:
        out = g.add("add", out, _normed(g, x, "last.projection", width * len(ends), 1), name="last.add")
    return _ended(g, out)


def _operated(g: GraphBuilder, x: str, name: str, operator: str, width: int) -> str:
    if operator == "mp":
        return g.add("max_pool", x, name=name, kernel=(3, 3), stride=1, padding=(1, 1))
    return _normed(g, x, name, width, 3 if operator == "c3" else 1)


def _normed(g: GraphBuilder, x: str, name: str, width: int, kernel: int) -> str:
    return g.add("relu", _conv(g, x, name, width, kernel), name=f"{name}.relu")


def _ended(g: GraphBuilder, x: str) -> Graph:
    return g.finish(g.add("linear", g.add("global_avg_pool", x, name="pool"), name="classifier", out_features=10))
