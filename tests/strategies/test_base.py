import math
from dataclasses import replace

import numpy as np
import pytest
from _stairs import GOALS, Stairs, at, failed, record

from archip.core.record import Status
from archip.strategies._base import AskTell

RNG = np.random.default_rng(0)


class Stubborn(AskTell):
    """Proposes 0 for ever, and keeps what it observes."""

    def begin(self):
        self.observed = []

    def propose(self, rng):
        return at(0)

    def observe(self, records):
        self.observed += records


@pytest.fixture
def strategy():
    strategy = Stubborn()
    strategy.start(Stairs(50), GOALS)
    return strategy


def test_a_proposal_that_is_known_gives_way_to_others(strategy):
    asked = strategy.ask(30, RNG)
    assert asked[0] == at(0)
    assert len(set(asked)) == 30
    assert set(asked) | set(strategy.ask(100, RNG)) == set(Stairs(50).enumerate())
    assert strategy.ask(1, RNG) == []


def test_only_what_is_pending_is_observed_and_once(strategy):
    (first,) = strategy.ask(1, RNG)
    strategy.tell([record(49), record(0)])
    strategy.tell([record(0, quality=0.9)])
    assert [r.candidate for r in strategy.observed] == [first]
    assert strategy.observed[0].metrics["quality"] == 0.5
    assert strategy.pending == {}


def test_numbers_that_are_not_finite_are_failures(strategy):
    strategy.ask(50, RNG)
    strategy.tell([record(1, quality=math.nan), record(2, area=math.inf)])
    assert [(r.status, r.metrics, r.reason) for r in strategy.observed] == [
        (Status.FAILED, {}, "not finite: quality"),
        (Status.FAILED, {}, "not finite: area_mm2"),
    ]


def test_best_is_feasible_first_then_by_the_first_objective(strategy):
    strategy.ask(50, RNG)
    assert strategy.best is None
    stages = [failed(1), record(2, quality=0.9, area=2.0), record(3, quality=0.9, area=1.5), record(4, quality=0.1)]
    for told in stages:
        strategy.tell([told])
        assert strategy.best == told
    strategy.tell([record(5, quality=0.05), record(6, quality=math.nan), record(7, quality=0.1, energy=2.0)])
    assert strategy.best == stages[-1]
    pruned = replace(record(8), status=Status.INFEASIBLE)
    strategy.tell([pruned])
    assert strategy.best == stages[-1]
