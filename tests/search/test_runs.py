"""Runs as others see them: by folder and by store, while they go on, after they were interrupted, and renamed."""

import json
import shutil
from pathlib import Path

import pytest

import archip
from archip.core.errors import UserError
from archip.core.pareto import front
from archip.core.problem import Problem
from archip.search.recorder import Recorder, records_key
from archip.search.run import run
from archip.search.runs import LOST_S, find_runs, open_run
from archip.testing.store import toy_records

GRID = str(Path(__file__).parent.parent / "data" / "tables" / "grid.yaml")


@pytest.fixture
def problem() -> dict:
    return {
        "name": "grid",
        "tasks": {"cells": {"net": {"tabular": {"table": GRID}}}},
        "strategy": "random_search",
        "budget": {"candidates": 24, "batch": 6},
        "baselines": ["local_search"],
    }


def test_a_run_is_what_its_result_was(problem, tmp_path):
    result = run(problem, tmp_path / "run")
    seen = archip.load(tmp_path / "run")
    assert tuple(seen.records()) == result.records
    assert tuple(seen.front()) == result.front == tuple(front(result.records, seen.problem.goals))
    assert seen.summary == json.loads(json.dumps(result.summary))
    assert (seen.state, seen.name, seen.folder) == ("done", "run", tmp_path / "run")
    assert seen.searches() == ["random_search", "baseline local_search"]
    assert seen.problem.to_json() == Problem.from_dict(problem).to_json()
    assert seen.record(result.records[5].candidate.id) == result.records[5]
    seen.close()
    assert seen.n_records("baseline local_search") == len(seen.records("baseline local_search")) > 0  # opens again
    seen.close()


def test_a_run_that_was_done_does_not_change_when_it_is_run_again(problem, tmp_path):
    run(problem, tmp_path / "run")
    seen = open_run(tmp_path / "run")
    before = [(name, seen.records(name), seen.front(name)) for name in seen.searches()]
    run(problem, tmp_path / "run")
    assert [(name, seen.records(name), seen.front(name)) for name in seen.searches()] == before
    seen.close()


def test_a_store_elsewhere_gives_the_same_records(problem, tmp_path):
    run(problem, tmp_path / "here")
    place = str(tmp_path / "shared.sqlite")
    run({**problem, "store": place}, tmp_path / "there")
    run({**problem, "seed": 1}, tmp_path / "second", store=place)
    assert not (tmp_path / "there" / "records.sqlite").exists()
    here, there, by_name = open_run(tmp_path / "here"), open_run(tmp_path / "there"), open_run(place, "there")
    plain = [(r.candidate, r.metrics, r.number) for r in here.records()]
    assert [(r.candidate, r.metrics, r.number) for r in there.records()] == plain
    assert by_name.front() == there.front()
    assert by_name.folder == tmp_path / "there"
    assert [found.name for found in find_runs(place)] == ["there", "second"]
    with pytest.raises(UserError, match="which run"):
        open_run(place)
    with pytest.raises(UserError, match="second"):
        open_run(place, "second_")
    for seen in (here, there, by_name):
        seen.close()


def test_a_name_that_another_problem_has_in_the_store_is_refused(problem, tmp_path):
    place = str(tmp_path / "shared.sqlite")
    run(problem, tmp_path / "a" / "run", store=place)
    with pytest.raises(UserError, match="another problem"):
        run({**problem, "seed": 7}, tmp_path / "b" / "run", store=place)
    seen = open_run(place, "run")
    assert seen.n_records() == 24
    run({**problem, "seed": 7}, tmp_path / "a" / "run", store=place)  # its own folder may begin it anew
    assert seen.problem.seed == 7
    seen.close()


def test_a_longer_search_continues_and_another_seed_begins_anew(problem):
    own = records_key(Problem.from_dict(problem))
    longer = {
        **problem,
        "budget": {"candidates": 99, "batch": 6},
        "finish": {"keep": 1},
        "store": "x.sqlite",
        "name": "b",
    }
    assert records_key(Problem.from_dict(longer)) == own
    for change in ({"seed": 1}, {"strategy": "nsga2"}, {"limits": {"phone": "1 ms"}}, {"budget": {"batch": 7}}):
        assert records_key(Problem.from_dict({**problem, **change})) != own


def test_the_state_follows_the_signs_of_life(problem, tmp_path, monkeypatch):
    monkeypatch.setattr("archip.search.runs.LOST_S", LOST_S)  # other tests raise it for their whole session
    checked = Problem.from_dict(problem)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "problem.yaml").write_text(checked.to_yaml())
    recorder = Recorder(checked, tmp_path / "run", None)
    seen = open_run(tmp_path / "run")
    assert (seen.state, seen.summary) == ("running", None)
    now_s = recorder.store.find("run").created_s
    seen.store.clock = lambda: now_s + LOST_S - 1
    assert seen.state == "running"
    seen.store.clock = lambda: now_s + 2 * LOST_S  # the last sign came a little after the run was made
    assert seen.state == "interrupted"
    seen.store.clock = lambda: now_s
    for error, state in [(None, "done"), (ValueError(), "failed"), (KeyboardInterrupt(), "interrupted")]:
        recorder.__enter__() if not recorder._thread.ident else None
        try:
            recorder.__exit__(type(error) if error else None, error, None)
        finally:
            assert seen.state == state
        recorder = Recorder(checked, tmp_path / "run", None)
    recorder.store.close()
    seen.close()


def test_a_renamed_folder_is_the_same_run(problem, tmp_path):
    result = run(problem, tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    seen = open_run(tmp_path / "new")
    assert (seen.name, tuple(seen.front())) == ("new", result.front)
    again = run(problem, tmp_path / "new")
    assert again.summary["candidates"]["evaluated"] == 0
    assert len(seen.store.runs()) == 1
    seen.close()


def test_a_folder_that_was_written_before_there_were_runs_is_seen(problem, tmp_path):
    run(problem, tmp_path / "run")
    for name in ("records.sqlite", "records.sqlite-wal", "records.sqlite-shm"):
        (tmp_path / "run" / name).unlink(missing_ok=True)
    seen = open_run(tmp_path / "run")
    assert (seen.state, seen.n_records(), seen.front(), seen.searches()) == ("done", 0, [], [])
    assert seen.summary["name"] == "grid"
    seen.close()


def test_a_sample_is_spread_over_the_numbers(problem, tmp_path):
    checked = Problem.from_dict(problem)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "problem.yaml").write_text(checked.to_yaml())
    with Recorder(checked, tmp_path / "run", None) as recorder:
        recorder.told("random_search", toy_records(1000))
        seen = open_run(tmp_path / "run")
        revision = seen.revision()
        assert [r.number for r in seen.sample(None, 10)] == list(range(0, 1000, 100))
        assert seen.sample(None, 1000) == seen.records()
        assert seen.counts()["records"] == 1000
        recorder.told("random_search", toy_records(1, start=1000))
        assert seen.revision() > revision
        seen.close()


def test_folders_are_found_at_any_depth(problem, tmp_path):
    for place in ("b/two", "a", "c/d/three"):
        run(problem, tmp_path / place)
    (tmp_path / "c" / "no run").mkdir()
    assert [found.name for found in find_runs(tmp_path)] == ["a", "two", "three"]
    assert [found.name for found in find_runs(tmp_path / "a")] == ["a"]
    with pytest.raises(UserError, match="no such folder"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no folder of a run"):
        open_run(tmp_path / "c")
