"""The policy that puts layers on cores, as a key of the problem file."""

import pytest

from archip.core.errors import UserError
from archip.core.problem import Problem

TASK = {"data": "digits", "net": "resnet9"}
CHIP = {"chip": {"cores": 2}}


def read(**keys):
    return Problem.from_dict({"name": "x", "tasks": {"a": TASK}, "target": CHIP, "baselines": [], **keys})


def test_it_is_exact_where_a_strategy_solves_chips_and_the_heuristic_elsewhere():
    assert read(strategy="nested").schedule == "dynamic_programming"
    assert read(strategy="nsga2", baselines=["nas_then_asic"]).schedule == "dynamic_programming"
    assert read(strategy="nsga2").schedule == "hap"
    assert read(strategy="nested", target={"chip": {"cores": 3}}).schedule == "hap"
    assert read(strategy="nested", tasks={"a": TASK, "b": TASK, "c": TASK}).schedule == "hap"
    assert read(strategy="nsga2", target=None).schedule is None


def test_what_is_given_counts_and_survives_a_round_trip():
    problem = read(strategy="nested", schedule="list_scheduling")
    assert problem.schedule == "list_scheduling"
    assert Problem.from_dict(problem.to_json()) == problem


def test_a_policy_that_does_not_exist_or_has_nothing_to_schedule_is_refused():
    with pytest.raises(UserError, match="happ") as error:
        read(schedule="happ")
    assert (error.value.where, "hap" in error.value.right) == ("schedule", True)
    with pytest.raises(UserError, match="no chip whose cores"):
        read(schedule="hap", target=None)
