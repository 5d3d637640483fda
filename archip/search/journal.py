"""Journal: what happened in a run, when, and what each stage took. One JSON object a line in ``log.jsonl``."""

from __future__ import annotations

import contextlib
import json
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Journal"]


class Journal:
    """Appends events to a file and adds up the seconds of named stages."""

    def __init__(self, path: Path) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()
        self._cpu = time.process_time()
        self._path = path

    def event(self, event: str, **fields: object) -> None:
        """Append one line; fields must be JSON."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields})
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as stage `name`."""
        self.event("stage begins", stage=name)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
            self.event("stage ends", stage=name, seconds=round(self.seconds[name], 3))

    @property
    def total_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def cpu_s(self) -> float:
        """Processor seconds of this process since the journal was opened."""
        return time.process_time() - self._cpu

    @property
    def peak_bytes(self) -> int:
        """Largest resident memory of this process so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
