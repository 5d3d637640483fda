"""Best chip and Pareto set against brute force on small spaces; certificates add up; witnesses are valid schedules."""

from __future__ import annotations

import numpy as np
import pytest
from _brute import all_points, chips, front, outcomes, random_table

from archip.hardware.chip.bounds import no_limits
from archip.hardware.chip.front import pareto_chips
from archip.hardware.chip.search import Metric, best_chip
from archip.hardware.schedule._label_dp import NEVER

KEYS: dict[Metric, tuple[int, ...]] = {"energy": (1, 0, 2), "latency": (0, 1, 2), "area": (2, 1, 0)}


def instance(seed: int):
    """A small space: one to three networks, one to three cores."""
    rng = np.random.default_rng(seed)
    sizes = [[3, 3], [4, 2], [5], [2, 1], [2, 2, 1]][seed % 5]
    cores = 2 if len(sizes) == 3 else [2, 2, 3][seed % 3]
    return rng, random_table(rng, int(rng.integers(3, 7)), sizes, 1 + (seed % 7 == 0), cores)


def check_front(seed: int):
    rng, table = instance(seed)
    points = all_points(table)
    limits = no_limits(table)
    if seed % 2 and points:  # limits that bind
        spans, energies, areas = (sorted(p[i] for p in points) for i in range(3))
        limits = limits._replace(
            cycles=spans[int(rng.integers(len(spans)))],
            energy=energies[int(rng.integers(len(energies)))],
            area=areas[int(rng.integers(len(areas)))],
        )
    kept = {p for p in points if p[0] <= limits.cycles and p[1] <= limits.energy and p[2] <= limits.area}
    found = pareto_chips(table, limits, threads=1 + seed % 2)
    assert {tuple(p) for p in found.points_N3.tolist()} == front(kept)
    assert len({tuple(p) for p in found.points_N3.tolist()}) == len(found)
    add_up(found.certificate, table)
    for n in range(len(found)):
        check_witness(found.table, found[n])
    for minimise, key in KEYS.items():
        best = best_chip(table, limits, minimise)
        add_up(best.certificate, table)
        wanted = min(([p[i] for i in key] for p in kept), default=None)
        if wanted is None:
            assert best.point is None
        else:
            assert best.point is not None
            assert [best.point[i] for i in key] == wanted
            check_witness(best.table, best.point)


def add_up(certificate, table):
    assert certificate.enumerated == len(chips(table))
    assert certificate.enumerated == sum(certificate.pruned.values()) + certificate.solved
    assert min(certificate.pruned.values()) >= 0
    assert (certificate.n_open, certificate.gap) == (0, 0.0)


def check_witness(table, point):
    """Area, energy and shortest makespan of the assignment are those of the point; its start cycles are valid."""
    rows, layers = list(point.designs), np.arange(len(table.layers))
    cycles_L = table.cycles_DL[rows][point.core_L, layers]
    assert int(table.area_D[rows].sum()) == point.area
    assert int(table.energy_DL[rows][point.core_L, layers].sum()) == point.energy
    only_KL = np.where(np.arange(len(rows))[:, None] == point.core_L, cycles_L, NEVER)
    spans = outcomes(only_KL.tolist(), np.zeros_like(only_KL).tolist(), table.first_C.tolist())
    assert min(spans)[0] == point.cycles
    if point.start_L is not None:
        end_L = point.start_L + cycles_L
        assert end_L.max() == point.cycles
        for a, b in zip(table.first_C[:-1], table.first_C[1:], strict=True):
            assert (point.start_L[a + 1 : b] >= end_L[a : b - 1]).all()
        for core in range(len(rows)):
            on = np.flatnonzero(point.core_L == core)
            on = on[np.lexsort((end_L[on], point.start_L[on]))]
            assert (point.start_L[on][1:] >= end_L[on][:-1]).all()


@pytest.mark.parametrize("seed", range(25))
def test_equals_brute_force(seed):
    check_front(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25, 200))
def test_equals_brute_force_on_more(seed):
    check_front(seed)
