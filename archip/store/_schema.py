"""Tables of a store, their versions, and the migrations between versions; the same in every database.

Version 1: ``outcomes``, immutable rows by key; ``notes``, JSON values by name.
Version 2: ``runs``, ``searches`` (counts of each), ``records`` (told candidates by number), ``front`` (numbers of
the records on the front of each search, kept by the writer), ``leases`` (who works on what).
To change a table, append a function to `MIGRATIONS` that alters it; older databases are brought up to date on opening.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from archip.core.errors import UserError

__all__ = ["FRONT", "LEASES", "NOTES", "OUTCOMES", "RECORDS", "RUNS", "SEARCHES", "migrate", "version"]

_TABLES = sa.MetaData()

OUTCOMES = sa.Table(
    "outcomes",
    _TABLES,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("stage", sa.String(200), nullable=False, index=True),
    sa.Column("parts", sa.JSON, nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float(53), nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("created_s", sa.Float(53), nullable=False),  # since 1970
)
NOTES = sa.Table(
    "notes",
    _TABLES,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)
_VERSION = sa.Table("archip_version", _TABLES, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))

RUNS = sa.Table(
    "runs",
    _TABLES,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(64), nullable=False),  # digest of what the records depend on
    sa.Column("problem", sa.JSON, nullable=False),
    sa.Column("goals", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),  # changes of this row; those of its searches come on top
    sa.Column("created_s", sa.Float(53), nullable=False),
    sa.Column("heartbeat_s", sa.Float(53), nullable=False),
    sa.Column("summary", sa.JSON(none_as_null=True)),
)
SEARCHES = sa.Table(
    "searches",
    _TABLES,
    sa.Column("run", sa.String(200), primary_key=True),
    sa.Column("search", sa.String(200), primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("n_records", sa.BigInteger, nullable=False),
    sa.Column("n_feasible", sa.BigInteger, nullable=False),
    sa.Column("n_failed", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),  # largest number so far, -1 for none
    sa.Column("revision", sa.BigInteger, nullable=False),
)
RECORDS = sa.Table(
    "records",
    _TABLES,
    sa.Column("run", sa.String(200), primary_key=True),
    sa.Column("search", sa.String(200), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("candidate", sa.String(64), nullable=False),
    sa.Column("genotypes", sa.JSON, nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float(53), nullable=False),
    sa.Column("source", sa.Text, nullable=False),  # where an imported record comes from, else empty
    sa.Column("created_s", sa.Float(53), nullable=False),
    sa.Index("records_by_candidate", "run", "candidate", "search", unique=True),
)
FRONT = sa.Table(
    "front",
    _TABLES,
    sa.Column("run", sa.String(200), primary_key=True),
    sa.Column("search", sa.String(200), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
)
LEASES = sa.Table(
    "leases",
    _TABLES,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("expires_s", sa.Float(53), nullable=False),
    sa.Column("seconds", sa.Float(53), nullable=False),
)


def _create(connection: sa.Connection) -> None:
    _TABLES.create_all(connection, [OUTCOMES, NOTES, _VERSION])


def _add_runs(connection: sa.Connection) -> None:
    _TABLES.create_all(connection, [RUNS, SEARCHES, RECORDS, FRONT, LEASES])


# The i-th leads from version i to i + 1.
MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_create, _add_runs)


def version(connection: sa.Connection, schema: str | None = None) -> int:
    """Version of the tables, 0 for an empty database.

    Raises:
        UserError: the database belongs to another program or to a newer archip; it has not been changed.
    """
    names = sa.inspect(connection).get_table_names(schema)
    if not names:
        return 0
    if _VERSION.name not in names:
        raise UserError("is a database, but not one of archip's", right="name another file or move this one away")
    found = connection.execute(sa.select(sa.func.max(_VERSION.c.version))).scalar() or 0
    if found > len(MIGRATIONS):
        raise UserError(f"was written by a newer archip (version {found} of its tables)", right="update archip")
    return found


def migrate(connection: sa.Connection, schema: str | None = None) -> None:
    """Bring the tables to the newest version, within the caller's transaction."""
    found = version(connection, schema)
    for migration in MIGRATIONS[found:]:
        migration(connection)
    if found < len(MIGRATIONS):
        connection.execute(_VERSION.delete())
        connection.execute(_VERSION.insert().values(version=len(MIGRATIONS)))
