"""``archip run --workers``: mistakes end with exit code 2 and a message, before anything is done."""

from __future__ import annotations

import socket

import pytest
import yaml

from archip.cli.main import run


@pytest.fixture
def file(toy_problem, tmp_path):
    path = tmp_path / "problem.yaml"
    path.write_text(yaml.safe_dump(toy_problem))
    return path


@pytest.mark.parametrize(
    ("workers", "told"), [("0", "0 workers cannot work"), ("rays", "did you mean 'ray'"), ("a:b:c", "unknown executor")]
)
def test_workers_that_mean_nothing(file, tmp_path, capsys, workers, told):
    with pytest.raises(SystemExit) as end:
        run(["run", str(file), "--workers", workers, "--out", str(tmp_path / "run")])
    assert end.value.code == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_cluster_that_does_not_answer(file, tmp_path, capsys):
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(SystemExit) as end:
        run(["run", str(file), "--workers", address, "--out", str(tmp_path / "run")])
    assert end.value.code == 2
    assert "no Ray cluster answers" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
