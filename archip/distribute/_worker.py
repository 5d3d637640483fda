"""The process behind `processes`: loads functions, calls them, sends back what they gave. Started by that executor."""

from __future__ import annotations

import fcntl
import os
import pickle  # messages from the process that started this one
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from archip.core.protocols import Failure
from archip.distribute._call import call, failure, prepared, unusable

__all__ = ["Functions", "main"]


class Functions:
    """The functions that a worker has, by key."""

    def __init__(self) -> None:
        self.held: dict[str, Callable[[Any], Any]] = {}

    def ready(self) -> None:
        """Nothing more is needed."""

    def load(self, key: str, packed: bytes, forget: bool) -> Failure | None:
        if forget:
            self.held.clear()
        try:
            function = pickle.loads(packed)
        except Exception as error:
            return unusable(error)
        self.held[key] = function
        return prepared(function)

    def call(self, key: str, item: Any) -> Any:
        return call(self.held[key], item)


def main(connection: Connection, lifeline: int) -> None:
    """Serve until the other end closes."""
    end_with(lifeline)
    functions = Functions()
    connection.send(None)
    while True:
        try:
            what, *rest = connection.recv()
        except EOFError:
            return
        result = functions.load(*rest) if what == "load" else functions.call(*rest)
        try:
            connection.send(result)
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:  # a result that cannot be pickled
            connection.send(failure(error))


def end_with(lifeline: int) -> None:
    """Let the system end this process (SIGIO) when the other end of the pipe closes, also amid compiled code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), int(sys.argv[2]))
