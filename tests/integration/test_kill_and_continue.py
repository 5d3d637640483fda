"""A real run killed at random moments and started again ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml


def start(problem: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "archip", "run", str(problem), "--out", str(out), "--json", "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(summary: dict) -> dict:
    """What must not depend on the kills: times and what came from the store do."""
    kept = {
        k: summary[k]
        for k in ("feasible", "limits", "metrics", "candidate", "finalists", "comparison", "chip", "schedule")
    }
    return kept | {"tests": {name: task["value"] for name, task in summary["tasks"].items()}}


# Ten kills take minutes and are slow tests; in every run three are, and `make chaos` kills drivers and workers besides.
@pytest.mark.parametrize("n_kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_a_killed_run_ends_with_the_same_result(tmp_path, toy_problem, n_kills):
    file = tmp_path / "problem.yaml"
    series = {"data": {"synthetic": {"axes": "NCL", "size": 64}}, "net": "conv1d"}
    toy_problem |= {
        "tasks": {"waves": series},
        "budget": {"candidates": 48, "batch": 8},
        "evaluator": {"supernet": {"epochs": 10}},
        "finish": {"keep": 2, "epochs": 10},
    }
    file.write_text(yaml.safe_dump(toy_problem))

    began = time.monotonic()
    whole = start(file, tmp_path / "whole")
    out, err = whole.communicate(timeout=300)
    assert whole.returncode == 0, err
    seconds = time.monotonic() - began

    rng, kills, finished = random.Random(0), 0, None
    for _ in range(200):
        process = start(file, tmp_path / "killed")
        if kills < n_kills:
            try:  # moments are spread over the length of a whole run, so that every stage is hit
                finished = process.communicate(timeout=rng.uniform(0.15, 0.85) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                continue
            # It ended before the kill: begin once more in a fresh folder, until there were enough kills.
            (tmp_path / "killed").rename(tmp_path / f"finished_{kills}_{time.monotonic_ns()}")
        else:
            finished = process.communicate(timeout=300)
            assert process.returncode == 0, finished[1]
            break
    assert kills >= n_kills
    assert finished is not None
    assert result(json.loads(finished[0])) == result(json.loads(out))  # to the last bit
