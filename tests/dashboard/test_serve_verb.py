"""``archip serve`` as a user starts it, and runs started from its pages."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
import yaml
from _runs import problem
from _served import serving


@contextlib.contextmanager
def archip(*arguments: object) -> Iterator[subprocess.Popen]:
    """The command, ended at the latest with the block."""
    command = [sys.executable, "-m", "archip", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_prints_its_address_and_ends_with_ctrl_c(runs):
    with archip("serve", runs, "--port", 0, "--host", "0.0.0.0") as process:
        line = process.stdout.readline()
        port, token = re.search(r"http://[^:]+:(\d+)/runs\?token=(\S{43})", line).groups()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            assert client.get("/runs").status_code == 401
            assert client.get("/runs.json", params={"token": token}).status_code == 303
            shown = client.get("/runs.json", headers={"authorization": f"Bearer {token}"}).json()
        assert sorted(run["name"] for run in shown["runs"]) == ["first", "second"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert token not in out + err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no/such/folder"], "no such folder"),
        ([".", "--token", "short"], "at least 16 characters"),
        ([".", "--host", "256.0.0.1"], "cannot listen on 256.0.0.1"),
    ],
)
def test_mistakes_are_one_message(arguments, words):
    with archip("serve", *arguments) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert words in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_run_is_started_stopped_and_resumed_from_its_page(tmp_path):
    asked = problem("mine", budget={"candidates": 24, "batch": 8}, evaluator={"supernet": {"epochs": 1}})
    asked = {**asked.to_json(), "finish": {"keep": 1, "epochs": 1}}
    with serving(tmp_path, allow_runs=True) as served, served.client() as client:
        form = lambda path: re.search(r'name="csrf" value="(\w+)"', client.get(path).text)[1]  # noqa: E731
        state = lambda: client.get("/runs/mine/overview.json").json().get("run", {}).get("state")  # noqa: E731
        answer = client.post("/new", data={"csrf": form("/new"), "problem": yaml.safe_dump(asked)})
        assert answer.status_code == 303, answer.text
        wait(lambda: state() == "running")
        assert client.post("/runs/mine/resume", data={"csrf": form("/new")}).status_code == 422  # it runs already
        assert "Stop" in client.get("/runs/mine/overview").text
        client.post("/runs/mine/stop", data={"csrf": form("/runs/mine/overview")})
        wait(lambda: "Resume" in client.get("/runs/mine/overview").text)
        assert state() == "interrupted"
        client.post("/runs/mine/resume", data={"csrf": form("/runs/mine/overview")})
        wait(lambda: state() == "done")
        assert client.get("/runs/mine/files/report.html").status_code == 200


def wait(is_so, seconds: float = 900) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.3)
