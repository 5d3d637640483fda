"""One SQLite file; several processes of one machine may write it at once.

Choose it for every run that is to survive its process: it is the store of a run's folder.

The file is in WAL mode: a commit appends to a log, so a process killed at any moment leaves each transaction there
whole or not at all, and readers never wait. ``synchronous=FULL`` also waits for the disk at each commit. Against
``kill -9`` that is not needed (what was handed to the system outlives the process); against a power cut it is, for a
training of an hour must not be lost. It costs one fsync a `put`, and puts are batched. Records follow from outcomes, so
`append` does not wait for the disk (``NORMAL``): after a power cut the same command writes the last ones again. WAL
needs the processes on one machine and a local disk: for a network file system or several machines use a server.

Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from archip.core.errors import UserError
from archip.store import _schema
from archip.store._database import Database

__all__ = ["SQLite"]


_CACHE_KB = 65_536  # at most, a connection; the index of a million candidates is larger than the usual 2 MB

_LOG_PAGES = 4_000  # 16 MB of log before it goes to the file; of the usual 1,000 most pages would soon change again


@dataclass
class SQLite(Database):
    """Outcomes in one file, which is made if it is not there.

    Raises:
        UserError: the file cannot be opened, is no database, is damaged, or belongs to another program or to a newer
            archip. It has not been changed then.
    """

    path: Path  # the file
    timeout_s: Annotated[float, Field(ge=0)] = 60.0  # how long to wait while another process writes
    clock: Callable[[], float] = field(default=time.time, init=False, repr=False)

    def __post_init__(self) -> None:
        self.name = str(self.path)
        url = sa.URL.create("sqlite", database=str(self.path))
        self._open(sa.create_engine(url, connect_args={"timeout": self.timeout_s}))
        event.listen(self.engine, "connect", _connected)
        event.listen(self.engine, "begin", _begin)
        try:
            with self._told():
                self._prepare()
        except UserError:
            self.close()
            raise

    def now_s(self, connection: sa.Connection) -> float:
        return self.clock()

    def pauses(self, error: DBAPIError) -> Iterable[float]:
        return ()  # SQLite itself waits for a lock, for `timeout_s`

    def _prepare(self) -> None:
        with self.engine.connect() as connection:
            _schema.version(connection)  # refuse before anything is changed
        with self.engine.execution_options(begin=None).connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with self.engine.execution_options(begin="IMMEDIATE").begin() as connection:
            _schema.migrate(connection)


def _connected(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own; `_begin` does
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")


def _begin(connection: sa.Connection) -> None:
    """Writers take the lock at once: a reader that turns writer could not wait for another and would fail."""
    options = connection.get_execution_options()
    how = options.get("begin", "DEFERRED")
    if how == "IMMEDIATE":
        connection.exec_driver_sql(f"PRAGMA synchronous={options.get('synchronous', 'FULL')}")
    if how:
        connection.exec_driver_sql(f"BEGIN {how}")
