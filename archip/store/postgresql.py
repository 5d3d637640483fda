"""A PostgreSQL server; processes of several machines may write it at once, and many runs may share it.

Choose it when workers or users sit on several machines. The tables lie in a schema of their own, ``archip`` unless the
URL says ``?schema=NAME``, beside whatever else the database holds. Without a password in the URL the client library
asks ``PGPASSWORD`` or ``~/.pgpass``. A server that goes away during a run is waited for, `patience_s` at most.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html (which errors pass).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.exc import ArgumentError, DBAPIError

from archip.core.errors import MissingExtra, UserError
from archip.core.store_url import split_url, without_password
from archip.store import _schema
from archip.store._database import Database

__all__ = ["PostgreSQL"]

_LOCK = 0x61726368  # of the migrations: two processes may open an empty database at once
_PASSES = {  # SQLSTATE
    "40001": "serialization failure",
    "40P01": "deadlock",
    "57P01": "shut down by an administrator",
    "57P02": "crash of another server process",
    "57P03": "starting up",
    "53300": "too many connections",
}
_HINTS = {
    "password": "set PGPASSWORD, write ~/.pgpass, or give the password in the URL",
    "does not exist": "see the name of the database and of the user",
    "permission denied": "ask for the right to create a schema or to write the tables in it",
    "resolve": "see the name of the host",
    "No such file": "see that the server runs and has its socket there",
    "refused": "see that the server runs and listens at that host and port",
    "timeout": "see that the server can be reached from here",
    "No space left": "free some space on the server and run again; what was stored before is untouched",
}


@dataclass
class PostgreSQL(Database):
    """Outcomes and runs on a server.

    Raises:
        UserError: the server cannot be reached, refuses the user, or has tables of a newer archip.
    """

    url: str  # postgresql://USER@HOST/DATABASE
    patience_s: Annotated[float, Field(ge=0)] = 60.0  # how long a server that went away is waited for
    connect_s: Annotated[float, Field(ge=1)] = 10.0  # how long one attempt to connect may take
    clock: Callable[[], float] | None = field(default=None, init=False, repr=False)  # in place of the server's

    def __post_init__(self) -> None:
        self.name = without_password(self.url).replace("+psycopg", "")
        self.hints = _HINTS
        self._open(self._engine())
        try:
            with self._told():
                self._prepare()
        except UserError:
            self.close()
            raise

    def now_s(self, connection: sa.Connection) -> float:
        if self.clock is not None:
            return self.clock()
        return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def pauses(self, error: DBAPIError) -> Iterator[float]:
        passes = error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _PASSES or _is_away(error)
        if not passes:
            return
        spent, pause = 0.0, 0.05
        while spent < self.patience_s:
            yield pause
            spent, pause = spent + pause, min(2.0, 2.0 * pause)

    def _engine(self) -> sa.Engine:
        try:
            url = sa.make_url(split_url(self.url)[1])
        except (ArgumentError, ValueError):
            raise UserError("is no URL of a server", self.name, "postgresql://user@host/database") from None
        self._schema = str(url.query.get("schema", "archip"))
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", self._schema):
            raise UserError(f"schema {self._schema!r} is no plain name", self.name, "small letters, digits and _")
        url = url.difference_update_query(["schema"])
        options = f"{url.query.get('options', '')} -csearch_path={self._schema}".strip()
        url = url.difference_update_query(["options"])
        arguments = {"connect_timeout": max(1, round(self.connect_s)), "options": options, "application_name": "archip"}
        try:
            return sa.create_engine(url, connect_args=arguments, pool_pre_ping=True)
        except ModuleNotFoundError:
            raise MissingExtra("psycopg", "postgres", "a store on PostgreSQL") from None

    def _prepare(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            if self._schema not in sa.inspect(connection).get_schema_names():
                connection.execute(sa.schema.CreateSchema(self._schema, if_not_exists=True))
            _schema.migrate(connection, self._schema)


def _is_away(error: DBAPIError) -> bool:
    """A connection that could not be made, though it was before: these errors have no SQLSTATE."""
    text = str(error.orig)
    return getattr(error.orig, "sqlstate", None) is None and any(
        part in text for part in ("refused", "starting up", "shutting down", "closed the connection", "No such file",
                                  "server closed", "connection is closed", "timeout", "reset by peer", "SSL SYSCALL")
    )  # fmt: skip
