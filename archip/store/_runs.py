"""Runs in a database: their beginning, signs of life and end; statements within a transaction of the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from archip.core.errors import UserError
from archip.core.objectives import Goals
from archip.core.protocols import StoredRun, StoredSearch
from archip.store._json import plain, text
from archip.store._schema import FRONT, RECORDS, RUNS, SEARCHES

__all__ = ["beat", "begin", "end", "revision", "runs", "searches"]

_NOT_OWN = ("baseline ", "import ")  # how names of searches begin that are not the strategy's own


def begin(
    connection: sa.Connection, insert: Callable[[sa.Table], Any], values: Mapping[str, Any], now_s: float
) -> None:
    """Make the run or continue it: `values` has its name, key, problem, goals and owner.

    Raises:
        UserError: the run is another owner's and of another problem.
    """
    name, c = values["name"], RUNS.c
    row = {**values, "problem": plain(values["problem"]), "owner": text(values["owner"]), "state": "running"}
    fresh = {"revision": 0, "created_s": now_s, "heartbeat_s": now_s, "summary": None}
    connection.execute(insert(RUNS).on_conflict_do_nothing(), {**row, **fresh})
    found = connection.execute(sa.select(c.key, c.owner).where(c.name == name).with_for_update()).one()
    if found.key != row["key"]:
        if found.owner != row["owner"]:
            raise UserError(
                f"the run {name!r} is there already, of another problem, begun by {found.owner}",
                right="choose another folder with --out: its name is the run's name",
            )
        row["revision"] = revision(connection, name)
        for table in (RECORDS, FRONT, SEARCHES):
            connection.execute(sa.delete(table).where(table.c.run == name))
    row["revision"] = row.get("revision", c.revision) + 1
    del row["name"]
    connection.execute(sa.update(RUNS).where(c.name == name).values(**row, heartbeat_s=now_s))


def beat(connection: sa.Connection, name: str, now_s: float) -> None:
    """A sign of life."""
    connection.execute(sa.update(RUNS).where(RUNS.c.name == name).values(heartbeat_s=now_s))


def end(connection: sa.Connection, name: str, state: str, summary: Mapping[str, Any] | None, now_s: float) -> None:
    """What became of the run."""
    values = {"state": state, "revision": RUNS.c.revision + 1, "heartbeat_s": now_s}
    if summary is not None:
        values["summary"] = plain(dict(summary))
    connection.execute(sa.update(RUNS).where(RUNS.c.name == name).values(**values))


def revision(connection: sa.Connection, name: str) -> int:
    """Changes of the run and of its searches so far."""
    own = sa.select(RUNS.c.revision).where(RUNS.c.name == name).scalar_subquery()
    theirs = sa.select(sa.func.coalesce(sa.func.sum(SEARCHES.c.revision), 0)).where(SEARCHES.c.run == name)
    return int(connection.execute(sa.select(own + theirs.scalar_subquery())).scalar() or 0)


def runs(connection: sa.Connection, now_s: float, name: str | None = None) -> list[StoredRun]:
    """All runs, or the one called `name`, the first begun first."""
    query = sa.select(RUNS).order_by(RUNS.c.created_s, RUNS.c.name)
    return [
        StoredRun(
            r.name, r.key, r.problem, Goals.from_json(r.goals), r.state, r.owner, revision(connection, r.name),
            r.created_s, now_s - r.heartbeat_s, r.summary,
        )
        for r in connection.execute(query if name is None else query.where(RUNS.c.name == name)).all()
    ]  # fmt: skip


def searches(connection: sa.Connection, name: str) -> list[StoredSearch]:
    """Counts of the searches of a run: the strategy's own first, then baselines and imports."""
    c = SEARCHES.c
    query = sa.select(c.search, c.place, c.n_records, c.n_feasible, c.n_failed).where(c.run == name)
    rows = sorted(connection.execute(query), key=lambda r: (r.search.startswith(_NOT_OWN), r.place, r.search))
    return [StoredSearch(r.search, int(r.n_records), int(r.n_feasible), int(r.n_failed)) for r in rows]
