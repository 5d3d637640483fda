"""One supernet for several targets: trained once, used as it is, answers side by side; and how well it ranks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

SMALL = {"stem": [2, 4], "filters": [4, 8], "skips": [0, 1], "blocks": 1}
PROBLEM = {
    "name": "toy",
    "tasks": {"shapes": {"data": {"synthetic": {}}, "net": {"resnet9": SMALL}}},
    "targets": {
        "asic": {"target": {"chip": {"cores": 1, "pes": {"total": 256, "step": 64}}}, "limits": {"area": "10 mm2"}},
        "sensor": {"target": {"mcu": {"sram": "1 MiB", "flash": "8 MiB"}}},
    },
    "evaluator": {"supernet": {"epochs": 2, "rule": "sandwich"}},
    "budget": {"candidates": 16, "batch": 8},
    "finish": {"keep": 1, "epochs": 0, "ranked": 3},
    "baselines": [],
}


def archip(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "archip", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    (folder / "problem.yaml").write_text(yaml.safe_dump(PROBLEM, sort_keys=False))
    done = archip("run", folder / "problem.yaml", "--out", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)["targets"]


def test_every_target_has_an_answer_with_weights_of_the_one_supernet(finished):
    folder, targets = finished
    assert list(targets) == ["asic", "sensor"]
    assert [p.name for p in (folder / "out/supernet").iterdir()] == ["shapes.safetensors"]
    for name, summary in targets.items():
        own = folder / f"out/toy.{name}"
        assert json.loads((own / "summary.json").read_text()) == summary
        assert summary["tasks"]["shapes"]["epochs"] == 0
        assert (own / summary["artifacts"]["shapes"]["onnx"]).stat().st_size > 0
    assert targets["asic"]["chip"]
    assert not targets["sensor"]["chip"]


def test_what_one_target_measured_the_next_one_reads(finished):
    _, targets = finished
    first, second = (targets[name]["stages"]["search"] for name in ("asic", "sensor"))
    assert second < first  # the supernet is trained in the first


def test_the_page_links_every_report(finished):
    folder, _ = finished
    page = (folder / "out/report.html").read_text()
    for name in ("asic", "sensor"):
        assert f'href="toy.{name}/report.html"' in page
        assert (folder / f"out/toy.{name}/report.html").exists()


def test_the_report_tells_how_well_the_search_ranks(finished):
    folder, targets = finished
    found = targets["asic"]["ranking"]["shapes"]
    assert len(found["rows"]) == 3
    assert all(0 <= value <= 1 for row in found["rows"] for value in row)
    assert "How well the search ranks" in (folder / "out/toy.asic/report.html").read_text()


def test_a_second_command_does_nothing_twice(finished):
    folder, targets = finished
    done = archip("run", folder / "problem.yaml", "--out", folder / "out", "--json")
    again = json.loads(done.stdout)["targets"]
    assert all(again[name]["candidate"] == targets[name]["candidate"] for name in targets)
    assert all(again[name]["candidates"]["evaluated"] == 0 for name in targets)


def test_a_check_shows_every_target(finished):
    folder, _ = finished
    done = archip("check", folder / "problem.yaml", "--no-data")
    assert done.returncode == 0
    assert [part["name"] for part in yaml.safe_load_all(done.stdout)] == ["toy.asic", "toy.sensor"]
