"""Leases in a database: who works on what, until when; statements within a transaction of the caller.

A lease holds while now < expires <= now + its own length. The second half makes a clock that was set back harmless: a
lease that seems to hold longer than it was given for has expired as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from archip.store._schema import LEASES

__all__ = ["claim", "release", "renew"]

_CHUNK = 500


def claim(
    connection: sa.Connection,
    insert: Callable[[sa.Table], Any],
    keys: Sequence[str],
    owner: str,
    seconds: float,
    now_s: float,
) -> list[str]:
    """Those of `keys` that `owner` holds from now on: free, expired, or its own."""
    c, wanted = LEASES.c, sorted(set(keys))  # in one order everywhere, or two claims could wait for each other
    got: set[str] = set()
    for i in range(0, len(wanted), _CHUNK):
        rows = [
            {"key": key, "owner": owner, "expires_s": now_s + seconds, "seconds": seconds}
            for key in wanted[i : i + _CHUNK]
        ]
        statement = insert(LEASES).values(rows)
        statement = statement.on_conflict_do_update(
            index_elements=[c.key],
            set_={name: statement.excluded[name] for name in ("owner", "expires_s", "seconds")},
            where=sa.or_(c.owner == owner, c.expires_s <= now_s, c.expires_s > now_s + c.seconds),
        )
        got.update(connection.execute(statement.returning(c.key)).scalars())
    return [key for key in dict.fromkeys(keys) if key in got]


def renew(connection: sa.Connection, keys: Sequence[str], owner: str, seconds: float, now_s: float) -> list[str]:
    """Those of `keys` that `owner` still had; they hold for `seconds` from now on."""
    c, wanted = LEASES.c, sorted(set(keys))
    got: set[str] = set()
    for i in range(0, len(wanted), _CHUNK):
        statement = sa.update(LEASES).where(c.key.in_(wanted[i : i + _CHUNK]), c.owner == owner)
        statement = statement.values(expires_s=now_s + seconds, seconds=seconds)
        got.update(connection.execute(statement.returning(c.key)).scalars())
    return [key for key in dict.fromkeys(keys) if key in got]


def release(connection: sa.Connection, keys: Sequence[str], owner: str) -> None:
    """Give back those of `keys` that `owner` has."""
    wanted = sorted(set(keys))
    for i in range(0, len(wanted), _CHUNK):
        connection.execute(sa.delete(LEASES).where(LEASES.c.key.in_(wanted[i : i + _CHUNK]), LEASES.c.owner == owner))
