"""Database: a store in any database that SQLAlchemy Core speaks. A file of this folder opens one and gives its name.

Outcomes are written by INSERT … ON CONFLICT DO NOTHING, one transaction a `put`: what is there is never changed, and
a `put` is there as a whole or not at all. So each operation may be done again when a server went away in its middle.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from archip.core.candidate import Genotype
from archip.core.errors import StoreError, UserError
from archip.core.objectives import Goals
from archip.core.protocols import StoredRun, StoredSearch, Wanted
from archip.core.record import Outcome, Record, Status
from archip.store import _found, _leases, _records, _runs
from archip.store._json import plain, text
from archip.store._schema import NOTES, OUTCOMES

__all__ = ["Database"]

T = TypeVar("T")

_CHUNK = 500  # keys a statement; SQLite binds at most 32,766 values in one
_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_HINTS = {
    "full": "free some space and run again; what was stored before is untouched",
    "disk I/O": "see whether the disk is full or failing; what was stored before is untouched",
    "readonly": "choose a folder that can be written",
    "unable to open": "choose a folder that exists and can be written",
    "locked": "another process is writing it; try again when that one is done",
    "not a database": "name another file or move this one away",
    "malformed": "the file is damaged; move it away or restore a copy",
}


class Database(ABC):
    """Outcomes, notes, runs and leases in a database. Threads may share an object; processes open one each.

    Attributes:
        name: what errors call the database.
        engine: opened, with tables of the newest version.
        hints: part of an error's text → what would be right.
    """

    name: str
    engine: sa.Engine
    hints: Mapping[str, str] = _HINTS

    @abstractmethod
    def now_s(self, connection: sa.Connection) -> float:
        """Seconds since 1970 by the one clock that all users of the database share."""

    @abstractmethod
    def pauses(self, error: DBAPIError) -> Iterable[float]:
        """Seconds to wait before each new attempt of what failed by `error`; none where that is final."""

    # Outcomes

    def get(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """The stored outcomes among `keys`.

        Raises:
            UserError: the database cannot be read.
        """
        return self._read(lambda connection: _outcomes(connection, keys))

    def put(self, items: Iterable[tuple[str, str, Mapping[str, Genotype], Outcome]]) -> None:
        """Store outcomes under keys that have none yet: (key, stage, parts, outcome).

        Raises:
            UserError: the database cannot be written; nothing of `items` is stored then.
        """
        self._insert(OUTCOMES, sorted((_row(*item) for item in items), key=lambda row: row["key"]))

    def note(self, name: str, value: Any) -> None:
        """Keep a JSON value by name, e.g. the problem as resolved. Like an outcome it is never changed."""
        self._insert(NOTES, [{"name": name, "value": plain(value)}])

    def notes(self) -> dict[str, Any]:
        """All notes by name."""
        return self._read(lambda connection: {row.name: row.value for row in connection.execute(sa.select(NOTES))})

    # Runs and their records (core/protocols.py: RunStore)

    def begin(self, run: str, problem: Mapping[str, Any], goals: Goals, key: str, owner: str = "") -> None:
        values = {"name": run, "problem": problem, "goals": goals.to_json(), "key": key, "owner": owner}
        self._write(lambda connection: _runs.begin(connection, self._new, values, self.now_s(connection)))
        self._begun[run] = key

    def append(self, run: str, search: str, records: Sequence[Record], source: str = "") -> int:
        where, kept, key = (run, search), self._kept.get((run, search)), self._begun.get(run)
        n_new, kept = self._write(
            lambda connection: _records.append(connection, self._new, where, records, source, kept, key),
            synchronous="NORMAL",  # of SQLite, whose file says why
        )
        self._kept[where] = kept  # only now: what was not committed is not kept
        return n_new

    def beat(self, run: str) -> None:
        self._write(lambda connection: _runs.beat(connection, run, self.now_s(connection)))

    def end(self, run: str, state: str, summary: Mapping[str, Any] | None = None) -> None:
        self._write(lambda connection: _runs.end(connection, run, state, summary, self.now_s(connection)))

    def runs(self) -> list[StoredRun]:
        return self._read(lambda connection: _runs.runs(connection, self.now_s(connection)))

    def find(self, run: str) -> StoredRun | None:
        found = self._read(lambda connection: _runs.runs(connection, self.now_s(connection), run))
        return found[0] if found else None

    def revision(self, run: str) -> int:
        return self._read(lambda connection: _runs.revision(connection, run))

    def searches(self, run: str) -> list[StoredSearch]:
        return self._read(lambda connection: _runs.searches(connection, run))

    def records(self, run: str, search: str, start: int = 0, stop: int | None = None) -> list[Record]:
        return self._read(lambda connection: _records.read(connection, (run, search), start, stop))

    def numbered(self, run: str, search: str, numbers: Sequence[int]) -> list[Record]:
        return self._read(lambda connection: _records.numbers_in(connection, (run, search), numbers))

    def record(self, run: str, candidate: str) -> Record | None:
        return self._read(lambda connection: _records.of_candidate(connection, run, candidate))

    def found(self, run: str, search: str, wanted: Wanted, start: int, n: int) -> tuple[int, list[Record]]:
        return self._read(lambda connection: _found.found(connection, (run, search), wanted, start, n))

    def front(self, run: str, search: str) -> list[Record]:
        return self._read(lambda connection: _records.read_front(connection, (run, search)))

    # Leases

    def claim(self, keys: Sequence[str], owner: str, seconds: float) -> list[str]:
        return self._write(lambda c: _leases.claim(c, self._new, keys, owner, seconds, self.now_s(c)))

    def renew(self, keys: Sequence[str], owner: str, seconds: float) -> list[str]:
        return self._write(lambda c: _leases.renew(c, keys, owner, seconds, self.now_s(c)))

    def release(self, keys: Sequence[str], owner: str) -> None:
        self._write(lambda connection: _leases.release(connection, keys, owner))

    def close(self) -> None:
        """Close the connections. Whatever was put is safe without it."""
        self.engine.dispose()

    def _open(self, engine: sa.Engine) -> None:
        """To be called by every implementation when it has made its engine."""
        self.engine = engine
        self._begun: dict[str, str] = {}
        self._kept: dict[tuple[str, str], _records.Kept] = {}
        self._new: Callable[[sa.Table], Any] = _INSERT[engine.dialect.name]

    def _insert(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._write(lambda connection: connection.execute(self._new(table).on_conflict_do_nothing(), rows))

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        return self._tried(work, self.engine)

    def _write(self, work: Callable[[sa.Connection], T], synchronous: str = "FULL") -> T:
        return self._tried(work, self.engine.execution_options(begin="IMMEDIATE", synchronous=synchronous))

    def _tried(self, work: Callable[[sa.Connection], T], engine: sa.Engine) -> T:
        """`work` in one transaction, again after a pause where the database only was away for a while."""
        pauses: Iterator[float] | None = None
        while True:
            try:
                with self._told(final=False), engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                pauses = iter(self.pauses(error)) if pauses is None else pauses
                pause = next(pauses, None)
                if pause is None:
                    raise self._for_user(error) from None
                time.sleep(pause)

    @contextlib.contextmanager
    def _told(self, final: bool = True) -> Iterator[None]:
        """Errors of the database become errors for the user; those that may pass only if this attempt is `final`."""
        try:
            yield
        except DBAPIError as error:
            if not final:
                raise
            raise self._for_user(error) from None
        except UserError as error:
            raise error.in_file(self.name) from None

    def _for_user(self, error: DBAPIError) -> StoreError:
        message = " ".join(str(error.orig).split())
        hint = next((hint for part, hint in self.hints.items() if part in message), "")
        return StoreError(f"the record store failed: {message}", self.name, hint)


def _outcomes(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Outcome]:
    c = OUTCOMES.c
    columns = sa.select(c.key, c.metrics, c.status, c.reason, c.seconds, c.details)
    found: dict[str, Outcome] = {}
    for i in range(0, len(keys), _CHUNK):
        for row in connection.execute(columns.where(c.key.in_(keys[i : i + _CHUNK]))):
            found[row.key] = Outcome(row.metrics, Status(row.status), row.reason, row.seconds, row.details)
    return found


def _row(key: str, stage: str, parts: Mapping[str, Genotype], outcome: Outcome) -> dict[str, Any]:
    return {
        "key": key,
        "stage": stage,
        "parts": dict(parts),  # canonical, and metrics are finite: JSON as they are
        "metrics": dict(outcome.metrics),
        "status": str(outcome.status),
        "reason": text(outcome.reason),
        "seconds": outcome.seconds,
        "details": plain(dict(outcome.details)),
        "created_s": time.time(),
    }
