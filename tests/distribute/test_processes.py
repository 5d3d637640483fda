"""Local processes: what the contract does not say, foremost that nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archip.core import registry
from archip.core.errors import ArchipError

DRIVER = """
import os, sys, threading, time
sys.path.insert(0, {here!r})
import _busy
from archip.core import registry
executor = registry.create("distribute", "processes", {{"n": 2}})
try:
    for pid in executor.map(_busy.{function}, [{folder!r}] * 2):
        pass
except KeyboardInterrupt:
    executor.close()
    sys.exit(130)
"""


def alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("function", ["sleeps", "computes", "holds_the_interpreter"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_driver(tmp_path, how, function):
    code = DRIVER.format(here=str(Path(__file__).parent), folder=str(tmp_path), function=function)
    driver = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    _until(lambda: len(list(tmp_path.iterdir())) == 2)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert all(alive(pid) for pid in workers)
    driver.send_signal(how)
    assert driver.wait(timeout=120) == (130 if how is signal.SIGINT else -signal.SIGKILL)
    _until(lambda: not any(alive(pid) for pid in workers))


def test_closing_ends_workers_and_whoever_waits():
    sys.path.insert(0, str(Path(__file__).parent))
    from _busy import own_process

    executor = registry.create("distribute", "processes", {"n": 2})
    pids = {*executor.map(own_process, range(8))}
    assert pids
    assert os.getpid() not in pids
    results = executor.completed(own_process, range(1000))
    next(results)
    executor.close()
    _until(lambda: not any(alive(pid) for pid in pids))
    with pytest.raises(ArchipError, match="closed"):
        list(results)
    assert len([*executor.map(own_process, range(4))]) == 4  # it can be used again
    executor.close()


def test_workers_have_as_many_threads_as_they_are_told():
    from _busy import threads

    executor = registry.create("distribute", "processes", {"n": 1, "threads": 3})
    assert list(executor.map(threads, [0])) == ["3"]
    executor.close()


def test_workers_that_cannot_start_are_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    executor = registry.create("distribute", "processes", {"n": 2})
    with pytest.raises(ArchipError, match="no worker can be started"):
        list(executor.map(abs, range(3)))
    executor.close()


def _until(condition, seconds: float = 120.0) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)
