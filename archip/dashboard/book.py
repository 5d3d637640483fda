"""Book: the runs that a dashboard knows, found again every few seconds, and what it remembers of each."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from archip.core.candidate import digest
from archip.core.errors import UserError
from archip.core.record import Record
from archip.search.runs import Run, find_runs

__all__ = ["Book", "Entry", "NotHere"]

T = TypeVar("T")

_FIND_EVERY_S = 3.0
_KEPT = 24  # answers a run
_SPEED_OVER_S = 60.0
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class NotHere(UserError):
    """An address that leads nowhere."""


@dataclass
class Entry:
    """One run, its place in the addresses, and how its number of records grew lately.

    Attributes:
        key: of letters that need no escaping in an address; never a path.
        where: its folder below the root of the dashboard, or its name in the database.
    """

    key: str
    where: str
    run: Run
    _grown: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=240))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: dict[Any, tuple[int, Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"/runs/{self.key}"

    def front(self, search: str | None = None) -> list[Record]:
        """The front of a search, read again only when the run has changed."""
        return self.kept(("front", search), lambda: self.run.front(search))

    def kept(self, name: Any, make: Callable[[], T]) -> T:
        """What `make` gives, as long as the run does not change; the last few are kept."""
        revision = self.run.revision()
        known = self._kept.get(name)
        if known is not None and known[0] == revision:
            return known[1]
        value = make()
        with self._lock:
            self._kept[name] = (revision, value)
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return value

    def per_second(self) -> float | None:
        """Candidates a second over the last minute, all searches; None before it was looked at twice."""
        now, n = time.monotonic(), sum(self.run.n_records(search) for search in self.run.searches())
        with self._lock:
            if not self._grown or now - self._grown[-1][0] >= 0.5:
                self._grown.append((now, n))
            while len(self._grown) > 2 and now - self._grown[0][0] > _SPEED_OVER_S:
                self._grown.popleft()
            (began, before), (ended, after) = self._grown[0], self._grown[-1]
        return (after - before) / (ended - began) if ended - began >= 1.0 else None


class Book:
    """Finds runs by key. A key that was not found on the disk or in the database leads nowhere.

    Attributes:
        root: a folder, or the URL of a database.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._entries: dict[str, Entry] = {}
        self._found_at = -_FIND_EVERY_S
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path | None:
        """The folder that new runs go into; None for a database, and where `root` is itself a run."""
        path = Path(self.root)
        is_run = any(entry.where == "." for entry in self.entries())
        return None if "://" in self.root or path.is_file() or is_run else path

    def entries(self) -> list[Entry]:
        """All runs, in the order in which they are found."""
        with self._lock:
            if time.monotonic() - self._found_at >= _FIND_EVERY_S:
                self._find()
                self._found_at = time.monotonic()
            return list(self._entries.values())

    def get(self, key: str) -> Entry:
        """The run of a key.

        Raises:
            NotHere: there is none.
        """
        if key not in self._entries:
            self.entries()
        try:
            return self._entries[key]
        except KeyError:
            raise NotHere("there is no such run", key[:80]) from None

    def forget(self) -> None:
        """Look again at the next question, e.g. because a run was just made."""
        self._found_at = -_FIND_EVERY_S

    def close(self) -> None:
        for entry in self._entries.values():
            entry.run.close()

    def _find(self) -> None:
        known = {entry.where: entry for entry in self._entries.values()}
        fresh: dict[str, Entry] = {}
        for run in find_runs(self.root):
            where = self._where(run)
            entry = known.pop(where, None) or Entry(_key(where, run.name), where, run)
            fresh[entry.key] = entry
        for gone in known.values():
            gone.run.close()
        self._entries = fresh

    def _where(self, run: Run) -> str:
        root = Path(self.root)
        is_below = run.folder is not None and root.is_dir() and run.folder.is_relative_to(root)
        return str(run.folder.relative_to(root)) if is_below and run.folder is not None else run.name


def _key(where: str, name: str) -> str:
    """The path itself where it is one plain name."""
    plain = name if where == "." else where
    return plain if _PLAIN.fullmatch(plain) else digest(where)
