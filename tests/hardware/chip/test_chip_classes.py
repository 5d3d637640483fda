"""The best chip of each class against brute force over the chips of that class; the order of the classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from _brute import chips, outcomes, random_table

from archip.hardware.chip.bounds import no_limits
from archip.hardware.chip.classes import CLASSES, best_of_class, worth
from archip.hardware.chip.search import Metric, key_of

ORDERS: dict[Metric, tuple[int, ...]] = {"energy": (1, 0, 2), "latency": (0, 1, 2), "area": (2, 1, 0)}


def belongs(kind: str, cores: tuple[int, ...], dataflows: list[str]) -> bool:
    return {
        "one_core": len(cores) == 1,
        "twins": len(cores) > 1 and len(set(cores)) == 1,
        "one_dataflow": len({dataflows[core] for core in cores}) == 1,
        "free": True,
    }[kind]


def instance(seed: int):
    """A small space of two dataflows; limits that bind in every other one."""
    rng = np.random.default_rng(1000 + seed)
    table = random_table(rng, int(rng.integers(3, 7)), [[3, 3], [4, 1], [5], [2, 1, 1]][seed % 4], 1, 2 + seed % 2)
    return rng, replace(table, designs=tuple(d._replace(dataflow="ab"[rng.integers(2)]) for d in table.designs))


@pytest.mark.parametrize("seed", range(16))
def test_equals_brute_force_in_each_class(seed):
    rng, table = instance(seed)
    names = [design.dataflow for design in table.designs]
    points: dict[str, set[tuple[int, int, int]]] = {kind: set() for kind in CLASSES}
    members = dict.fromkeys(CLASSES, 0)
    for cores in chips(table):
        rows = list(cores)
        ends = outcomes(table.cycles_DL[rows].tolist(), table.energy_DL[rows].tolist(), table.first_C.tolist())
        for kind in CLASSES:
            if belongs(kind, cores, names):
                members[kind] += 1
                points[kind] |= {(span, energy, int(table.area_D[rows].sum())) for span, energy in ends}
    limits = no_limits(table)
    if seed % 2 and points["free"]:
        spans, areas = (sorted(p[i] for p in points["free"]) for i in (0, 2))
        limits = limits._replace(cycles=spans[int(rng.integers(len(spans)))], area=areas[rng.integers(len(areas))])
    for minimise, order in ORDERS.items():
        least = []
        for kind in CLASSES:
            kept = [p for p in points[kind] if p[0] <= limits.cycles and p[2] <= limits.area]
            wanted = min((tuple(p[i] for i in order) for p in kept), default=None)
            found = best_of_class(table, limits, minimise, kind)
            assert found is not None
            assert found.certificate.enumerated == members[kind]
            assert found.certificate.enumerated == sum(found.certificate.pruned.values()) + found.certificate.solved
            assert (found.certificate.gap, found.certificate.n_open) == (0.0, 0)
            assert (None if found.point is None else key_of(found.point, minimise)) == wanted
            least.append(np.inf if wanted is None else wanted[0])
        one_core, twins, one_dataflow, free = least
        assert min(one_core, twins) >= one_dataflow >= free


def test_a_class_that_the_space_does_not_have():
    _, table = instance(0)
    assert best_of_class(replace(table, cores=1), no_limits(table), "energy", "twins") is None
    assert best_of_class(replace(table, min_cores=2), no_limits(table), "energy", "one_core") is None


def test_worth_is_told_apart():
    told = worth({"one_core": 150.0, "twins": 120.0, "one_dataflow": 100.0, "free": 80.0})
    assert told == pytest.approx({"more_cores": 0.5, "unequal_sizes": 0.2, "different_dataflows": 0.25})
    assert worth({"one_core": None, "twins": 1.0, "one_dataflow": 1.0, "free": 1.0}) == {
        "more_cores": None,
        "unequal_sizes": 0.0,
        "different_dataflows": 0.0,
    }
