"""ONNX-Net (2025): what is learnt from the texts of one space's graphs ranks the networks of another.

Learnt from cells of NAS-Bench-101, judged on cells of NAS-Bench-201, of which nothing was shown; beside it the plain
count of parameters. Cells of both are built once a stage, so that neither text is long for its repetitions alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from archip.ir.graph import Graph, Input, Node
from archip.ir.workload import workload
from archip.predictors._agreement import kendall
from archip.predictors._graph_text import graph_text
from archip.predictors.onnx_net import OnnxNet
from archip.spaces.nb101 import NB101
from archip.spaces.nb201 import NB201
from archip.spaces.tabular import Tabular
from claims._claim import Observed, data_file

EXPECTED = """Kendall's tau with the published accuracies of 300 cells of NAS-Bench-201, after learning from 200 cells
of NAS-Bench-101, mean of three draws: above the tau of the count of parameters. The text of a network is the same in
another run and with other names of its nodes."""
SOURCE = "arXiv:2510.04938, abstract (transfer between spaces); check of the card, with published tables for its digits"

LEARNT, JUDGED, DRAWS = 200, 300, 3
INPUT, CLASSES = (3, 32, 32), 10


def check() -> Observed:
    known = Tabular("nb101_sample", str(data_file("nb101_sample.csv.gz").parent))
    unseen = Tabular("nb201", str(data_file("nb201.csv.gz").parent))
    taus, of_size = zip(*(_draw(known, unseen, seed) for seed in range(DRAWS)), strict=True)
    graph = _nb201(unseen.genotype(77))
    same = graph_text(graph) == graph_text(_nb201(unseen.genotype(77))) == graph_text(_renamed(graph))
    holds = float(np.mean(taus)) > float(np.mean(of_size)) and same
    return Observed(
        bool(holds),
        f"tau {np.mean(taus):.3f} ({', '.join(f'{tau:.3f}' for tau in taus)}), parameters {np.mean(of_size):.3f};"
        f" texts {'the same' if same else 'DIFFER'}",
    )


def _draw(known: Tabular, unseen: Tabular, seed: int) -> tuple[float, float]:
    """(tau of what was learnt, tau of the parameters)."""
    rng = np.random.default_rng(seed)
    rows_N = rng.choice(known.rows.n_rows, LEARNT, replace=False)
    y_N = known.rows.metric("cifar10_valid_108")[rows_N]
    rows_M = rng.choice(np.unique(unseen.rows.keys.same_N), JUDGED, replace=False)
    y_M = unseen.rows.metric("cifar10_test_200")[rows_M]
    graphs = [_nb201(unseen.genotype(int(row))) for row in rows_M]
    learnt = OnnxNet().fit(OnnxNet.features([_nb101(known.genotype(int(row))) for row in rows_N]), y_N)
    params_M = np.array([workload(graph).params for graph in graphs], dtype=float)
    return kendall(learnt.predict(OnnxNet.features(graphs))[0], y_M), kendall(params_M, y_M)


def _nb101(genotype: dict[str, Any]) -> Graph:
    names = {"c3": "conv3x3", "c1": "conv1x1", "mp": "maxpool3x3"}
    genes = {gene: names.get(value, value) for gene, value in genotype.items()}
    return NB101(channels=16, cells=1).graph(genes, INPUT, CLASSES)


def _nb201(genotype: dict[str, Any]) -> Graph:
    genes = {gene.removeprefix("edge_").replace("_", "-"): value for gene, value in genotype.items()}
    return NB201(cells=1).graph(genes, INPUT, CLASSES)


def _renamed(graph: Graph) -> Graph:
    """The same network, its nodes called by numbers."""
    new = {name: f"n{i}" for i, name in enumerate([*(i.name for i in graph.inputs), *(n.name for n in graph.nodes)])}
    inputs = tuple(Input(new[i.name], i.shape, i.axes) for i in graph.inputs)
    nodes = tuple(Node(new[n.name], n.op, tuple(new[v] for v in n.inputs), n.attributes) for n in graph.nodes)
    return replace(graph, inputs=inputs, nodes=nodes, outputs=tuple(new[v] for v in graph.outputs))
