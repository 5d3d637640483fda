"""Cold start: says once, on stderr by way of logging, that kernels are being compiled.

numba keeps what it compiled on the disk, so this happens at the first call in a new environment only;
``python -m archip.hardware.compile`` does all of it ahead of time.
"""

from __future__ import annotations

import logging
from functools import cache

from numba.core import event

__all__ = ["listen"]

_log = logging.getLogger("archip.hardware")


class _Teller(event.Listener):
    """Hears of every compilation in this process; speaks at the first one of ours."""

    def __init__(self) -> None:
        self.has_told = False

    def on_start(self, event: event.Event) -> None:
        dispatcher = (event.data or {}).get("dispatcher")
        module = getattr(getattr(dispatcher, "py_func", None), "__module__", "")
        if module.startswith("archip.") and not self.has_told:
            self.has_told = True
            _log.warning("compiling the cost kernels: once for this installation, about a minute")

    def on_end(self, event: event.Event) -> None:
        """Compilation is over: nothing to say."""


@cache
def listen() -> None:
    """From now on, tell; without any handler set up, logging writes warnings to stderr."""
    event.register("numba:compile", _Teller())
