"""Processes of this machine, each with its own interpreter and its own threads.

Choose it (``workers: 4``) where one candidate takes long enough to be worth a message, from a millisecond up: it uses
all cores, survives candidates that crash or eat all memory, and can end one that hangs.

A worker is a new interpreter (nothing is forked, so locks and threads of this process do it no harm, and the main
script is not run again). It ends with this process even if that is killed: the other end of a pipe that it holds
closes, and the system then ends the worker, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Annotated, Any

from pydantic import Field

from archip.distribute._pool import Pool, Worker

__all__ = ["Processes"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(eq=False)
class Processes(Pool):
    """Local processes that stay for the whole run."""

    n: Annotated[int, Field(ge=1)] = 2  # processes
    threads: Annotated[int, Field(ge=1)] = 1  # of each; another number may change the last bits of a training
    retries: Annotated[int, Field(ge=0)] = 2  # of an item whose process was killed, e.g. for want of memory

    def __post_init__(self) -> None:
        self.begin()

    @property
    def n_workers(self) -> int:
        return self.n

    def open_worker(
        self,
        resources: Mapping[str, float] | None,
        answer: Callable[[Worker, Any], None],
        lost: Callable[[Worker, str], None],
    ) -> Worker:
        return _Process(self.threads, answer, lost)

    def shut(self) -> None:
        """The processes are gone already."""


class _Process(Worker):
    def __init__(
        self, threads: int, answer: Callable[[Worker, Any], None], lost: Callable[[Worker, str], None]
    ) -> None:
        ours, theirs = socket.socketpair()
        ends, self.lifeline = os.pipe()
        environment = os.environ | dict.fromkeys(_THREADS, str(threads))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "archip.distribute._worker", str(theirs.fileno()), str(ends)],
            pass_fds=(theirs.fileno(), ends),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if _has_file(sys.stderr) else subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the driver, and what the worker starts can be ended with it
        )
        os.close(ends)
        theirs.close()
        self.connection = Connection(ours.detach())
        self.answer, self.lost = answer, lost
        threading.Thread(target=self._read, name="archip worker's answers", daemon=True).start()

    def load(self, key: str, packed: bytes, forget: bool) -> None:
        self._send(("load", key, packed, forget))

    def call(self, key: str, item: Any) -> None:
        self._send(("call", key, item))

    def kill(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _send(self, message: tuple[Any, ...]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the reader notices as well
            self.connection.send(message)

    def _read(self) -> None:
        try:
            while True:
                self.answer(self, self.connection.recv())
        except (EOFError, OSError):
            self.kill()
            self.connection.close()
            os.close(self.lifeline)
            self.lost(self, _ended(self.process.returncode))


def _has_file(stream: Any) -> bool:
    try:
        return stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):
        return False


def _ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed (out of memory, perhaps)"
    return f"its process ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
