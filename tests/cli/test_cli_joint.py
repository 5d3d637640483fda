"""``archip joint``: the front of a small table, its file, limits, and what is said where something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from archip.cli.main import app
from archip.search.joint_front import load_joint

TABLE = """title: toy
source: none
official: none
file: toy.csv
genes: [{column: fn0}, {column: fn1}, {column: sk1}]
metrics: {test.accuracy: {column: acc, unit: "%"}}
searches: {toy: {full: test.accuracy, test: [test.accuracy]}}
networks:
  space: resnet9
  options: {stem: [2, 4], filters: [2, 4], skips: [0, 1], blocks: 1}
  inputs: {toy: "1x8x8:3"}
"""
SPEC = {"pes": {"total": 64, "step": 32}, "bandwidth": {"total": "4 GB/s", "step": "2 GB/s"}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "toy.yaml").write_text(TABLE)
    (tmp_path / "toy.csv").write_text("fn0,fn1,sk1,acc\n2,2,0,50\n2,4,0,60\n4,4,1,70\n2,2,1,40\n")
    (tmp_path / "chip.yaml").write_text(yaml.safe_dump(SPEC))

    def invoke(*arguments: str):
        where = [str(tmp_path / "toy.yaml"), "--spec", str(tmp_path / "chip.yaml")]
        return CliRunner().invoke(app, ["joint", *where, *arguments])

    return invoke


def test_the_front_is_kept_and_answers_again(run):
    first = run("--json", "--quiet")
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert told["best"]["score"] == pytest.approx(0.7)
    assert told["best"]["network"] == {"fn0": 4, "fn1": 4, "sk1": 1}
    assert told["about"]["networks"] == 4
    assert json.loads(run("--json", "--quiet").stdout) == told  # with its seconds: it was not built again
    again = json.loads(run("--json", "--quiet", "--rebuild").stdout)
    assert {**again["about"], "seconds": 0} == {**told["about"], "seconds": 0}


def test_limits_are_kept_and_what_nothing_keeps_is_said(run):
    front = load_joint(Path(json.loads(run("--json", "--quiet").stdout)["file"]))
    tight = run("--json", "--quiet", "--limits", f"latency={front.cycles_N.min()} cycles")
    assert tight.exit_code == 0
    assert json.loads(tight.stdout)["best"]["score"] == front.score_N[front.cycles_N == front.cycles_N.min()].max()
    shown = run("--quiet", "--limits", "area=5 mm2")
    assert "The most accurate network" in shown.output
    none = run("--quiet", "--limits", "latency=1 cycles")
    assert none.exit_code == 3
    assert "proven" in none.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limits", "speed=1"], "is no limit"),
        (["--limits", "latency=3 mm2"], "latency"),
        (["--limits", "latency=-3 cycles"], "allows nothing"),
        (["--limits", "area=3 mm2,area=4 mm2"], "limited twice"),
        (["--metric", "nothing"], "nothing"),
    ],
)
def test_mistakes_are_said(run, arguments, message):
    done = run("--quiet", *arguments)
    assert done.exit_code != 0
    assert message in str(done.exception) + done.output


def test_a_file_of_another_question_is_refused(run, tmp_path):
    out = str(tmp_path / "front.npz")
    assert run("--quiet", "--out", out).exit_code == 0
    done = run("--quiet", "--out", out, "--tolerance", "0.5")
    assert "another question" in str(done.exception)


def test_half_a_file_is_no_front(run, tmp_path):
    out = tmp_path / "front.npz"
    assert run("--quiet", "--out", str(out)).exit_code == 0
    out.write_bytes(out.read_bytes()[:200])
    assert "no joint front" in str(run("--quiet", "--out", str(out)).exception)
