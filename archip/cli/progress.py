"""Progress bars on stderr with rich; plain lines now and then where stderr is no terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["RichProgress"]

_LINE_SECONDS = 10.0


class RichProgress:
    """Implements `core.protocols.Progress`."""

    def __init__(self, console: Console, quiet: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=console, disable=quiet)
        self._lines = not quiet and not console.is_terminal
        self._console = console
        self._last = time.monotonic()

    def __enter__(self) -> RichProgress:
        if not self._lines:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._lines:
            self._bars.stop()

    def start(self, description: str, total: int) -> TaskID:
        return self._bars.add_task(description, total=total, note="")

    def advance(self, handle: TaskID, n: int = 1, **fields: object) -> None:
        note = " ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in fields.items())
        self._bars.advance(handle, n)
        if note:
            self._bars.update(handle, note=note)
        if self._lines and time.monotonic() - self._last > _LINE_SECONDS:
            self._line(handle)

    def finish(self, handle: TaskID) -> None:
        if self._lines:
            self._line(handle)
        self._bars.stop_task(handle)

    def _line(self, handle: TaskID) -> None:
        self._last = time.monotonic()
        task = self._bars.tasks[self._bars.task_ids.index(handle)]
        self._console.print(
            f"{task.description}: {task.completed:.0f}/{task.total:.0f} {task.fields['note']}", highlight=False
        )
