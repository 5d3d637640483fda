"""Pages and their twins say what the run says; filters, orders and pages; figures; metrics."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from _runs import made_records, made_run, problem
from _served import serving

from archip.core.pareto import front, hypervolume
from archip.core.record import Status

PARTS = ("overview", "candidates", "comparison", "calibration", "files", "log")


@pytest.fixture(scope="module")
def records():
    return made_records(problem("first"), 120)


@pytest.mark.parametrize("path", ["/runs", *(f"/runs/{run}/{part}" for run in ("first", "second") for part in PARTS)])
def test_every_page_has_a_twin(get, path):
    page, twin = get(path), get(f"{path}.json")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert twin.status_code == 200
    assert isinstance(twin.json(), dict)
    assert f"{path}.json" in page.text


def test_the_list_tells_states_and_progress(get):
    runs = {run["name"]: run for run in get("/runs.json").json()["runs"]}
    assert runs["first"]["state"] == "done"
    assert runs["second"]["state"] == "running"
    assert (runs["second"]["n_records"], runs["second"]["budget"]) == (40, 400)
    assert runs["second"]["progress"] == pytest.approx(0.1)


def test_the_front_is_exact(get, records):
    asked = problem("first")
    shown = get("/runs/first/overview.json").json()
    ids = {row["candidate"]["text"] for row in shown["front"]["rows"]}
    assert ids == {r.candidate.id for r in front(records, asked.goals)}
    drawn = get("/runs/first/figures/front.json").json()
    (trace,) = [t for t in drawn["data"] if t["name"] == "front"]
    assert len(trace["x"]) == len(ids)


def test_the_limit_is_drawn_in_the_unit_of_the_axis(get):
    drawn = get("/runs/first/figures/front.json?x=energy_j&y=quality").json()
    assert drawn["layout"]["xaxis"]["title"]["text"] == "energy [µJ]"
    assert drawn["layout"]["shapes"][0]["x0"] == pytest.approx(1000.0)  # 1 mJ
    assert drawn["layout"]["annotations"][0]["text"] == "limit 1 mJ"


@pytest.mark.parametrize("status", [str(s) for s in Status])
def test_filter_by_status(get, records, status):
    shown = get("/runs/first/candidates.json", params={"status": status}).json()
    assert shown["total"] == sum(r.status == status for r in records)
    assert {row["status"]["text"] for row in shown["records"]["rows"]} == {status}


def test_filter_by_metric_with_units_and_order(get, records):
    sent = {"metric": "latency_s", "low": "100 us", "high": "0.5 ms", "sort": "-latency_s"}
    shown = get("/runs/first/candidates.json", params=sent).json()
    expected = sorted((v for r in records if 1e-4 <= (v := r.metrics.get("latency_s", 0)) <= 5e-4), reverse=True)
    assert shown["total"] == len(expected)
    assert [row["latency_s"]["value"] for row in shown["records"]["rows"]] == expected[:50]


def test_pages_of_candidates_are_complete(get, records):
    numbers, path = [], "?page=1"
    while path:
        shown = get(f"/runs/first/candidates.json{path}").json()
        numbers += [row["number"]["value"] for row in shown["records"]["rows"]]
        path = shown["pages"]["after"]
    assert numbers == list(range(len(records)))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"status": "fine"}, "status: 'fine' is not known here"),
        ({"metric": "latency_s", "low": "5 J"}, "low: '5 J' is a quantity of energy"),
        ({"high": "5 ms"}, "high: a bound needs its metric"),
        ({"page": "-1"}, "page: '-1' is no page"),
        ({"sort": "colour"}, "sort: 'colour' is not known here"),
        ({"page": "²"}, "is no page"),
    ],
)
def test_a_mistake_in_a_form_is_told(get, sent, words):
    assert words in get("/runs/first/candidates.json", params=sent).json()["mistake"]


def test_records_can_be_taken_away(get, records):
    lines = get("/runs/first/records.jsonl").text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [r.candidate.id for r in records]
    assert get("/runs/first/records.jsonl", params={"search": "none"}).status_code == 422


def test_the_curves_end_where_the_records_do(get, records):
    goals = problem("first").goals
    best = get("/runs/first/figures/best.json").json()["data"][0]
    assert best["y"][-1] == max(r.metrics["quality"] for r in records if goals.feasible(r))
    assert best["x"][-1] == len(records)


def test_the_hypervolume_agrees_with_the_exact_one(get, records):
    goals = problem("first").goals
    others = made_records(problem("first"), 60, seed=1)
    losses = [goals.losses([r for r in rows if goals.feasible(r)]) for rows in (records, others)]
    low, high = np.concatenate(losses).min(0), np.concatenate(losses).max(0)
    curves = get("/runs/first/figures/hypervolume.json").json()["data"]
    for curve, rows in zip(curves, losses, strict=True):
        exact = hypervolume((rows - low) / (high - low), np.ones(len(low)))
        assert curve["y"][-1] == pytest.approx(exact, abs=0.02)
        assert (np.diff(curve["y"]) >= 0).all()


def test_calibration_compares_what_was_measured(get):
    shown = get("/runs/first/calibration.json").json()
    pairs = [row for row in shown["pairs"]["rows"] if row["metric"]["text"] == "quality"]
    assert [round(row["difference"]["value"], 9) for row in pairs] == [0.0, 0.01, 0.02, 0.03]
    assert get("/runs/second/calibration.json").json()["pairs"]["rows"] == []


def test_a_candidate_has_drawing_layers_chip_and_figures(get, records):
    record = next(r for r in records if problem("first").goals.feasible(r))
    path = f"/runs/first/candidates/{record.candidate.id}"
    shown = get(f"{path}.json").json()
    assert shown["untold"] == ""
    (net,) = shown["networks"]
    assert net["drawing"].count("<rect") > 5
    layers = net["layers"]["rows"]
    assert sum(row["cycles"]["value"] for row in layers) > 0
    assert len(shown["chip"]["cores"]["rows"]) == sum(k.endswith("pes") for k in record.candidate.hw)
    for name in ("gantt", "energy", "area", "roofline", "memory-shapes"):
        assert get(f"{path}/figures/{name}.json").json()["data"], name
    gantt = get(f"{path}/figures/gantt.json").json()["data"][0]
    assert sum(gantt["x"]) == sum(row["cycles"]["value"] for row in layers)
    assert get(path).status_code == 200


def test_a_failed_candidate_has_a_page(get, records):
    record = next(r for r in records if r.status is Status.FAILED)
    assert "cannot be built" in get(f"/runs/first/candidates/{record.candidate.id}").text


@pytest.mark.parametrize(
    "path",
    [
        "/runs/none/overview",
        "/runs/first/candidates/0123",
        "/runs/first/figures/none.json",
        "/runs/first/none",
        "/assets/x.js",
        "/assets/..%2fapp.py",
    ],
)
def test_what_is_not_there_is_not_found(get, path):
    assert get(path).status_code == 404


def test_scripts_are_sent_once(get):
    first = get("/assets/plotly.min.js")
    assert first.headers["content-encoding"] == "gzip"
    again = get("/assets/plotly.min.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


def test_prometheus_can_read_the_metrics(get, records):
    parser = pytest.importorskip("prometheus_client.parser", reason="checked with prometheus_client")
    answer = get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {f.name: f for f in parser.text_string_to_metric_families(answer.text)}
    value = lambda name, **labels: next(  # noqa: E731
        s.value for s in families[name].samples if labels.items() <= s.labels.items()
    )
    assert value("archip_runs", state="done") == 1
    assert value("archip_runs", state="running") == 1
    assert value("archip_records", run="first", search="nsga2") == 120
    assert value("archip_failures", run="first", search="nsga2") == sum(r.status is Status.FAILED for r in records)
    best = max(r.metrics["quality"] for r in records if problem("first").goals.feasible(r))
    assert value("archip_best", run="first", objective="quality") == best
    assert families["archip_records"].type == "counter"


def test_a_change_is_announced_at_once(tmp_path):
    made_run(tmp_path / "live", n=8, is_done=False)
    with serving(tmp_path) as served, served.client() as client:
        shown = client.get("/runs/live/overview.json").json()
        with client.stream("GET", shown["events"]) as events:
            lines = events.iter_lines()
            assert next(lines).startswith("retry:")
            more = threading.Thread(target=subprocess.run, args=([sys.executable, *appending(tmp_path / "live")],))
            more.start()
            end = time.monotonic() + 120  # signs of life keep the stream open for ever
            change = next(line for line in lines if line.startswith("data:") or time.monotonic() > end)
            more.join()
        assert "16 candidates" in change
        assert client.get("/runs/live/overview.json").json()["run"]["n_records"] == 16


def appending(folder) -> list[str]:
    """Arguments of Python for a process that writes eight more records."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from _runs import made_records, problem\n"
        "from archip.search.recorder import Recorder\n"
        "from pathlib import Path\n"
        f"asked = problem('live'); folder = Path({str(folder)!r})\n"
        "Recorder(asked, folder, None).told('nsga2', made_records(asked, 8, first=8))\n"
    )
    return ["-c", code]


def test_a_run_that_cannot_be_read_hides_no_other(tmp_path):
    made_run(tmp_path / "good", n=8)
    made_run(tmp_path / "bad", n=8)
    (tmp_path / "bad" / "problem.yaml").write_text("name: [")
    with serving(tmp_path) as served, served.client() as client:
        shown = client.get("/runs.json").json()
        assert [run["name"] for run in shown["runs"]] == ["good"]
        assert "bad" in shown["unreadable"][0]
        assert client.get("/runs/bad/overview").status_code == 422
        assert client.get("/metrics").status_code == 200
