"""Every example is a problem that archip accepts, and runs at toy size where its data are at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from archip.core.errors import UserError
from archip.core.targets import load_problems

_FILES = (Path(__file__).parents[2] / "examples").glob("*.yaml")
EXAMPLES = sorted(path for path in _FILES if "tasks" in yaml.safe_load(path.read_text()))  # the rest are accelerators


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_it_is_accepted_and_has_the_name_of_its_file(path):
    try:
        problems = load_problems(path)
    except UserError as error:
        if "data file" not in str(error):
            raise
        pytest.skip(str(error))
    assert {problem.name.partition(".")[0] for problem in problems.values()} == {path.stem}


@pytest.mark.parametrize(("name", "more"), [("one_task", {}), ("nested", {"baselines": []})])
def test_small_examples_run(name, more, tmp_path):
    problem = yaml.safe_load(next(p for p in EXAMPLES if p.stem == name).read_text())
    problem |= {"evaluator": {"train": {"epochs": 1}}, "budget": {"candidates": 12, "batch": 4}}
    problem |= {"finish": {"keep": 1, "epochs": 1}, **more}
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(problem))
    command = [sys.executable, "-m", "archip", "run", "problem.yaml", "--json", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert all(row["ok"] for row in summary["limits"])
    assert (tmp_path / f"runs/{name}/report.html").exists()
