"""Tables of a store, their versions, and the migrations between versions; the same in every database.

Version 1: ``outcomes``, immutable rows by key; ``notes``, what the run says of itself (problem as resolved, versions).
To change a table, append a function to `MIGRATIONS`; files of older versions are then brought up to date on opening.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from archip.core.errors import UserError

__all__ = ["NOTES", "OUTCOMES", "migrate", "version"]

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


def _create(connection: sa.Connection) -> None:
    _TABLES.create_all(connection)


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_create,)  # the i-th leads from version i to i + 1


def version(connection: sa.Connection) -> int:
    """Version of the tables, 0 for an empty database.

    Raises:
        UserError: the database belongs to another program or to a newer archip; it has not been changed.
    """
    names = sa.inspect(connection).get_table_names()
    if not names:
        return 0
    if _VERSION.name not in names:
        raise UserError("is a database, but not one of archip's", right="name another file or move this one away")
    found = connection.execute(sa.select(sa.func.max(_VERSION.c.version))).scalar() or 0
    if found > len(MIGRATIONS):
        raise UserError(f"was written by a newer archip (version {found} of its tables)", right="update archip")
    return found


def migrate(connection: sa.Connection) -> None:
    """Bring the tables to the newest version, within the caller's transaction."""
    found = version(connection)
    for migration in MIGRATIONS[found:]:
        migration(connection)
    if found < len(MIGRATIONS):
        connection.execute(_VERSION.delete())
        connection.execute(_VERSION.insert().values(version=len(MIGRATIONS)))
