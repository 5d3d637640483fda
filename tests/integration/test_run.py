"""The main job through the command line, on toy data: what it writes and says, and what it does with bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml


def archip(*arguments: object, cwd=None, env=None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "archip", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, env=env)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished toy run: its folder and the summary it printed."""
    folder = tmp_path_factory.mktemp("run")
    problem = {
        "name": "toy",
        "tasks": {
            "shapes": {"data": {"synthetic": {}}, "net": "resnet9"},
            "waves": {"data": {"synthetic": {"axes": "NCL", "channels": 3, "size": 64}}, "net": "conv1d"},
        },
        "target": {"chip": {"cores": 2, "pes": {"total": 512, "step": 64}}},
        "limits": {"latency": "1 ms", "energy": "1 mJ", "area": "10 mm2"},
        "evaluator": {"supernet": {"epochs": 1}},
        "budget": {"candidates": 24, "batch": 8},
        "finish": {"keep": 2, "epochs": 2, "seeds": 2},
    }
    (folder / "problem.yaml").write_text(yaml.safe_dump(problem))
    done = archip("run", folder / "problem.yaml", "--out", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_the_summary_has_what_it_promises(finished):
    folder, summary = finished
    assert {row["name"] for row in summary["limits"]} == {"latency", "energy", "area"}
    assert all({"name", "value", "limit", "ok"} <= row.keys() and row["ok"] for row in summary["limits"])
    for task in summary["tasks"].values():
        assert {"metric", "value", "baseline"} <= task.keys()
        assert len(task["seeds"]) == 2
    assert len(summary["chip"]["cores"]) in (1, 2)
    assert summary["candidates"].keys() == {"evaluated", "failed", "cached"}
    assert summary["candidates"]["evaluated"] + summary["candidates"]["cached"] == 24
    assert json.loads((folder / "out/summary.json").read_text()) == summary


def test_every_artifact_exists_and_the_report_is_self_contained(finished):
    folder, summary = finished
    for files in summary["artifacts"].values():
        for path in [files] if isinstance(files, str) else files.values():
            assert (folder / "out" / path).stat().st_size > 0
    page = (folder / "out/report.html").read_text()
    assert "src=" not in page.partition("<body>")[2]
    assert "<script src" not in page
    for text in ("front-energy_j", "gantt", "network-shapes", "CO₂e", "random_search"):
        assert text in page


def test_the_exported_source_and_weights_run_without_archip(finished):
    folder, summary = finished
    files = summary["artifacts"]["waves"]
    code = (
        "import sys; sys.modules['archip'] = None\n"
        f"import runpy; space = runpy.run_path({str(folder / 'out' / files['pytorch_source'])!r})\n"
        f"model = space['load']({str(folder / 'out' / files['safetensors'])!r})\n"
        "import torch; print(tuple(model(torch.zeros(3, 3, 64)).shape))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_same_command_again_evaluates_nothing_and_gives_the_same(finished):
    folder, summary = finished
    done = archip("run", folder / "problem.yaml", "--out", folder / "out", "--json")
    again = json.loads(done.stdout)
    assert again["candidates"]["evaluated"] == 0
    assert again["metrics"] == summary["metrics"]
    assert again["finalists"] == summary["finalists"]


def test_limits_that_nothing_keeps_name_the_one_that_binds(finished, tmp_path):
    folder, _ = finished
    problem = yaml.safe_load((folder / "problem.yaml").read_text()) | {
        "limits": {"latency": "1 ms", "area": "0.0001 mm2"}
    }
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(problem))
    done = archip("run", tmp_path / "problem.yaml", "--out", tmp_path / "out", "--json")
    assert done.returncode == 3
    summary = json.loads(done.stdout)
    assert "area" in summary["binding"]["limit"]
    assert summary["binding"]["nearest"]["metrics"]["area_mm2"] > 0.0001
    assert (tmp_path / "out/report.html").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"npz": {"path": "none.npz"}}}, ["none.npz", "tasks.waves.data"]),
        ({"net": "resnet9"}, ["tasks.waves", "NCL", "NCHW"]),
        ({"data": {"npz": {"path": "nan.npz", "axes": "NCL"}}}, ["nan.npz", "[3, 0, 7]"]),
        ({"data": {"npz": {"path": "far.npz", "axes": "NCL"}}}, ["far.npz"]),
    ],
)
def test_data_that_cannot_be_used_are_refused_before_anything_is_written(finished, tmp_path, change, words):
    folder, _ = finished
    x, y = np.random.default_rng(0).normal(size=(60, 3, 64)), np.arange(60) % 3
    bad = x.copy()
    bad[3, 0, 7] = np.nan
    np.savez(tmp_path / "nan.npz", x=bad, y=y)
    np.savez(tmp_path / "far.npz", x=x, y=np.where(np.arange(60) == 5, 77, y))
    problem = yaml.safe_load((folder / "problem.yaml").read_text())
    problem["tasks"]["waves"] |= change
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(problem))
    done = archip("run", "problem.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "runs").exists()


def test_without_a_target_networks_alone_are_searched(tmp_path):
    problem = {
        "name": "alone",
        "tasks": {"waves": {"data": {"synthetic": {"axes": "NCL", "size": 64}}, "net": "conv1d"}},
        "limits": {"params": 5000},
        "strategy": {"local_search": {}},
        "evaluator": {"supernet": {"epochs": 1}},
        "budget": {"candidates": 12, "batch": 4},
        "finish": {"keep": 1, "epochs": 1},
    }
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(problem))
    done = archip("run", tmp_path / "problem.yaml", "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["chip"] is None
    assert summary["limits"][0]["value"] <= 5000
    assert (
        "Schedule" not in (tmp_path / "out/report.html").read_text().rpartition("</script>")[0].partition("<body>")[2]
    )


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/proc/self"), reason="needs /proc")
def test_a_folder_that_cannot_be_written_is_refused(finished):
    folder, _ = finished
    done = archip("run", folder / "problem.yaml", "--out", "/proc/archip")
    assert done.returncode == 2
    assert "/proc/archip" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_one_message_and_the_records_stay(finished, tmp_path):
    """A tiny file system in memory, mounted for this test; skips where mounting is not allowed."""
    folder, _ = finished
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        done = archip("run", folder / "problem.yaml", "--out", small / "out")
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "space" in done.stderr
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_without_torch_the_catalogue_and_the_help_work():
    code = "import sys; sys.modules['torch'] = None\nfrom archip.cli.main import run\nrun(sys.argv[1:])"
    for arguments in (["--help"], ["list"], ["list", "strategies"], ["show", "nsga2"], ["run", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


def test_import_leaves_torch_and_the_slow_packages_alone():
    slow = ("torch", "numba", "sklearn", "onnx", "plotly")
    code = f"import sys, archip; archip.Problem; print([m for m in {slow} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
