"""Launcher: runs that were started from the dashboard, each a process of its own that outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archip.core.errors import UserError
from archip.core.files import make_folder, write_text
from archip.core.problem import Problem

__all__ = ["Launcher"]

_MOST = 4  # at once
_TAIL_BYTES = 4096
_OUTPUT = "serve.log"


@dataclass
class _Launch:
    folder: Path
    process: subprocess.Popen[bytes]
    since_s: float
    is_asked_to_stop: bool = False


class Launcher:
    """Starts ``archip run`` in a folder and stops what it started; nothing here is given to a shell."""

    def __init__(self) -> None:
        self._launches: dict[Path, _Launch] = {}
        self._lock = threading.Lock()

    def create(self, problem: Problem, root: Path) -> Path:
        """Start a new run in a folder of its own below `root`; gives the folder.

        Raises:
            UserError: there is a folder of that name, or too much is running.
        """
        folder = root / problem.name
        if folder.exists():
            raise UserError(f"there is a run {problem.name!r} already", "name", "another name; a run there is resumed")
        make_folder(folder)
        write_text(folder / "problem.yaml", problem.to_yaml())
        self.resume(folder)
        return folder

    def resume(self, folder: Path) -> None:
        """Continue the run of a folder.

        Raises:
            UserError: it runs already, or too much is running.
        """
        with self._lock:
            if self._is_alive(folder):
                raise UserError("the run is running already")
            if sum(map(self._is_alive, self._launches)) >= _MOST:
                raise UserError(f"{_MOST} runs are running", right="stop one of them, or wait")
            command = [sys.executable, "-m", "archip", "run", str(folder / "problem.yaml"), "--out", str(folder), "-q"]
            with open(folder / _OUTPUT, "ab") as output:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            self._launches[folder] = _Launch(folder, process, time.time())

    def stop(self, folder: Path) -> None:
        """Interrupt a run as Ctrl-C does; asked a second time, end it at once. Nothing that was evaluated is lost.

        Raises:
            UserError: it was not started here.
        """
        with self._lock:
            if not self._is_alive(folder):
                raise UserError("the run was not started from this dashboard", right="Ctrl-C where it was started")
            launch = self._launches[folder]
            sent = signal.SIGKILL if launch.is_asked_to_stop else signal.SIGINT
            launch.is_asked_to_stop = True
            os.killpg(launch.process.pid, sent)

    def is_alive(self, folder: Path | None) -> bool:
        """Whether a run that was started here still runs."""
        with self._lock:
            return folder is not None and self._is_alive(folder)

    def launches(self) -> list[dict[str, Any]]:
        """What was started, with the end of what it printed."""
        with self._lock:
            return [
                {
                    "name": launch.folder.name,
                    "state": _state(launch),
                    "output": _tail(launch.folder / _OUTPUT),
                }
                for launch in reversed(self._launches.values())
            ]

    def _is_alive(self, folder: Path) -> bool:
        launch = self._launches.get(folder)
        return launch is not None and launch.process.poll() is None


def _state(launch: _Launch) -> str:
    code = launch.process.poll()
    if code is None:
        return "stopping" if launch.is_asked_to_stop else "running"
    return {0: "done", 3: "done: no candidate keeps all limits", 130: "interrupted"}.get(
        code, f"ended with code {code}"
    )


def _tail(path: Path) -> str:
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace")
