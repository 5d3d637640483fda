"""status, front, resume, export, compare, import: on runs of a table of 36 networks."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
import yaml
from _command import call

from archip.cli._runs import complete_run
from archip.core.pareto import front
from archip.core.problem import Problem
from archip.search.run import run
from archip.search.runs import open_run

GRID = str(Path(__file__).parent.parent / "data" / "tables" / "grid.yaml")


def problem(seed: int = 0, strategy: str = "random_search", **more) -> dict:
    return {
        "name": "grid",
        "tasks": {"cells": {"net": {"tabular": {"table": GRID}}}},
        "limits": {"phone": "1 ms"},
        "objectives": ["quality", "latency"],
        "strategy": strategy,
        "budget": {"candidates": 24, "batch": 6},
        "baselines": ["local_search"],
        "seed": seed,
        **more,
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with three runs of one strategy and three of another."""
    root = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        run(problem(seed), root / f"random_{seed}")
        run(problem(seed, "regularized_evolution"), root / f"evolution_{seed}")
    return root


def answer(capsys, *arguments: str):
    code, out, err = call(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_status_counts_what_the_records_say(capsys, runs, monkeypatch):
    rows = answer(capsys, "status", str(runs))
    assert [row["run"] for row in rows] == sorted(f"{n}_{i}" for n in ("evolution", "random") for i in range(3))
    row = next(row for row in rows if row["run"] == "random_1")
    found = open_run(runs / "random_1")
    records, goals = found.records(), found.problem.goals
    found.close()
    best = front(records, goals)
    assert (row["state"], row["records"], row["budget"]) == ("done", 24, 24)
    assert row["feasible"] == sum(map(goals.feasible, records))
    assert (row["front"], row["best"]) == (len(best), max(r.metrics["quality"] for r in best))
    assert (row["strategy"], row["failed"]) == ("random_search", 0)
    monkeypatch.chdir(runs)
    assert "random_1  " in call(capsys, "status", ".")[1]


def test_status_shows_a_damaged_run_beside_the_others(capsys, tmp_path):
    run(problem(), tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "problem.yaml").write_text("name: bad")
    (tmp_path / "bad" / "records.sqlite").write_text("no database " * 100)
    rows = {row["run"]: row for row in answer(capsys, "status", str(tmp_path))}
    assert (rows["good"]["state"], rows["bad"]["state"]) == ("done", "unreadable")
    assert "not a database" in rows["bad"]["error"]


def test_front_is_the_front_of_the_records_in_every_form(capsys, runs):
    where = str(runs / "evolution_2")
    found = open_run(where)
    best = sorted(front(found.records(), found.problem.goals), key=found.problem.goals.key)
    baseline = front(found.records("baseline local_search"), found.problem.goals)
    found.close()
    rows = answer(capsys, "front", where)
    assert [row["id"] for row in rows] == [r.candidate.id for r in best]
    lines = list(csv.DictReader(io.StringIO(call(capsys, "front", where, "--csv")[1])))
    assert [float(line["quality"]) for line in lines] == [r.metrics["quality"] for r in best]
    assert best[0].candidate.id in call(capsys, "front", where)[1]
    rows = answer(capsys, "front", where, "--search", "baseline local_search")
    assert {row["id"] for row in rows} == {r.candidate.id for r in baseline}


def test_resume_continues_from_the_folder_alone(capsys, tmp_path):
    first = run(problem(), tmp_path / "run")
    before = open_run(tmp_path / "run")
    records = before.records()
    before.close()
    file = tmp_path / "run" / "problem.yaml"
    more = yaml.safe_load(file.read_text()) | {"budget": {"candidates": 36, "batch": 6}}
    file.write_text(yaml.safe_dump(more))
    summary = answer(capsys, "resume", str(tmp_path / "run"), "--quiet")
    after = open_run(tmp_path / "run")
    assert after.records(None, 0, 24) == records
    assert after.n_records() == 36
    after.close()
    assert summary["candidates"]["cached"] >= 24
    assert first.summary["problem"] != summary["problem"]


def test_export_writes_every_record_once(capsys, runs, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    where = str(runs / "random_0")
    files = [str(tmp_path / "r.csv"), str(tmp_path / "r.parquet")]
    answer(capsys, "export", where, "--records", files[0], "--records", files[1])
    found = open_run(where)
    wanted = [(name, r) for name in found.searches() for r in found.records(name)]
    found.close()
    with open(files[0], newline="") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(files[1]).to_pylist()
    assert len(rows) == len(table) == len(wanted)
    for row, typed, (name, record) in zip(rows, table, wanted, strict=True):
        assert (row["search"], row["number"], row["candidate"]) == (name, str(record.number), record.candidate.id)
        assert typed["quality"] == record.metrics.get("quality")
        assert json.loads(typed["genotypes"]) == record.candidate.to_json()
        assert {k: float(v) for k, v in row.items() if k in record.metrics} == record.metrics


def test_export_to_tensorboard_is_read_by_tensorboard(capsys, runs, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    answer(capsys, "export", str(runs / "random_0"), "--tensorboard", str(tmp_path))
    events = reader.EventAccumulator(str(tmp_path / "random_search")).Reload()
    found = open_run(runs / "random_0")
    records, goals = found.records(), found.problem.goals
    found.close()
    told = [(e.step, e.value) for e in events.Scalars("candidate/quality")]
    assert told == [(r.number, pytest.approx(r.metrics["quality"])) for r in records if "quality" in r.metrics]
    best = max(r.metrics["quality"] for r in records if goals.feasible(r))
    assert events.Scalars("best/quality")[-1].value == pytest.approx(best)


@pytest.mark.filterwarnings("ignore")  # those of MLflow
def test_export_to_mlflow_is_read_by_mlflow(capsys, runs, tmp_path, monkeypatch):
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.chdir(tmp_path)  # MLflow puts files beside its database into ./mlruns
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    answer(capsys, "export", str(runs / "random_0"), "--mlflow", uri)
    client = tracking.MlflowClient(tracking_uri=uri)
    (logged,) = client.search_runs([client.get_experiment_by_name("archip").experiment_id])
    found = open_run(runs / "random_0")
    n_told = sum("quality" in r.metrics for r in found.records())
    found.close()
    assert len(client.get_metric_history(logged.info.run_id, "candidate/quality")) == n_told
    assert logged.data.params["budget.candidates"] == "24"


@pytest.mark.filterwarnings("ignore")  # those of MLflow
def test_a_place_that_mlflow_refuses_is_told(capsys, runs, tmp_path):
    pytest.importorskip("mlflow.tracking")
    code, _, err = call(capsys, "export", str(runs / "random_0"), "--mlflow", "nowhere://x")
    assert code == 2
    assert "MLflow refuses" in err


def test_export_writes_the_report_again(capsys, runs, tmp_path):
    answer(capsys, "export", str(runs / "random_0"), "--format", "report", "--out", str(tmp_path))
    assert (tmp_path / "report.html").read_text() == (runs / "random_0" / "report.html").read_text()


def test_compare_tells_methods_apart_and_repeats_together(capsys, runs):
    names = [str(path) for path in sorted(runs.iterdir())]
    result = answer(capsys, "compare", *names)
    assert [row["method"] for row in result["rows"]] == ["regularized_evolution"] * 3 + ["random_search"] * 3
    assert [row["seed"] for row in result["rows"]] == [0, 1, 2] * 2
    assert all(0 < row["hypervolume"] <= 1 for row in result["rows"])
    assert {test["quantity"] for test in result["tests"]} == {"hypervolume", "best"}
    assert all(0 <= test["p"] <= test["p_corrected"] <= 1 for test in result["tests"])
    more = answer(capsys, "compare", names[0], "--baselines")
    assert [row["method"] for row in more["rows"]] == ["regularized_evolution", "baseline local_search"]


def test_import_of_a_csv_of_another_run_gives_its_front(capsys, runs, tmp_path):
    target, file = tmp_path / "target", tmp_path / "others.csv"
    run(problem(9), target)
    answer(capsys, "export", str(runs / "random_0"), "--records", str(file))
    rows = [r for r in csv.DictReader(file.read_text().splitlines()) if r["search"] == "random_search"]
    with open(file, "w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    told = answer(capsys, "import", str(file), "--into", str(target))
    assert told == {"search": "import others", "read": 24, "new": 24}
    assert answer(capsys, "import", str(file), "--into", str(target))["new"] == 0
    theirs, mine = open_run(runs / "random_0"), open_run(target)
    assert mine.front("import others") == theirs.front()
    assert mine.searches() == ["random_search", "baseline local_search", "import others"]
    assert mine.n_records() == 24
    theirs.close()
    mine.close()


def test_import_of_genes_in_columns_judges_the_limits(capsys, tmp_path):
    run(problem(), tmp_path / "run")
    found = open_run(tmp_path / "run")
    genes = found.records()[0].candidate.net["cells"]
    found.close()
    columns = [f"net.cells/{name}" for name in genes] + ["cells.accuracy", "phone.latency_s"]
    lines = [",".join(columns)] + [",".join([*map(str, genes.values()), "0.5", s]) for s in ("0.0005", "0.002")]
    (tmp_path / "a.csv").write_text("\n".join(lines[:2]))
    (tmp_path / "b.csv").write_text("\n".join([lines[0], lines[2]]))
    for name in "ab":
        assert answer(capsys, "import", str(tmp_path / f"{name}.csv"), "--into", str(tmp_path / "run"))["new"] == 1
    found = open_run(tmp_path / "run")
    (good,), (late,) = found.records("import a"), found.records("import b")
    found.close()
    assert (good.status, good.metrics["quality"], good.candidate.net["cells"]) == ("ok", 0.5, genes)
    assert (late.status, late.reason) == ("infeasible", "breaks phone.latency_s <= 1 ms")


def test_import_of_an_optuna_study_keeps_values_and_failures(capsys, tmp_path):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    run(problem(), tmp_path / "run")
    found = open_run(tmp_path / "run")
    records = found.records(None, 0, 5)
    found.close()
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(study_name="s", storage=url, directions=["maximize", "minimize"])
    values = {
        name: sorted({r.candidate.net["cells"][name] for r in records}, key=str) for name in ("depth", "width", "op")
    }
    for i, r in enumerate(records):
        study.enqueue_trial({f"net.cells/{k}": v for k, v in r.candidate.net["cells"].items()})
        trial = study.ask()
        for name, known in values.items():
            assert trial.suggest_categorical(f"net.cells/{name}", known) == r.candidate.net["cells"][name]
        if i == 4:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, [0.1 * i, 1e-4 * (i + 1)])
    told = answer(capsys, "import", url, "--metrics", "quality,phone.latency_s", "--into", str(tmp_path / "run"))
    assert told == {"search": "import s", "read": 5, "new": 5}
    found = open_run(tmp_path / "run")
    imported = found.records("import s")
    found.close()
    assert [r.candidate for r in imported] == [r.candidate for r in records]
    assert imported[3].metrics == {"quality": pytest.approx(0.3), "phone.latency_s": pytest.approx(4e-4)}
    assert imported[4].status == "failed"
    code, _, err = call(capsys, "import", url, "--metrics", "phone.latency_s,quality", "--into", str(tmp_path / "run"))
    assert (code, "maximize phone.latency_s" in err) == (2, True)


def test_folders_of_runs_are_completed(runs, monkeypatch):
    monkeypatch.chdir(runs.parent)
    assert complete_run(f"{runs.name}/random") == [f"{runs.name}/random_{i}" for i in range(3)]
    assert complete_run("nothing") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "nowhere"], "no folder of a run"),
        (["front", "{runs}"], "no folder of a run"),
        (["front", "{run}", "--search", "random"], "random_search"),
        (["front", "{run}", "--csv", "--json"], "choose one"),
        (["front", "random_0", "--store", "mysql://me:hunter2@db/x"], "is no store"),
        (["front", "random_9", "--store", "{run}/records.sqlite"], "random_0"),
        (["resume", "{runs}"], "no folder of a run"),
        (["export", "{run}", "--format", "onxx"], "onnx"),
        (["export", "{run}", "--format", "onnx"], "not built"),
        (["export", "{run}", "--records", "records.xls"], ".csv or .parquet"),
        (["export", "{run}", "--candidate", "zz"], "no candidate 'zz'"),
        (["export", "{run}", "--records", "x.csv", "--candidate", "zz"], "go with --format"),
        (["compare", "{run}"], "name several runs"),
        (["import", "none.csv", "--into", "{run}"], "No such file"),
        (["import", "sqlite:///none.db", "--into", "{run}"], "no such file"),
        (["import", "none.csv", "--study", "s", "--into", "{run}"], "for Optuna"),
        (["run", "{run}/problem.yaml", "--store", "mysql://me:hunter2@db/x"], "is no store"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(capsys, runs, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    filled = [a.format(runs=runs, run=runs / "random_0") for a in arguments]
    code, _, err = call(capsys, *filled)
    assert (code, words in err, "Traceback" in err, "hunter2" in err) == (2, True, False, False), err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("genotypes,qualty\n", "quality"),
        ("genotypes,quality\n{},0.5\n", "line 2"),
        ('genotypes,quality\n"{""net"": {""cells"": {}}, ""hw"": null, ""compress"": {}}",1', "line 2"),
        ("net.cells/depth,quality\n1,0.5\n", "missing"),
        ("net.cells/depth,quality\n1,often\n", "line 2"),
        ("net.cells/depth,net.cells/width,net.cells/op,quality\n1,9,x,0.5\n", "not allowed"),
    ],
)
def test_a_bad_line_of_a_csv_is_named_and_nothing_enters(capsys, runs, tmp_path, line, words):
    (tmp_path / "bad.csv").write_text(line)
    code, _, err = call(capsys, "import", str(tmp_path / "bad.csv"), "--into", str(runs / "random_2"))
    assert (code, words in err, "bad.csv" in err) == (2, True, True), err
    found = open_run(runs / "random_2")
    assert "import bad" not in found.searches()
    found.close()


@pytest.mark.postgres
def test_a_run_kept_on_a_server_is_seen_from_everywhere(capsys, tmp_path, postgres_url):
    url = postgres_url()
    file = tmp_path / "problem.yaml"
    file.write_text(yaml.safe_dump(problem()))
    answer(capsys, "run", str(file), "--out", str(tmp_path / "a"), "--store", url, "--quiet")
    run(problem(1, store=url), tmp_path / "b")
    assert not (tmp_path / "a" / "records.sqlite").exists()
    assert [row["run"] for row in answer(capsys, "status", "--store", url)] == ["a", "b"]
    assert answer(capsys, "front", "a", "--store", url) == answer(capsys, "front", str(tmp_path / "a"))
    assert answer(capsys, "resume", str(tmp_path / "a"), "--quiet")["candidates"]["cached"] == 24
    result = run(problem(), tmp_path / "here")
    assert [row["id"] for row in answer(capsys, "front", "a", "--store", url)] == [
        r.candidate.id for r in sorted(result.front, key=Problem.from_dict(problem()).goals.key)
    ]
