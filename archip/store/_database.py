"""Database: a store in any database that SQLAlchemy Core speaks. A file of this folder opens one and gives its name.

Outcomes are written by INSERT … ON CONFLICT DO NOTHING, one transaction a `put`: what is there is never changed, and
a `put` is there as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from archip.core.candidate import Genotype
from archip.core.errors import UserError
from archip.core.record import Outcome, Status
from archip.store._json import plain
from archip.store._schema import NOTES, OUTCOMES

__all__ = ["Database"]

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
    """Outcomes and notes in a database. Threads may share an object; processes open one each.

    Attributes:
        name: what errors call the database.
        engine: opened, with tables of the newest version.
    """

    name: str
    engine: sa.Engine

    def get(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """The stored outcomes among `keys`.

        Raises:
            UserError: the database cannot be read.
        """
        c = OUTCOMES.c
        columns = sa.select(c.key, c.metrics, c.status, c.reason, c.seconds, c.details)
        found: dict[str, Outcome] = {}
        with self._told(), self.engine.connect() as connection:
            for i in range(0, len(keys), _CHUNK):
                for row in connection.execute(columns.where(c.key.in_(keys[i : i + _CHUNK]))):
                    found[row.key] = Outcome(row.metrics, Status(row.status), row.reason, row.seconds, row.details)
        return found

    def put(self, items: Iterable[tuple[str, str, Mapping[str, Genotype], Outcome]]) -> None:
        """Store outcomes under keys that have none yet: (key, stage, parts, outcome).

        Raises:
            UserError: the database cannot be written; nothing of `items` is stored then.
        """
        self._insert(OUTCOMES, [_row(*item) for item in items])

    def note(self, name: str, value: Any) -> None:
        """Keep a JSON value by name, e.g. the problem as resolved. Like an outcome it is never changed."""
        self._insert(NOTES, [{"name": name, "value": plain(value)}])

    def notes(self) -> dict[str, Any]:
        """All notes by name."""
        with self._told(), self.engine.connect() as connection:
            return {row.name: row.value for row in connection.execute(sa.select(NOTES))}

    def close(self) -> None:
        """Close the connections. Whatever was put is safe without it."""
        self.engine.dispose()

    def _insert(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            statement = _INSERT[self.engine.dialect.name](table).on_conflict_do_nothing()
            with self._told(), self.engine.execution_options(begin="IMMEDIATE").begin() as connection:
                connection.execute(statement, rows)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the database become errors for the user."""
        try:
            yield
        except DBAPIError as error:
            message = str(error.orig)
            hint = next((hint for part, hint in _HINTS.items() if part in message), "")
            raise UserError(f"the record store failed: {message}", self.name, hint) from None
        except UserError as error:
            raise error.in_file(self.name) from None


def _row(key: str, stage: str, parts: Mapping[str, Genotype], outcome: Outcome) -> dict[str, Any]:
    return {
        "key": key,
        "stage": stage,
        "parts": plain(dict(parts)),
        "metrics": plain(dict(outcome.metrics)),
        "status": str(outcome.status),
        "reason": outcome.reason,
        "seconds": outcome.seconds,
        "details": plain(dict(outcome.details)),
        "created_s": time.time(),
    }
