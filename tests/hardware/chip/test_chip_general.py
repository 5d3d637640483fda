"""Graphs, shared DRAM and free mappings: best chip and Pareto set against brute force over all orders and choices."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from _brute import chips, front, random_table

from archip.core.registry import validate
from archip.hardware.chip.bounds import no_limits
from archip.hardware.chip.extras import Extras, graph_rows, paths, unit_rows
from archip.hardware.chip.general import best_general, pareto_general
from archip.hardware.chip.search import Metric, key_of
from archip.hardware.chip.space import ChipSpec
from archip.hardware.chip.table import cost_table
from archip.hardware.schedule._label_dp import NEVER
from archip.ir.graph import GraphBuilder
from archip.ir.workload import workload

KINDS = ("graph", "dram", "ways", "all")
FULL = 1000


def instance(seed: int):
    """A small space with the extras of its kind; its rates are whole thousandths."""
    rng, kind = np.random.default_rng(2000 + seed), KINDS[seed % 4]
    n_layers, n_ways = (3 if kind == "all" else 4), 2 if kind in ("ways", "all") else 1
    table = random_table(rng, 3, [n_layers - 1, 1], 1, 2)
    before = [(), *((row - 1,) if row < n_layers - 1 else () for row in range(1, n_layers))]
    if kind in ("graph", "all"):
        before = [tuple(p for p in range(row) if rng.random() < 0.4) for row in range(n_layers)]
    alone_L = None
    cycles_MDL, energy_MDL = table.cycles_DL[None], table.energy_DL[None]
    if n_ways == 2:
        other = rng.integers(1, 9, table.cycles_DL.shape)
        cycles_MDL = np.stack([table.cycles_DL, np.where(rng.random(other.shape) < 0.2, NEVER, other)])
        energy_MDL = np.stack([table.energy_DL, rng.integers(1, 9, other.shape)])
    if kind in ("dram", "all"):
        alone_L = rng.integers(0, 5, n_layers).astype(float)
        cycles_MDL = np.where(cycles_MDL < NEVER, np.maximum(cycles_MDL, alone_L.astype(int)), NEVER)
    extras = Extras(tuple(before), alone_L, cycles_MDL, energy_MDL)
    least_DL = cycles_MDL.min(axis=0)
    energy_DL = np.where(least_DL < NEVER, extras.prices_MDL.min(axis=0), 0).astype(np.int64)
    return replace(table, cycles_DL=least_DL, energy_DL=energy_DL, extras=extras)


def earliest(done, core, cycles, share, ready):
    """The first cycle from `ready` on at which a layer fits between those that are placed; ends are the candidates."""
    for start in sorted({ready, *(end for _, end, _, _ in done if end > ready)}):
        times = {start, *(s for s, _, _, _ in done if start < s < start + cycles)}
        busy = any(k == core and s < start + cycles and start < e for s, e, k, _ in done)
        used = max(sum(r for s, e, _, r in done if s <= t < e) for t in times)
        if not busy and used + share <= FULL:
            return start
    raise AssertionError("after the last end everything fits")


def outcomes(table, rows):
    """(makespan, energy) of every choice of core and way of the layers, at the best order for each choice."""
    extras, found = table.extras, set()
    n_ways, n_layers = len(extras.cycles_MDL), len(table.layers)
    orders = [
        order
        for order in permutations(range(n_layers))
        if all(order.index(p) < order.index(layer) for layer in range(n_layers) for p in extras.before[layer])
    ]
    for choice in product(product(range(len(rows)), range(n_ways)), repeat=n_layers):
        at = [(way, rows[core], layer) for layer, (core, way) in enumerate(choice)]
        cycles = [int(extras.cycles_MDL[a]) for a in at]
        if max(cycles) >= NEVER:
            continue
        alone = np.zeros(n_layers) if extras.alone_L is None else extras.alone_L
        share = [int(np.ceil(FULL * alone[i] / cycles[i] - 1e-9)) for i in range(n_layers)]
        spans = []
        for order in orders:
            done: dict[int, tuple[int, int, int, int]] = {}
            for i in order:
                ready = max((done[p][1] for p in extras.before[i]), default=0)
                start = earliest(done.values(), choice[i][0], cycles[i], share[i], ready)
                done[i] = (start, start + cycles[i], choice[i][0], share[i])
            spans.append(max(end for _, end, _, _ in done.values()))
        found.add((min(spans), sum(int(extras.energy_MDL[a]) for a in at)))
    return found


def all_points(table):
    return {
        (span, energy, int(table.area_D[list(cores)].sum()))
        for cores in chips(table)
        for span, energy in outcomes(table, list(cores))
    }


@pytest.mark.parametrize("seed", range(16))
def test_equals_brute_force(seed):
    table = instance(seed)
    points = all_points(table)
    limits = no_limits(table)
    if seed % 3 == 1 and points:
        limits = limits._replace(cycles=sorted(p[0] for p in points)[len(points) // 2])
    kept = {p for p in points if p[0] <= limits.cycles}
    orders: dict[Metric, int] = {"energy": 1, "latency": 0, "area": 2}
    for minimise, column in orders.items():
        best = best_general(table, limits, minimise)
        told = best.certificate
        assert told.enumerated == len(chips(table)) == sum(told.pruned.values()) + told.solved
        assert (told.gap, told.n_open) == (0.0, 0)
        wanted = min((p[column] for p in kept), default=None)
        assert (None if best.point is None else key_of(best.point, minimise)[0]) == wanted
        if best.point is not None:
            assert best.point[:3] in kept
    found = pareto_general(table, limits)
    assert {point[:3] for point in found.points} == front(kept)
    assert found.certificate.n_open == 0
    loose = [point[:3] for point in pareto_general(table, limits, tolerance=0.2).points]
    for cycles, energy, area in front(kept):
        assert any(c <= 1.2 * cycles and e <= 1.2 * energy and a <= area for c, e, a in loose)


def test_time_that_is_up_leaves_chips_open():
    table = instance(3)
    best = best_general(table, no_limits(table), "energy", time_limit_s=-1)
    assert best.certificate.n_open > 0
    assert best.certificate.gap != 0
    assert pareto_general(table, no_limits(table), time_limit_s=-1).certificate.n_open > 0


def branches():
    """Two convolutions that read the same tensor, and one that reads their sum."""
    g = GraphBuilder()
    x = g.input("x", (1, 4, 8, 8), "NCHW")
    first = g.add("conv", x, name="stem", out_channels=8, kernel=(3, 3))
    left = g.add("relu", g.add("conv", first, name="left", out_channels=8, kernel=(3, 3), padding=(1, 1)), name="act")
    right = g.add("conv", first, name="right", out_channels=8, kernel=(3, 3), padding=(1, 1))
    return workload(
        g.finish(g.add("conv", g.add("add", left, right, name="sum"), name="end", out_channels=4, kernel=(1, 1)))
    )


def test_rows_of_a_network_wait_for_what_they_read():
    work = branches()
    rows = graph_rows(work, None)
    names = [name for name, kind in zip(work.names, work.kinds, strict=True) if kind != "vector"]
    told = {name: {names[p] for p in waits} for name, waits in zip(names, rows, strict=True)}
    assert told == {"stem": set(), "left": {"stem"}, "right": {"stem"}, "end": {"left", "right"}}
    assert all(p < unit for unit, waits in enumerate(graph_rows(work, unit_rows(work))) for p in waits)


def test_paths_cover_every_layer_once_and_follow_the_graph():
    found = paths([(), (0,), (0,), (1, 2), ()], [1, 5, 2, 1, 3])
    assert found == [[0, 1, 3], [4], [2]]
    assert paths([(), (0,), (1,)], [1, 1, 1]) == [[0, 1, 2]]


@pytest.mark.parametrize("model", ["maestro", "loopnest"])
def test_graphs_are_never_slower_and_contention_never_faster(model):
    small = {"pes": {"total": 256, "step": 64}, "bandwidth": {"total": "16 GB/s"}, "cost_model": model, "min_cores": 2}
    work = {"a": branches()}
    least = {}
    for name, options in {"chain": {}, "dag": {"graph": "dag"}, "dram": {"graph": "dag", "dram": "1 GB/s"}}.items():
        table = cost_table(work, validate(ChipSpec, small | options))
        if name == "chain":
            assert table.extras is None
            table = replace(table, extras=cost_table(work, validate(ChipSpec, small | {"dram": "1 TB/s"})).extras)
        best = best_general(table, no_limits(table), "latency").point
        assert best is not None
        least[name] = best.cycles
    if model == "maestro":
        assert least["dag"] < least["chain"]
    else:  # the sum runs with the branch before it, which so waits for the other one
        assert least["dag"] <= least["chain"]
    assert least["dag"] < least["dram"]


def test_free_mappings_are_at_least_as_good_as_fixed_and_fastest_ones():
    small = {"pes": {"total": 128, "step": 64}, "bandwidth": {"total": "16 GB/s"}, "dataflows": ["nvdla", "eyeriss"]}
    work = {"a": branches(), "b": branches()}
    energy = {}
    for mapping in ("fixed", "fastest", "free"):
        table = cost_table(work, validate(ChipSpec, small | {"mapping": mapping}))
        assert (table.extras is not None) == (mapping == "free")
        if table.extras is None:
            table = replace(table, extras=Extras(_chains(table), None, table.cycles_DL[None], table.energy_DL[None]))
        best = best_general(table, no_limits(table), "energy").point
        assert best is not None
        energy[mapping] = best.energy
    assert energy["free"] <= min(energy["fixed"], energy["fastest"])


def _chains(table):
    firsts = set(table.first_C.tolist())
    return tuple(() if row in firsts else (row - 1,) for row in range(len(table.layers)))
