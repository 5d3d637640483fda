from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status

GOALS = Goals(
    (Objective("quality", +1), Objective("energy_j", -1)),
    (Limit("latency_s", 2.0), Limit("digits.accuracy", 0.9)),
)


def record(status: Status = Status.OK, **metrics: float) -> Record:
    named = {k.replace("digits_", "digits."): v for k, v in metrics.items()}
    return Record(Candidate(net={"digits": {"n": len(metrics)}}), named, status)


GOOD = record(quality=0.8, energy_j=3.0, latency_s=1.0, digits_accuracy=0.95)
BETTER = record(quality=0.9, energy_j=9.0, latency_s=2.0, digits_accuracy=0.9)
SLOW = record(quality=0.99, energy_j=1.0, latency_s=2.2, digits_accuracy=0.95)
WRONG = record(quality=0.99, energy_j=1.0, latency_s=1.0, digits_accuracy=0.45)
STOPPED = record(Status.INFEASIBLE, energy_j=1.0, latency_s=2.2)
FAILED = record(Status.FAILED)


def test_goal_comes_from_the_metric_table():
    assert Objective.of("motion.accuracy") == Objective("motion.accuracy", +1)
    assert Objective.of("area_mm2").goal == -1


@pytest.mark.parametrize(
    ("limit", "value", "violation"),
    [
        (Limit("latency_s", 2.0), 2.0, 0.0),
        (Limit("latency_s", 2.0), 1.0, 0.0),
        (Limit("latency_s", 2.0), 2.2, 0.1),
        (Limit("accuracy", 0.9), 0.9, 0.0),
        (Limit("accuracy", 0.9), 0.99, 0.0),
        (Limit("accuracy", 0.9), 0.45, 0.5),
    ],
)
def test_violation_by_hand(limit: Limit, value: float, violation: float):
    assert limit.violation(value) == pytest.approx(violation)


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_violation_is_zero_exactly_where_the_limit_holds(bound: float, value: float):
    assert (Limit("energy_j", bound).violation(value) == 0) == (value <= bound)
    assert (Limit("iou", bound).violation(value) == 0) == (value >= bound)


def test_limits_read_well():
    assert str(Limit("energy_j", 2e-3)) == "energy_j <= 2 mJ"
    assert str(Limit("digits.accuracy", 0.9)) == "digits.accuracy >= 0.9"


def test_violations_add_up_over_known_metrics():
    assert GOALS.violation({"latency_s": 2.2, "digits.accuracy": 0.45}) == pytest.approx(0.6)
    assert GOALS.violation({"latency_s": 2.2}) == pytest.approx(0.1)
    np.testing.assert_allclose(GOALS.violations([GOOD, SLOW, STOPPED, FAILED]), [0, 0.1, 0.1, np.inf])


def test_feasible_means_evaluated_in_full_and_within_limits():
    assert [GOALS.feasible(r) for r in (GOOD, BETTER, SLOW, WRONG, STOPPED, FAILED)] == [True, True, *[False] * 4]
    assert not GOALS.feasible(record(Status.INFEASIBLE, latency_s=1.0))


def test_losses_are_to_be_minimised():
    losses = GOALS.losses([GOOD, STOPPED, FAILED])
    np.testing.assert_array_equal(losses, [[-0.8, 3.0], [math.inf, 1.0], [math.inf, math.inf]])
    assert GOALS.losses([]).shape == (0, 2)


def test_feasible_first_then_the_smaller_violation():
    ranked = sorted([FAILED, WRONG, STOPPED, SLOW, GOOD, BETTER], key=GOALS.key)
    assert ranked == [BETTER, GOOD, SLOW, STOPPED, WRONG, FAILED]
