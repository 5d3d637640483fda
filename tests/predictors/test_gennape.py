"""GENNAPE: rows of computation graphs, clusters, and what the encoder learns without labels."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.ir.graph import Graph, GraphBuilder
from archip.predictors._graph_rows import NODE_COLUMNS, graph_rows, unpacked
from archip.predictors.gennape import Gennape, _centres, _memberships, _spectrum
from archip.spaces.nb201 import NB201

NODES = 12


def chain(n: int, width: int, dead: bool = False) -> Graph:
    g = GraphBuilder()
    x = g.input("picture", (1, 3, 8, 8), "NCHW")
    for i in range(n):
        if dead:
            g.add("relu", x, name=f"nobody{i}")
        x = g.add("conv", x, name=f"{i}", out_channels=width, kernel=(3, 3), padding=(1, 1), bias=False)
    return g.finish(x)


def tree(n: int, width: int) -> Graph:
    """Convolutions side by side, added up."""
    g = GraphBuilder()
    x = g.input("picture", (1, 3, 8, 8), "NCHW")
    total = ""
    for i in range(n):
        y = g.add("conv", x, name=f"{i}", out_channels=width, kernel=(3, 3), padding=(1, 1), bias=False)
        total = g.add("add", total, y, name=f"sum{i}") if total else y
    return g.finish(total)


def test_rows_of_computation_graphs_by_hand():
    rows = graph_rows([chain(2, 16), chain(2, 16, dead=True)], NODES)
    assert np.array_equal(rows[0], rows[1])  # what no output needs is left out
    wiring_NVV, nodes_NVK = unpacked(rows, NODES, NODE_COLUMNS)
    assert np.argwhere(wiring_NVV[0]).tolist() == [[0, 1], [1, 2]]
    second = nodes_NVK[0, 2]
    assert second[:9].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert second[9:] == pytest.approx([0.4, 0.6, 3 / 8, np.log2(1 + 64 * 9 * 16 * 16) / 25])
    with pytest.raises(UserError, match="13 nodes"):
        graph_rows([chain(12, 8)], NODES)


def test_the_cells_of_a_space_fit():
    space = NB201(cells=1)
    graph = space.graph(space.sample(np.random.default_rng(0)), (3, 8, 8), 10)
    assert graph_rows([graph], 128).any()


def test_the_spectrum_of_a_path_and_of_a_star():
    # the normalised Laplacian of a path of 3 has the eigenvalues 0, 1, 2; a star of 4 has 0, 1, 1, 2
    for edges, n, values in (([(0, 1), (1, 2)], 3, [0, 1, 2]), ([(0, 1), (0, 2), (0, 3)], 4, [0, 1, 1, 2])):
        wiring = np.zeros((5, 5))
        wiring[tuple(np.transpose(edges))] = 1
        even = np.interp(np.linspace(0, 1, 16), np.linspace(0, 1, n), values)
        assert _spectrum(wiring, np.arange(5) < n) == pytest.approx(even, abs=1e-12)


def test_memberships_sum_to_one_and_centres_rest_where_points_are():
    rng = np.random.default_rng(0)
    points = np.r_[rng.normal(0, 0.1, (40, 2)), rng.normal(3, 0.1, (40, 2))]
    centres = _centres(points, 2, rng)
    assert sorted(centres.mean(1)) == pytest.approx([0, 3], abs=0.1)
    assert _memberships(points, centres).sum(1) == pytest.approx(np.ones(80))
    assert _memberships(np.array([[1.0, 1.0]]), np.array([[0.0, 0.0], [3.0, 3.0]]))[0] == pytest.approx([0.8, 0.2])


def test_without_labels_graphs_of_one_form_become_neighbours():
    """Chains and trees of the same convolutions: the nearest neighbour in the embedding is mostly of the same form."""
    rng = np.random.default_rng(0)
    sizes = [(int(n), int(w)) for n, w in zip(rng.integers(3, 6, 30), rng.choice([8, 16, 24], 30), strict=True)]
    rows = Gennape.features([make(*size) for make in (chain, tree) for size in sizes], NODES)
    is_tree = np.repeat([False, True], 30)
    options = {"nodes": NODES, "kinds": NODE_COLUMNS, "contrast": 60, "clusters": 2, "steps": 30}
    y_N = np.where(np.arange(60) % 2, np.nan, 1.0 * is_tree)
    gennape = registry.create("predictors", "gennape", options).fit(rows, y_N)
    embedded = gennape._embedded(rows)
    apart = np.linalg.norm(embedded[:, None] - embedded, axis=2) + 9 * np.eye(60)
    assert (is_tree[apart.argmin(1)] == is_tree).mean() > 0.9
    assert gennape.memberships(rows).sum(1) == pytest.approx(np.ones(60))
    said = gennape.predict(rows)[0]
    assert said[is_tree].min() > said[~is_tree].max()
    other = 5 + 3.0 * is_tree
    tuned = gennape.tuned(rows[::10], other[::10]).predict(rows)[0]
    assert np.abs(tuned - other).mean() < 1.0
