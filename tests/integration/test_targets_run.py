"""A run for every kind of target, from the problem file to the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from archip.core import registry
from archip.hardware.devices._calibration import fitted_contents
from archip.hardware.devices._device import Deployed
from archip.hardware.devices._features import PREFIXES, features
from archip.hardware.devices.fitted import network_features, write_device
from archip.search.calibrate import Source, _networks, calibrate

QUICK = ("ridge", "additive")
RESNET = {"stem": [4, 8], "filters": [8, 16]}


def archip(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "archip", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def ran(folder, target, limits):
    problem = {
        "name": "toy",
        "tasks": {"digits": {"data": "digits", "net": {"resnet9": RESNET}}},
        "target": target,
        "limits": limits,
        "strategy": "random_search",
        "evaluator": {"supernet": {"epochs": 1}},
        "budget": {"candidates": 6, "batch": 3},
        "baselines": [],
        "finish": {"keep": 1, "epochs": 1},
    }
    (folder / "problem.yaml").write_text(yaml.safe_dump(problem))
    done = archip("run", folder / "problem.yaml", "--out", folder / "out", "--json", "--quiet")
    assert done.returncode in (0, 3), done.stderr
    summary = json.loads(done.stdout)
    return done.returncode, summary, (folder / "out/report.html").read_text()


@pytest.mark.slow
def test_an_accelerator_that_is_given(tmp_path):
    code, summary, page = ran(tmp_path, {"accelerator": "eyeriss_like"}, {"latency": "1e6 cycles", "energy": "1 mJ"})
    assert code == 0
    assert [core["name"] for core in summary["chip"]["cores"]] == ["eyeriss_like"]
    assert summary["schedule"][-1]["end_cycle"] == summary["metrics"]["latency_cycles"]
    assert summary["candidate"]["hw"] is None
    assert 'id="gantt"' in page


@pytest.mark.slow
def test_this_machine_predicted_beside_measured(tmp_path):
    code, summary, page = ran(tmp_path, {"device": "this"}, {"latency": "200 ms", "memory": "8 MiB"})
    assert code == 0
    (latency, memory) = summary["device"]["rows"]
    assert latency["metric"] == "latency_s"
    assert latency["measured"] == summary["tasks"]["digits"]["onnx"]["latency_s"]
    assert 0.2 < latency["predicted"] / latency["measured"] < 5
    assert (memory["metric"], memory["measured"]) == ("memory_bytes", None)
    assert "<th>predicted</th><th>measured</th>" in page


@pytest.mark.slow
def test_a_device_file(tmp_path):
    runner = registry.create("hardware/devices", "onnxruntime", {"repeats": 5, "warmup": 1, "tries": 1})
    source = Source(registry.create("spaces", "resnet9", RESNET), (1, 8, 8), 10)
    made = calibrate("here", runner, [source], 12, 0, tmp_path / "here.jsonl", predictors=QUICK)
    write_device(tmp_path / "here.yaml", made)
    code, summary, page = ran(tmp_path, {"device": str(tmp_path / "here.yaml")}, {"latency": "200 ms"})
    assert code == 0
    assert 0.05 < summary["device"]["rows"][0]["predicted"] / summary["device"]["rows"][0]["measured"] < 20
    assert "on which it was calibrated" in summary["device"]["note"]
    assert "on which it was calibrated" in page


@pytest.mark.slow
def test_a_microcontroller(tmp_path):
    code, summary, page = ran(tmp_path, {"mcu": {"flash": "128 KiB", "sram": "16 KiB"}}, {})
    assert code == 0
    assert {row["name"]: row["ok"] for row in summary["limits"]} == {"flash": True, "sram": True}
    order = summary["device"]["orders"]["digits"]
    assert order["is_optimal"]
    assert order["peak_bytes"] + 8 * 1024 == summary["metrics"]["sram_bytes"]
    assert "no order needs less" in page
    code, summary, _ = ran(tmp_path, {"mcu": {"flash": "65 KiB", "sram": "16 KiB"}}, {})
    assert code == 3
    assert "flash" in summary["binding"]["limit"]


class _Ideal:
    """A runner that takes 2 ns a multiplication and 5 us a layer; its first network gets slower by a fifth."""

    machine, runtime, threads, key, max_drift = "ideal", "ideal 1", 1, ["ideal"], 0.1

    def __init__(self) -> None:
        self.seen: list[str] = []

    def measure_graph(self, graph):
        n_layers, macs, _ = features(graph)[:3]
        again = self.seen.count(graph.id) > 1  # as reference, as itself, and then slower
        self.seen.append(graph.id)
        return {"latency_s": (5e-6 * n_layers + 2e-9 * macs) * (1.2 if again else 1.0), "drift": 1.0}


def test_a_calibration_goes_on_where_it_stopped_and_tells_its_drift(tmp_path):
    source = Source(registry.create("spaces", "conv1d"), (3, 64), 5)
    whole = _Ideal()
    at_once = calibrate("ideal", whole, [source], 20, 0, tmp_path / "whole.jsonl", predictors=QUICK)
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 20 + 2
    (tmp_path / "cut.jsonl").write_text("".join(lines[:9]) + lines[9][:20])  # killed while it wrote
    rest = _Ideal()
    continued = calibrate("ideal", rest, [source], 20, 0, tmp_path / "cut.jsonl", predictors=QUICK)
    assert len(rest.seen) == 22 - 8
    assert continued["error"] == at_once["error"]
    assert at_once["made"]["drift"] == pytest.approx(0.2, abs=1e-4)
    assert at_once["error"]["expected"]["within_5"] > 0.9


def test_the_device_file_of_an_ideal_device_predicts_it(tmp_path):
    source = Source(registry.create("spaces", "conv1d"), (3, 64), 5)
    graphs = [g for g, _ in zip(_networks([source], 0), range(60), strict=False)]
    taken = [_Ideal().measure_graph(g)["latency_s"] for g in graphs]
    X_NF, y_N = np.array([features(g) for g in graphs[:40]]), np.array(taken[:40])
    contents = fitted_contents("ideal", {}, network_features(), X_NF, y_N, PREFIXES, 0, QUICK)
    write_device(tmp_path / "ideal.yaml", contents)
    device = registry.create("hardware/devices", "fitted", {"path": str(tmp_path / "ideal.yaml")})
    both = device.costs([Deployed(graphs[50]), Deployed(graphs[51])])["latency_s"]
    assert both == pytest.approx(taken[50] + taken[51], rel=0.02)


@pytest.mark.slow
def test_the_device_verbs(tmp_path):
    out = tmp_path / "here.yaml"
    rows = "\n".join(f"{a},{b},{1 + a + 2 * b}" for a in range(5) for b in range(13))
    (tmp_path / "t.csv").write_text(f"a,b,lat_ms\n{rows}\n")
    done = archip("device", "calibrate", "--table", tmp_path / "t.csv", "--latency", "lat_ms", "--features", "a,b",
                  "--budget", 30, "-o", out, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["error"]["other_rows"]["within_10"] == 1.0
    shown = archip("device", "show", out)
    assert "Spearman" in shown.stdout
    (tmp_path / "n.csv").write_text("a,b\n3,4\n")
    predicted = archip("device", "predict", out, tmp_path / "n.csv", "--json")
    assert json.loads(predicted.stdout)["latency_s"][0] == pytest.approx(12e-3, rel=0.05)
    wrong = archip("device", "calibrate", "--table", tmp_path / "t.csv", "--latency", "lat", "--unit", "ms",
                   "--features", "a", "-o", out)  # fmt: skip
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
    assert "did you mean 'lat_ms'" in wrong.stderr
