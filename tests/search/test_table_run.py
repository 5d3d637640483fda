"""A problem whose networks are a table's: looked up, limits by the table's own metrics, no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.data._table import load_table
from archip.search.run import run

GRID = str(Path(__file__).parent.parent / "data" / "tables" / "grid.yaml")


@pytest.fixture
def problem() -> dict:
    return {
        "name": "grid",
        "tasks": {"cells": {"net": {"tabular": {"table": GRID}}}},
        "limits": {"phone": "1 ms"},
        "strategy": "random_search",
        "budget": {"candidates": 36, "batch": 6},
        "baselines": ["local_search"],
    }


def test_defaults_are_filled_in_and_survive_a_round_trip(problem):
    read = Problem.from_dict(problem)
    assert (read.evaluator.name, read.tasks["cells"].metric) == ("tabular", "accuracy")
    assert read.evaluator.options["costs"] == ["phone.latency_s"]
    assert [o.metric for o in read.goals.objectives] == ["quality"]
    assert Problem.from_dict(read.to_json()).to_json() == read.to_json()


def test_the_answer_is_the_best_row_within_the_limit_by_hand(problem, tmp_path):
    """All 36 rows are seen, so the answer is known from the file."""
    table = load_table(GRID)
    valid_N, test_N = table.metric("valid"), table.metric("test")
    allowed = (table.metric("latency") <= 1e-3).nonzero()[0]
    best = max(allowed, key=lambda row: valid_N[row])
    result = run({**problem, "objectives": ["quality", "latency"]}, tmp_path / "run")
    found = result.summary
    winner = found["finalists"][0]
    assert winner["full"] == pytest.approx(valid_N[best])
    assert winner["test"] == {"test.accuracy": pytest.approx(test_N[best])}
    assert found["table"]["optimum"] == pytest.approx(test_N[allowed].max())
    assert found["table"]["regret"] == pytest.approx(test_N[allowed].max() - test_N[best])
    assert (found["table"]["better"], found["table"]["rows"]) == (0, len(allowed))
    assert [row["ok"] for row in found["limits"]] == [True]
    assert all(r.metrics["phone.latency_s"] <= 1e-3 for r in result.front)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Networks of the table" in page
    assert "front-phone.latency_s" in page
    assert json.loads((tmp_path / "run" / "artifacts" / "cells.json").read_text())["genotype"] == winner["genotype"]


def test_after_a_short_training_finalists_are_ranked_by_the_full_one(problem, tmp_path):
    problem |= {"evaluator": {"tabular": {"early": True}}, "finish": {"keep": 36}, "limits": {}}
    found = run(problem, tmp_path / "run").summary
    qualities = [f["quality"] for f in found["finalists"]]
    assert found["table"]["shown"] == "valid_12.accuracy"
    assert len(qualities) == 36
    assert qualities == sorted(qualities, reverse=True)
    assert found["table"]["better"] == 0


def test_nothing_feasible_names_the_limit(problem, tmp_path):
    found = run({**problem, "limits": {"phone": "1 ns"}}, tmp_path / "run").summary
    assert not found["feasible"]
    assert "phone.latency_s" in found["binding"]["limit"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"limits": {"energy": "1 mJ"}}, ["limits.energy", "no metric 'energy'"]),
        ({"limits": {"phone": "1 mJ"}}, ["limits.phone", "energy"]),
        ({"limits": {"cells.accuracy": "2"}}, ["limits.cells.accuracy", "never"]),
        ({"objectives": ["quality", "power"]}, ["objectives", "no metric 'power'"]),
        ({"objectives": ["phone", "latency"]}, ["objectives", "repeated"]),
        ({"evaluator": {"tabular": {"metric": "f1"}}}, ["evaluator.metric", "f1"]),
        ({"evaluator": {"tabular": {"metric": "test", "early": True}}}, ["evaluator.early", "early"]),
        ({"evaluator": "supernet"}, ["evaluator", "looked up"]),
        ({"target": {"chip": {"cores": 1}}}, ["target", "table"]),
        ({"tasks": {"cells": {"net": {"tabular": {"table": "nb2001"}}}}}, ["tasks.cells.net", "nb201"]),
        ({"tasks": {"cells": {"net": {"tabular": {"table": GRID}}, "data": "digits"}}}, ["cells.data", "not trained"]),
        ({"tasks": {"cells": {"net": {"tabular": {"table": GRID}}, "metric": "iou"}}}, ["cells.metric", "accuracy"]),
        ({"tasks": {n: {"net": {"tabular": {"table": GRID}}} for n in "ab"}}, ["tasks", "one task"]),
        ({"tasks": {"a": {"net": "resnet9", "data": "digits"}}, "evaluator": "tabular"}, ["evaluator", "tabular"]),
        ({"tasks": {"a": {"net": "resnet9"}}}, ["tasks.a.data", "missing"]),
    ],
)
def test_what_a_table_cannot_answer_is_said_with_its_key(problem, change, words):
    with pytest.raises(UserError) as error:
        Problem.from_dict({**problem, **change})
    for word in words:
        assert word in str(error.value)


def test_an_empty_cell_is_named_with_its_row(problem, tmp_path):
    text = Path(GRID).read_text().replace("grid.csv", "holes.csv")
    (tmp_path / "holes.yaml").write_text(text)
    rows = (Path(GRID).parent / "grid.csv").read_text().splitlines()
    place = rows[0].split(",").index("lat_ms")
    cells = rows[3].split(",")
    cells[place] = ""
    (tmp_path / "holes.csv").write_text("\n".join([*rows[:3], ",".join(cells), *rows[4:]]))
    problem["tasks"]["cells"]["net"]["tabular"]["table"] = str(tmp_path / "holes.yaml")
    with pytest.raises(UserError, match=r"limits\.phone: .*holes\.csv.*4.*lat_ms is empty"):
        Problem.from_dict(problem)


def test_it_needs_no_torch(problem, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None; import json, archip; "
        "print(archip.run(json.loads(sys.argv[1]), sys.argv[2]).summary['feasible'])"
    )
    command = [sys.executable, "-c", code, json.dumps(problem), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.stdout.strip() == "True", done.stderr
