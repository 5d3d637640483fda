"""Journal: what happened in a run, when, and what each stage took. One JSON object a line in ``log.jsonl``.

Now and then a line tells the processor time so far, of this process and all that it started, so that a run that was
killed and continued knows what its earlier sessions took.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Journal"]

_CPU_EVERY_S = 5.0


class Journal:
    """Appends events to a file and adds up the seconds of named stages."""

    def __init__(self, path: Path) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()
        self._cpu = _cpu_s()
        self._told_cpu = self._began
        self._path = path
        self.earlier_cpu_s = _earlier_cpu_s(path)

    def event(self, event: str, **fields: object) -> None:
        """Append one line; fields must be JSON."""
        about = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        if time.monotonic() - self._told_cpu >= _CPU_EVERY_S or event in ("stage ends", "run ends"):
            self._told_cpu = time.monotonic()
            about["cpu_s"] = round(self.cpu_s, 2)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(about) + "\n")

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
        """Processor seconds of this process and those that it started, since the journal was opened."""
        return max(0.0, _cpu_s() - self._cpu)

    @property
    def peak_bytes(self) -> int:
        """Largest resident memory of this process so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cpu_s() -> float:
    """Processor seconds of this process, of its ended children, and of the living ones and theirs."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + _living_s()


def _living_s() -> float:
    """Processor seconds of living descendants with their ended children; 0 where the system has no /proc."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime (proc(5))
    mine, found = {os.getpid()}, 0
    while True:
        children = {pid for pid, parent in parents.items() if parent in mine} - mine
        if not children:
            return found / os.sysconf("SC_CLK_TCK")
        found += sum(ticks[pid] for pid in children)
        mine |= children


def _earlier_cpu_s(path: Path) -> float:
    """Processor seconds of earlier sessions, by the last line of each that tells them."""
    total = last = 0.0
    if not path.is_file():
        return 0.0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            told = json.loads(line)
        except json.JSONDecodeError:
            continue  # the end of a session that was killed while it wrote
        if not isinstance(told, dict):
            continue
        if told.get("event") == "run begins":
            total, last = total + last, 0.0
        last = told.get("cpu_s", last)
    return total + last
