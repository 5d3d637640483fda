"""The key `workers` and what it stands for."""

import pytest

from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.core.workers import workers_plug


@pytest.mark.parametrize(
    ("value", "plug"),
    [
        (1, ("serial", {})),
        ("1", ("serial", {})),
        (4, ("processes", {"n": 4})),
        ("4", ("processes", {"n": 4})),
        ("ray", ("ray", {})),
        ("ray://head:10001", ("ray", {"address": "ray://head:10001"})),
        ("10.0.0.1:6379", ("ray", {"address": "10.0.0.1:6379"})),
        ({"processes": {"n": 2, "threads": 2}}, ("processes", {"n": 2, "threads": 2})),
        ({"ray": None}, ("ray", {})),
    ],
)
def test_what_workers_stand_for(value, plug):
    assert workers_plug(value) == plug


@pytest.mark.parametrize("value", [0, -1, True, 1.5, [], {}, {"ray": 1}, {"a": {}, "b": {}}])
def test_what_are_no_workers(value):
    with pytest.raises(UserError, match="workers"):
        workers_plug(value)


def test_the_problem_is_the_same_whoever_evaluates_it(toy_problem):
    one, four = (Problem.from_dict(toy_problem | {"workers": n}) for n in (1, 4))
    assert one.id == four.id == Problem.from_dict(toy_problem).id == one.run_by("ray").id
    assert Problem.from_dict(four.to_json()).workers == four.workers
    assert four.to_json()["workers"]["processes"]["n"] == 4


def test_a_lag_and_a_time_limit_are_part_of_the_problem(toy_problem):
    base = Problem.from_dict(toy_problem)
    for key, value in (("lag", 1), ("candidate_s", 5.0)):
        budget = toy_problem["budget"] | {key: value}
        assert Problem.from_dict(toy_problem | {"budget": budget}).id != base.id


@pytest.mark.parametrize(
    ("value", "told"),
    [("rays", "did you mean 'ray'"), ({"processes": {"m": 4}}, "unknown option"), ({"processes": {"n": 0}}, "workers")],
)
def test_mistakes_are_told_with_their_place(toy_problem, value, told):
    with pytest.raises(UserError, match=told):
        Problem.from_dict(toy_problem | {"workers": value})
