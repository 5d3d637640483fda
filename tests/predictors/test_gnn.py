"""GNN: one network by hand, renumbered graphs, and what only wiring tells; rows of cells and graphs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.predictors._agreement import kendall
from archip.predictors._graph_rows import cell_rows, n_columns, unpacked, vertex_rows

NODES, KINDS = 5, 2


def make(**options):
    return registry.create("predictors", "gnn", {"nodes": NODES, "kinds": KINDS, **options})


def graphs(n, seed):
    """Random graphs of 5 nodes of two kinds, and the length of the longest path between nodes of kind 1."""
    rng = np.random.default_rng(seed)
    pairs = list(combinations(range(NODES), 2))
    rows, longest = [], []
    for _ in range(n):
        edges, kinds = rng.random(len(pairs)) < 0.5, rng.integers(2, size=NODES)
        length = np.where(kinds == 1, 1, 0)
        for (a, b), there in zip(pairs, edges, strict=True):  # pairs stand in the order of their first node
            if there and kinds[a] and kinds[b]:
                length[b] = max(length[b], length[a] + 1)
        rows.append(np.r_[edges, np.eye(2)[kinds].ravel()])
        longest.append(length.max())
    return np.array(rows, dtype=float), np.array(longest, dtype=float)


def test_one_network_by_hand():
    X_NF, y_N = graphs(30, 0)
    gnn = make(members=2, layers=2, hidden=3, steps=20).fit(X_NF, y_N)
    weights, said = gnn.state, []
    relu = lambda h: np.maximum(h, 0)  # noqa: E731
    for row in X_NF:
        wiring = np.zeros((NODES, NODES))
        for (a, b), there in zip(combinations(range(NODES), 2), row[:10], strict=True):
            wiring[a, b] = there
        h = kinds = row[10:].reshape(NODES, KINDS)
        for layer in range(2):
            mixed = []
            for way, name in ((wiring.T, "forward"), (wiring, "backward")):
                with_self = way + np.eye(NODES)
                mixed.append(with_self / with_self.sum(1, keepdims=True) @ h @ weights[f"{name}{layer}_EHH"][0])
            h = 0.5 * relu(mixed[0]) + 0.5 * relu(mixed[1])
        read = np.tanh(h.mean(0) @ weights["first_EFH"][0] + weights["first_E1H"][0, 0])
        line = kinds.sum(0) @ weights["line_EF1"][0]
        said.append(float((read @ weights["last_EH1"][0] + line + weights["last_E11"][0, 0])[0]))
    assert gnn._each(X_NF)[0] == pytest.approx(y_N.mean() + y_N.std() * np.array(said))


def test_equal_graphs_with_other_numbers_are_predicted_alike():
    X_NF, y_N = graphs(40, 1)
    gnn = make(members=2, steps=30).fit(X_NF, y_N)
    wiring_NVV, kinds_NVK = np.zeros((2, NODES, NODES)), np.zeros((2, NODES, KINDS))
    wiring_NVV[:, 0, 1] = wiring_NVV[:, 0, 2] = wiring_NVV[:, 0, 3] = 1  # 1, 2 and 3 are side by side
    wiring_NVV[0, 1, 4] = wiring_NVV[1, 3, 4] = 1
    kinds_NVK[0, :, 0], kinds_NVK[1, :, 0] = [1, 0, 1, 1, 0], [1, 1, 1, 0, 0]
    kinds_NVK[..., 1] = 1 - kinds_NVK[..., 0]
    above = np.triu_indices(NODES, 1)
    rows = np.array([np.r_[w[above], k.ravel()] for w, k in zip(wiring_NVV, kinds_NVK, strict=True)])
    one, other = gnn.predict(rows)[0]
    assert one == pytest.approx(other)
    assert unpacked(rows, NODES, KINDS)[0] == pytest.approx(wiring_NVV)


def test_it_learns_from_wiring_what_a_line_cannot_say():
    (X_NF, y_N), (X_MF, y_M) = graphs(200, 2), graphs(300, 3)
    ours = kendall(make(steps=100, members=2).fit(X_NF, y_N).predict(X_MF)[0], y_M)
    line = kendall(registry.create("predictors", "ridge").fit(X_NF, y_N).predict(X_MF)[0], y_M)
    assert ours > line + 0.03


def test_the_edges_of_a_cell_become_nodes():
    wiring, kinds = (a[0] for a in unpacked(cell_rows(np.array([[2, 0, 1, 1, 2, 0]]), 3), 8, 5))
    # edges (0,1) (0,2) (1,2) (0,3) (1,3) (2,3) are nodes 1 to 6
    fed = {1: {0}, 2: {0}, 3: {1}, 4: {0}, 5: {1}, 6: {2, 3}, 7: {4, 5, 6}}
    assert {v: set(np.flatnonzero(wiring[:, v]).tolist()) for v in range(1, 8)} == fed
    assert kinds.argmax(1).tolist() == [3, 2, 0, 1, 1, 2, 0, 4]


def test_graphs_of_tables_keep_their_vertices():
    codes = np.array([[1, 2, -1, 1, 0, 0, 1, 0, 0]])  # of at most 4 vertices: one inner one, edges (0,1) and (1,2)
    wiring, kinds = (a[0] for a in unpacked(vertex_rows(codes, 4, 3), 4, 5))
    assert np.argwhere(wiring).tolist() == [[0, 1], [1, 2]]
    assert kinds.tolist() == [[0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_rows_that_are_no_graphs_are_refused():
    assert n_columns(NODES, KINDS) == 20
    with pytest.raises(UserError, match="20 columns"):
        make().fit(np.zeros((5, 19)), np.arange(5.0))
