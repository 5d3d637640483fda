"""Problem files: what is accepted, the defaults, and the message for every kind of mistake."""

from __future__ import annotations

import json
import math

import pytest

from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.core.problem_schema import json_schema


def changed(problem: dict, path: str, value: object) -> dict:
    """A copy with one key set; `path` is dotted."""
    copy = json.loads(json.dumps(problem))
    *outer, last = path.split(".")
    inner = copy
    for key in outer:
        inner = inner[key]
    inner[last] = value
    return copy


def test_defaults_are_filled_in_and_survive_a_round_trip(toy_problem):
    problem = Problem.from_dict(toy_problem)
    assert problem.tasks["shapes"].metric == "accuracy"
    assert problem.tasks["shapes"].weight == 1.0
    assert problem.to_json()["strategy"]["nsga2"]["population"] == 8
    again = Problem.from_dict(problem.to_json())
    assert again.to_json() == problem.to_json()
    assert again.id == problem.id


def test_limits_are_read_with_their_units(toy_problem):
    in_time = Problem.from_dict(toy_problem).goals
    assert [(limit.metric, limit.bound) for limit in in_time.limits] == [
        ("latency_s", 1e-3),
        ("energy_j", 1e-3),
        ("area_mm2", 10.0),
    ]
    in_cycles = Problem.from_dict(changed(toy_problem, "limits.latency", "8e5 cycles")).goals
    assert in_cycles.limits[0].metric == "latency_cycles"
    assert "latency_cycles" in [o.metric for o in in_cycles.objectives]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("targett", {}, ["targett", "target"]),
        ("tasks.shapes.nett", "resnet9", ["tasks.shapes.nett", "did you mean 'net'"]),
        ("tasks.shapes.net", "resnet10", ["resnet10", "resnet9"]),
        ("tasks.shapes.net", None, ["tasks.shapes.net", "write a name"]),
        ("strategy", None, ["strategy", "write a name"]),
        ("tasks.shapes.weight", math.inf, ["tasks.shapes.weight", "finite"]),
        ("strategy", {"nsga2": {"mutation": math.nan}}, ["strategy.nsga2.mutation"]),
        ("tasks.shapes.net", "unet", ["segmentation", "iou"]),
        ("tasks.shapes.net", "product", ["product"]),
        ("tasks.shapes.weight", -1, ["weight"]),
        ("tasks.shapes.metric", "iou", ["accuracy", "iou"]),
        ("tasks", {}, ["tasks"]),
        ("strategy", {"nsga2": {"populaton": 8}}, ["strategy.nsga2.populaton", "population"]),
        ("strategy", {"nsga2": {"population": "many"}}, ["strategy.nsga2.population", "many"]),
        ("strategy", {"nsga2": {}, "random_search": {}}, ["strategy"]),
        ("limits.latency", "5 parsecs", ["limits.latency", "parsecs"]),
        ("limits.latency", "5 mJ", ["limits.latency", "energy"]),
        ("limits.latency", -3, ["limits.latency"]),
        ("limits.energy", "0 J", ["limits.energy", "positive"]),
        ("limits.latancy", "5 ms", ["latancy", "latency"]),
        ("limits.quality", "1.5", ["limits.quality", "between 0 and 1"]),
        ("objectives", ["quality", "speed"], ["objectives", "speed"]),
        ("objectives", [], ["objectives"]),
        ("target", {"phone": {}}, ["phone", "chip"]),
        ("target", {"chip": {"coress": 2}}, ["coress", "cores"]),
        ("budget", {"candidates": 0}, ["budget.candidates"]),
        ("budget", {"seconds": 3}, ["budget.seconds"]),
        ("seed", -1, ["seed"]),
        ("name", "a/b", ["name"]),
    ],
)
def test_a_mistake_is_named_with_its_key_and_what_is_right(toy_problem, path, value, words):
    if path == "tasks.shapes.net" and value == "unet":
        toy_problem["tasks"]["shapes"]["metric"] = "accuracy"
    with pytest.raises(UserError) as error:
        Problem.from_dict(changed(toy_problem, path, value))
    for word in words:
        assert word in str(error.value)


def test_a_limit_on_hardware_without_a_target_is_refused(toy_problem):
    del toy_problem["target"]
    with pytest.raises(UserError, match="needs a target"):
        Problem.from_dict(toy_problem)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "not valid YAML"),
        ("- 1\n- 2", "mapping"),
        ("", "mapping"),
        ("name: a\nname: b", "given twice"),
        ("name: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("name: toy", "tasks: key is missing"),
    ],
)
def test_a_file_that_is_no_problem_is_refused(tmp_path, text, words):
    file = tmp_path / "problem.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=words) as error:
        Problem.load(file)
    assert str(file) in str(error.value)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        Problem.load(tmp_path / "none.yaml")


def test_the_json_schema_knows_every_method_and_refers_to_nothing_that_is_missing():
    schema = json_schema()
    text = json.dumps(schema)
    assert '"nsga2"' in text
    assert '"resnet9"' in text
    for part in text.split('"#/$defs/')[1:]:
        assert part.partition('"')[0] in schema["$defs"]
