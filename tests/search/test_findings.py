"""Findings against the functions that look at all records at once."""

from __future__ import annotations

import numpy as np
import pytest
from _stages import SPACE

from archip.core.objectives import Goals, Limit, Objective
from archip.core.pareto import binding, front
from archip.core.record import Record, Status
from archip.search import findings
from archip.search.findings import Findings

LIMITS = (Limit("energy_j", 0.6), Limit("area_mm2", 0.5))
GOALS = Goals((Objective("quality", 1), Objective("energy_j", -1), Objective("area_mm2", -1)), LIMITS)


def some_records(n: int, seed: int, lowest: float = 0.0) -> list[Record]:
    """Coarse values, so that ties and duplicates occur; a tenth has failed."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(n):
        quality, energy, area = (round(float(v), 1) for v in rng.uniform((0, lowest, lowest), 1))
        metrics = {"quality": quality, "energy_j": energy, "area_mm2": area}
        feasible = energy <= 0.6 and area <= 0.5
        status = Status.OK if feasible else Status.INFEASIBLE
        if rng.uniform() < 0.1:
            metrics, status = {}, Status.FAILED
        records.append(Record(SPACE.sample(rng), metrics, status, number=number))
    return records


def added(records, batch: int, goals=GOALS) -> Findings:
    found = Findings(goals)
    for i in range(0, len(records), batch):
        found.add(records[i : i + batch])
    return found


@pytest.mark.parametrize("batch", [1, 7, 500])
@pytest.mark.parametrize("seed", range(4))
def test_front_counts_and_extremes_are_those_of_all_records(seed, batch):
    records = some_records(500, seed)
    found = added(records, batch)
    feasible = [r for r in records if GOALS.feasible(r)]
    assert list(found.front) == list(front(records, GOALS))
    assert (found.n, found.n_feasible) == (500, len(feasible))
    assert found.n_failed == sum(r.status is Status.FAILED for r in records)
    assert found.best_quality == max(r.metrics["quality"] for r in feasible)
    assert found.low_M.tolist() == GOALS.losses(feasible).min(0).tolist()
    assert found.high_M.tolist() == GOALS.losses(feasible).max(0).tolist()
    assert found.shown == records


@pytest.mark.parametrize("seed", range(4))
def test_the_binding_limit_is_that_of_all_records(seed):
    records = some_records(60, seed, lowest=0.61)
    assert added(records, 8).binding == binding(records, GOALS)
    assert added([], 1).binding == binding([], GOALS)


def test_of_very_many_a_sample_is_kept_with_the_front_and_every_improvement(monkeypatch):
    monkeypatch.setattr(findings, "_SAMPLE", 50)
    records = some_records(2000, 0)
    found = added(records, 32)
    assert 50 <= len(found._sample) <= 100
    assert len(np.unique(np.diff([r.number for r in found._sample]))) == 1
    numbers = [r.number for r in found.shown]
    assert numbers == sorted(set(numbers))
    assert list(front(found.shown, GOALS)) == list(found.front) == list(front(records, GOALS))
