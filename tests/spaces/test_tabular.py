import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.knobs import Choice
from archip.core.protocols import KnobbedSpace
from archip.data._table import load_table
from archip.spaces._cell_paths import path_counts
from archip.spaces._table_steps import NearestSteps
from archip.spaces.product import ProductSpace
from archip.spaces.tabular import Tabular
from archip.testing.space import SpaceContract

TABLES = Path(__file__).parent.parent / "data" / "tables"
CELL = ("none", "conv", "skip")


def write_cells(folder):
    """All cells of four nodes with three operators: 729 rows."""
    rows = []
    for ops in itertools.product(CELL, repeat=6):
        a, b, c, d, e, f = ops
        rows.append(f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|,{len(rows) % 90}")
    (folder / "cells.csv").write_text("cell,acc\n" + "\n".join(rows))
    (folder / "cells.yaml").write_text("""
title: t
source: s
official: o
file: cells.csv
cell: {column: cell, operators: [none, conv, skip], zero: none, identity: skip}
metrics: {net.accuracy: {column: acc, unit: "%"}}
searches: {net: {full: net.accuracy, test: [net.accuracy]}}
""")
    return str(folder / "cells.yaml")


def write_graphs(folder):
    """All graphs of up to 4 vertices, at most 4 edges and two operators, once each up to isomorphism."""
    found = {}
    for n in (2, 3, 4):
        pairs = list(itertools.combinations(range(n), 2))
        for bits, ops in itertools.product(
            itertools.product((0, 1), repeat=len(pairs)), itertools.product((0, 1), repeat=n - 2)
        ):
            edges = frozenset(p for p, bit in zip(pairs, bits, strict=True) if bit)
            if len(edges) <= 4 and on_a_path(n, edges):
                number = int("".join(map(str, bits)), 2)
                found.setdefault(graph_hash(ops, edges), (n, number, [*ops, *[-1] * (4 - n)]))
    np.savez(
        folder / "graphs.npz",
        n=np.array([v[0] for v in found.values()], np.uint8),
        edges=np.array([v[1] for v in found.values()], np.uint32),
        ops=np.array([v[2] for v in found.values()], np.int8),
        hash=np.array([int(h[:16], 16) for h in found], np.uint64),
        acc=np.linspace(0, 1, len(found)),
    )
    (folder / "graphs.yaml").write_text("""
title: t
source: s
official: o
file: graphs.npz
graph: {vertices: n, edges: edges, operators: ops, names: [a, b], hash: hash, max_edges: 4}
metrics: {net.accuracy: {column: acc}}
searches: {net: {full: net.accuracy, test: [net.accuracy]}}
""")
    return str(folder / "graphs.yaml")


def graph_hash(operators, edges):
    """NAS-Bench-101's own fingerprint, `nasbench/lib/graph_util.py: hash_module`, step by step."""
    n = len(operators) + 2
    labels = (-1, *operators, -2)
    md5 = lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()  # noqa: E731
    sources = [[a for a in range(n) if (a, v) in edges] for v in range(n)]
    targets = [[b for b in range(n) if (v, b) in edges] for v in range(n)]
    hashes = [md5(str((len(targets[v]), len(sources[v]), labels[v]))) for v in range(n)]
    for _ in range(n):
        joined = lambda vertices, of=hashes: "".join(sorted(of[v] for v in vertices))  # noqa: E731
        hashes = [md5("|".join((joined(sources[v]), joined(targets[v]), hashes[v]))) for v in range(n)]
    return md5(str(sorted(hashes)))


def on_a_path(n, edges):
    """Whether every vertex lies on a path from 0 to n - 1, by walking all paths."""
    seen = set()

    def walk(path):
        if path[-1] == n - 1:
            seen.update(path)
        for a, b in edges:
            if a == path[-1]:
                walk([*path, b])

    walk([0])
    return len(seen) == n


@pytest.fixture(scope="module", params=["grid", "sampled", "cells", "graphs"])
def table(request, tmp_path_factory):
    load_table.cache_clear()
    folder = tmp_path_factory.mktemp("tables")
    write = {"cells": write_cells, "graphs": write_graphs}
    return write[request.param](folder) if request.param in write else str(TABLES / f"{request.param}.yaml")


class TestTabular(SpaceContract):
    @pytest.fixture
    def make(self, table):
        return lambda: Tabular(table)

    def test_decisions_lead_to_every_row_and_codes_back(self, space):
        candidates = ProductSpace({"net.t": space})
        assert isinstance(candidates, KnobbedSpace)
        some = list(itertools.islice(candidates.enumerate(), 100))
        for candidate, codes in zip(some, candidates.codes(some), strict=True):
            place = dict(zip(candidates.knobs, codes.tolist(), strict=True))
            assert candidates.decide(lambda name, allowed, p=place: p[name]) == candidate
        rng = np.random.default_rng(0)
        for _ in range(50):
            assert candidates.decide(lambda name, allowed: allowed[int(rng.integers(len(allowed)))]) is not None

    def test_features_tell_rows_apart(self, space):
        every = list(space.enumerate())
        X = space.encode(every)
        assert X.shape[0] == len(np.unique(X, axis=0)) == space.size


def test_steps_in_a_grid_are_those_of_its_knobs():
    space = Tabular(str(TABLES / "grid.yaml"))
    near = {tuple(g.values()) for g in space.neighbours({"depth": 2, "width": 8, "op": "pool"})}
    assert near == {(1, 8, "pool"), (3, 8, "pool"), (2, 16, "pool"), (2, 8, "conv"), (2, 8, "skip")}
    rng = np.random.default_rng(0)
    for _ in range(50):  # one gene changes, to any of its values
        child = space.mutate({"depth": 2, "width": 8, "op": "pool"}, rng)
        assert sum(a != b for a, b in zip(child.values(), (2, 8, "pool"), strict=True)) == 1


def test_steps_in_a_sample_lead_to_the_nearest_rows():
    space = Tabular(str(TABLES / "sampled.yaml"))
    codes = space.rows.keys.codes_NG
    for row in range(10):
        near = [space.row(g) for g in space.neighbours(space.genotype(row))]
        distance = (codes != codes[row]).sum(1)
        assert len(near) >= 8
        assert max(distance[near]) <= np.sort(distance[distance > 0])[len(near) - 1]  # nobody nearer is left out
    rng = np.random.default_rng(0)
    assert {space.row(space.mutate(space.genotype(0), rng)) for _ in range(300)} == {
        space.row(g) for g in space.neighbours(space.genotype(0))
    }


def test_equal_cells_are_one_genotype(tmp_path):
    """What is passed on unchanged is as good as there from the beginning."""
    space = Tabular(write_cells(tmp_path))
    names = ["edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3"]
    one = dict(zip(names, ("conv", "none", "none", "none", "skip", "none"), strict=True))
    other = dict(zip(names, ("none", "none", "none", "conv", "none", "none"), strict=True))
    third = dict(zip(names, ("conv", "none", "none", "none", "conv", "none"), strict=True))
    assert space.canonical(one) == space.canonical(other) != space.canonical(third)
    assert (space.encode([one])[0, -4:] == space.encode([other])[0, -4:]).all()  # counts of 0 to 3 convolutions
    assert space.encode([one])[0, -4:].tolist() == [0, 1, 0, 0]
    assert space.encode([third])[0, -4:].tolist() == [0, 0, 1, 0]


def test_path_counts_by_hand():
    """Operators 0 zero, 1 identity, 2 and 3: paths 0-3, 0-1-3, 0-2-3, 0-1-2-3."""
    counts = path_counts(np.array([[2, 1, 3, 0, 2, 3]]), 4, zero=0, identity=1)[0]
    sequences = [s for n in range(4) for s in itertools.product((2, 3), repeat=n)]
    assert {s: c for s, c in zip(sequences, counts, strict=True) if c} == {(2, 2): 1, (3,): 1, (2, 3, 3): 1}


def test_graphs_are_found_whatever_the_order_of_their_vertices(tmp_path):
    space = Tabular(write_graphs(tmp_path))
    edges = {f"edge_{a}_{b}": 0 for a, b in itertools.combinations(range(4), 2)}
    one = {"vertices": 4, "op_1": "a", "op_2": "b", **edges, "edge_0_1": 1, "edge_1_3": 1, "edge_0_2": 1, "edge_2_3": 1}
    other = {**one, "op_1": "b", "op_2": "a"}
    assert space.row(one) == space.row(other)
    dead = {**edges, "vertices": 4, "op_1": "a", "op_2": "b", "edge_0_1": 1, "edge_1_3": 1, "edge_0_2": 1}
    chain = {"vertices": 3, "op_1": "a", "edge_0_1": 1, "edge_0_2": 0, "edge_1_2": 1}
    assert space.row(dead) == space.row(chain)  # vertex 2 leads nowhere
    with pytest.raises(UserError, match="no row"):
        space.row({**edges, "vertices": 4, "op_1": "a", "op_2": "b"})


def test_what_the_table_does_not_know_is_refused():
    space = Tabular(str(TABLES / "grid.yaml"))
    with pytest.raises(UserError, match="op: 'attention' is not in the table"):
        space.row({"depth": 2, "width": 8, "op": "attention"})
    with pytest.raises(UserError, match="has no row"):
        space.row({"depth": 2, "width": 8})


def test_nas_bench_101_hashes_are_the_official_ones(shared_data):
    """The hash of every 5,000th graph equals the one in the table, which others computed."""
    table = load_table("nb101")
    space = Tabular("nb101")
    assert table.keys.hash_N is not None
    for row in range(0, table.n_rows, 5000):
        operators, edges = space._steps._graph(space._steps._codes(row))
        assert int(graph_hash(operators, edges)[:16], 16) == int(table.keys.hash_N[row])


def test_fingerprints_tell_apart_what_the_official_hash_does(shared_data):
    """All 423,624 cells have prints of their own, and steps lead to the row of the official hash of what they made."""
    table, steps = load_table("nb101"), Tabular("nb101")._steps
    assert len(np.unique(steps._prints_N)) == table.n_rows
    row_of = {number: row for row, number in enumerate(table.keys.hash_N.tolist())}
    rng = np.random.default_rng(0)
    found = 0
    for row in rng.integers(table.n_rows, size=60).tolist():
        codes = steps._codes(row)
        for at in rng.integers(steps._n_steps(codes), size=5).tolist():
            made = without_dead_ends(*steps._graph(steps._step(codes, at)))
            whole = made is not None and len(made[1]) <= 9
            assert steps._find(steps._step(codes, at)) == (row_of[int(graph_hash(*made)[:16], 16)] if whole else None)
            found += whole
    assert found > 150


def without_dead_ends(operators, edges):
    """A graph without the vertices that are on no path; None if there is no path."""
    n = len(operators) + 2
    while True:
        ends = {v for v in range(n) if (v and not any(b == v for _, b in edges))}
        ends |= {v for v in range(n) if (v < n - 1 and not any(a == v for a, _ in edges))}
        left = frozenset((a, b) for a, b in edges if a not in ends and b not in ends)
        if left == edges:
            break
        edges = left
    kept = sorted({v for edge in edges for v in edge})
    if not kept:
        return None
    place = {v: i for i, v in enumerate(kept)}
    return tuple(operators[v - 1] for v in kept[1:-1]), frozenset((place[a], place[b]) for a, b in edges)


def test_a_graph_that_stands_there_twice_is_refused(tmp_path):
    write_graphs(tmp_path)
    columns = dict(np.load(tmp_path / "graphs.npz"))
    columns["hash"][7] = columns["hash"][3]
    np.savez(tmp_path / "graphs.npz", **columns)
    with pytest.raises(UserError, match=r"row 7: the same graph as in .*row 3"):
        load_table(str(tmp_path / "graphs.yaml"))


def test_nearest_rows_are_those_of_a_plain_comparison():
    """Genes that are lacking, and a gene of many values: against sorting all rows by their distance."""
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(-1, 4, size=(400, 6)).astype(np.int16), axis=0)
    codes[:, 5] = rng.integers(200, size=len(codes))
    knobs = [Choice(tuple(range(200 if g == 5 else 4)), ordered=g % 2 == 1) for g in range(6)]
    steps = NearestSteps(knobs, codes)
    unit = np.array([1 / (len(k.values) - 1) if k.ordered else 0 for k in knobs])
    for row in range(0, len(codes), 20):
        differ = (codes != codes[row]).sum(1)
        apart = (np.abs(codes - codes[row]) * unit).sum(1)
        order = np.lexsort((np.arange(len(codes)), apart, differ)).tolist()
        one = [r for g in range(6) for r in np.argsort(codes[:, g], kind="stable").tolist()
               if differ[r] == 1 and codes[r, g] != codes[row, g] and codes[r, g] >= 0]  # fmt: skip
        expected = [r for r in dict.fromkeys([*one, *order[:9]]) if r != row]
        assert steps.neighbours(row) == (one if len(one) >= 8 else expected[:8])
