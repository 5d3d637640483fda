"""The cascade: caching by what a stage reads, early pruning, failures, and the loop on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.knobs import IntRange, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.problem import Budget
from archip.core.protocols import Task
from archip.core.record import Outcome, Status
from archip.search.cascade import Cascade
from archip.search.loop import search
from archip.spaces.product import ProductSpace
from archip.store.memory import Memory
from archip.strategies.random_search import RandomSearch


class Line(KnobSpace):
    @cached_property
    def knobs(self):
        return {"i": IntRange(0, 9)}


@dataclass
class CostStage:
    """Energy i; fails at 9."""

    name: str = "cost"
    reads: tuple[str, ...] = ("net.a", "hw")
    key: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)

    def prepare(self, progress):
        self.calls.append("prepare")

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        self.calls += [c.id for c in candidates]
        return [
            Outcome(status=Status.FAILED, reason="nine")
            if c.net["a"]["i"] == 9
            else Outcome({"energy_j": c.net["a"]["i"]})
            for c in candidates
        ]


@dataclass
class AccuracyStage:
    name: str = "train.a"
    reads: tuple[str, ...] = ("net.a",)
    key: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)

    def prepare(self, progress):
        self.calls.append("prepare")

    def evaluate(self, candidates):
        self.calls += [c.net["a"]["i"] for c in candidates]
        return [Outcome({"a.accuracy": c.net["a"]["i"] / 10}, seconds=0.0) for c in candidates]


GOALS = Goals((Objective("quality", 1), Objective("energy_j", -1)), (Limit("energy_j", 6.0),))
TASK = Task("a", Line(), lambda: None, "accuracy", 1.0)


@pytest.fixture
def cascade():
    return Cascade((CostStage(), AccuracyStage()), GOALS, Memory(), (TASK,))


def candidate(i: int, hw: int = 0) -> Candidate:
    return Candidate({"a": {"i": i}}, {"i": hw})


def test_every_candidate_gets_its_record_in_order(cascade):
    ok, pruned, failed = cascade.evaluate([candidate(3), candidate(8), candidate(9)])
    assert ok.status is Status.OK
    assert ok.metrics == {"energy_j": 3, "a.accuracy": 0.3, "quality": 0.3}
    assert pruned.status is Status.INFEASIBLE
    assert "energy_j <= 6 J" in pruned.reason
    assert "quality" not in pruned.metrics
    assert (failed.status, failed.reason, failed.metrics) == (Status.FAILED, "nine", {})


def test_what_breaks_a_limit_is_not_trained(cascade):
    cascade.evaluate([candidate(i) for i in range(10)])
    assert cascade.stages[1].calls == ["prepare", 0, 1, 2, 3, 4, 5, 6]


def test_the_same_network_on_another_chip_is_not_trained_again(cascade):
    cascade.evaluate([candidate(3, hw=0), candidate(3, hw=1)])
    cascade.evaluate([candidate(3, hw=2), candidate(3, hw=0)])
    assert cascade.stages[1].calls == ["prepare", 3]
    assert len([c for c in cascade.stages[0].calls if c != "prepare"]) == 3
    assert vars(cascade.counts) == {"evaluated": 3, "failed": 0, "cached": 1}


def test_stages_are_prepared_only_if_something_is_to_be_evaluated(cascade):
    cascade.evaluate([candidate(3)])
    again = Cascade((CostStage(), AccuracyStage()), GOALS, cascade.store, (TASK,))
    (record,) = again.evaluate([candidate(3)])
    assert record.metrics["quality"] == 0.3
    assert again.stages[0].calls == again.stages[1].calls == []


def test_a_stage_with_another_key_is_evaluated_anew(cascade):
    cascade.evaluate([candidate(3)])
    other = AccuracyStage(key={"seed": 1})
    Cascade((CostStage(), other), GOALS, cascade.store, (TASK,)).evaluate([candidate(3)])
    assert other.calls == ["prepare", 3]


def test_an_outcome_that_is_not_finite_is_a_failure_with_a_reason():
    outcome = Outcome({"energy_j": float("nan")})
    assert outcome.status is Status.FAILED
    assert "energy_j" in outcome.reason


def run(budget: Budget, store=None, seed=0):
    space = ProductSpace({"net.a": Line(), "hw": Line()})
    cascade = Cascade((CostStage(), AccuracyStage()), GOALS, store or Memory(), (TASK,))
    records = []
    search(RandomSearch(), space, cascade, GOALS, budget, seed, records.extend)
    return records, cascade


def test_the_loop_spends_its_budget_and_no_more():
    records, _ = run(Budget(candidates=25, batch=8))
    assert [r.number for r in records] == list(range(25))
    assert len({r.candidate.id for r in records}) == 25


def test_the_loop_ends_when_the_space_is_exhausted():
    records, _ = run(Budget(candidates=500, batch=50))
    assert len(records) == 100


def test_continuing_asks_the_same_and_evaluates_only_what_is_new():
    store = Memory()
    first, _ = run(Budget(candidates=16, batch=8), store)
    second, cascade = run(Budget(candidates=32, batch=8), store)
    fresh, _ = run(Budget(candidates=32, batch=8))
    assert [r.candidate.id for r in second[:16]] == [r.candidate.id for r in first]
    assert [(r.candidate.id, r.metrics) for r in second] == [(r.candidate.id, r.metrics) for r in fresh]
    assert cascade.counts.cached >= 16


def test_another_seed_asks_for_something_else():
    one, _ = run(Budget(candidates=16, batch=8), seed=0)
    two, _ = run(Budget(candidates=16, batch=8), seed=1)
    assert [r.candidate.id for r in one] != [r.candidate.id for r in two]


def test_no_time_means_no_candidates_after_the_first_look():
    records, _ = run(Budget(candidates=500, batch=8, minutes=1e-9))
    assert len(records) <= 8
    assert np.isfinite([r.seconds for r in records]).all()


class TrainsAll(RandomSearch):
    prunes = False


def test_a_strategy_may_have_networks_judged_that_break_a_limit(cascade):
    """They are trained, and stay infeasible; the next search over the cascade prunes again."""
    space, records = ProductSpace({"net.a": Line(), "hw": Line()}), []
    search(TrainsAll(), space, cascade, GOALS, Budget(candidates=60, batch=10), 0, records.extend)
    broken = [r for r in records if r.metrics.get("energy_j", 0) > 6]
    assert broken
    assert all("quality" in r.metrics and r.status is Status.INFEASIBLE for r in broken)
    search(RandomSearch(), space, cascade, GOALS, Budget(candidates=1), 0)
    assert cascade.prunes
