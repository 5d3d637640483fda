"""Records of runs in a database: statements, each within a transaction of the caller.

A writer locks the row of its search, so that the counts and the front change together with the records; writers of
different searches do not wait for each other. The front is held in memory between the calls (`Kept`); when another
process has changed it, its numbers are read again and the records of those that are new, so that an append costs the
same at a thousand and at a million records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from archip.core.candidate import Candidate
from archip.core.errors import ArchipError, UserError
from archip.core.objectives import Goals
from archip.core.pareto import dominates, non_dominated_mask
from archip.core.record import Record, Status
from archip.store._json import text
from archip.store._schema import FRONT, RECORDS, RUNS, SEARCHES

__all__ = ["Kept", "append", "numbers_in", "of_candidate", "read", "read_front", "updated_front"]

_CHUNK = 500  # numbers a statement; SQLite binds at most 32,766 values in one
_PAIRS = 1 << 21  # comparisons of losses at once
_COLUMNS = [RECORDS.c[n] for n in ("number", "genotypes", "metrics", "status", "reason", "seconds")]


@dataclass(frozen=True)
class Kept:
    """The front of a search as of a revision: numbers [F] and losses [F, objectives] of its records."""

    key: str
    revision: int
    goals: Goals
    numbers: np.ndarray
    losses: np.ndarray


def updated_front(kept: Kept, new: Sequence[Record]) -> tuple[np.ndarray, list[Record]]:
    """[F] which members stay, and which of the feasible records `new` join them."""
    losses = kept.goals.losses(new)
    rows = np.flatnonzero(non_dominated_mask(losses))
    step = max(1, _PAIRS // max(1, len(kept.losses) * max(1, losses.shape[1])))
    joins = [row for row in rows if not dominates(kept.losses, losses[row]).any()]
    stays = np.ones(len(kept.numbers), dtype=bool)
    for i in range(0, len(joins), step):
        stays &= ~dominates(losses[joins[i : i + step], None, :], kept.losses[None, :, :]).any(0)
    return stays, [new[row] for row in joins]


def append(
    connection: sa.Connection,
    insert: Callable[[sa.Table], Any],
    where: tuple[str, str],
    records: Sequence[Record],
    source: str,
    kept: Kept | None,
    key: str | None,
) -> tuple[int, Kept]:
    """Write those of `records` whose candidates are new; how many they were, and the front for the next call."""
    row = _locked(connection, insert, where)
    if key is not None and row.key != key:
        raise UserError(f"the run {where[0]!r} was begun anew with another problem", right="start this one again")
    if kept is None or kept.key != row.key or kept.revision != row.revision:
        kept = _kept(connection, where, row, kept)
    new = _unknown(connection, where, records, row.last)
    if not new:
        return 0, kept
    connection.execute(insert(RECORDS).on_conflict_do_nothing(), [_row(where, r, source) for r in new])
    feasible = [r for r in new if kept.goals.feasible(r)]
    stays, joins = updated_front(kept, feasible)
    _write_front(connection, where, kept.numbers[~stays].tolist(), [r.number for r in joins])
    c = SEARCHES.c
    changes = {
        c.n_records: c.n_records + len(new),
        c.n_feasible: c.n_feasible + len(feasible),
        c.n_failed: c.n_failed + sum(r.status is Status.FAILED for r in new),
        c.last: max(row.last, *(r.number for r in new)),
        c.revision: c.revision + 1,
    }
    connection.execute(sa.update(SEARCHES).where(*_is(SEARCHES, where)).values(changes))
    numbers = np.concatenate([kept.numbers[stays], np.array([r.number for r in joins], dtype=np.int64)])
    losses = np.concatenate([kept.losses[stays], kept.goals.losses(joins)])
    return len(new), Kept(row.key, row.revision + 1, kept.goals, numbers, losses)


def read(connection: sa.Connection, where: tuple[str, str], start: int, stop: int | None) -> list[Record]:
    """The records with start <= number < stop, by number."""
    query = sa.select(*_COLUMNS).where(*_is(RECORDS, where), RECORDS.c.number >= start).order_by(RECORDS.c.number)
    return _records(connection, query if stop is None else query.where(RECORDS.c.number < stop))


def numbers_in(connection: sa.Connection, where: tuple[str, str], numbers: Sequence[int]) -> list[Record]:
    """The records with these numbers that are there, by number."""
    found: list[Record] = []
    ordered = sorted(set(numbers))
    for i in range(0, len(ordered), _CHUNK):
        query = sa.select(*_COLUMNS).where(*_is(RECORDS, where), RECORDS.c.number.in_(ordered[i : i + _CHUNK]))
        found += _records(connection, query.order_by(RECORDS.c.number))
    return found


def of_candidate(connection: sa.Connection, run: str, candidate: str) -> Record | None:
    """The first record of a candidate: the strategy's own before those of baselines."""
    c = RECORDS.c
    query = sa.select(c.search, *_COLUMNS).where(c.run == run, c.candidate == candidate)
    rows = sorted(
        connection.execute(query), key=lambda r: (r.search.startswith(("baseline ", "import ")), r.search, r.number)
    )
    return _record(rows[0]) if rows else None


def read_front(connection: sa.Connection, where: tuple[str, str]) -> list[Record]:
    """The front of a search, by number."""
    of = sa.and_(*(RECORDS.c[name] == FRONT.c[name] for name in ("run", "search", "number")))
    query = sa.select(*_COLUMNS).select_from(FRONT.join(RECORDS, of)).where(*_is(FRONT, where))
    return _records(connection, query.order_by(FRONT.c.number))


def _is(table: sa.Table, where: tuple[str, str]) -> tuple[Any, Any]:
    return table.c.run == where[0], table.c.search == where[1]


def _locked(connection: sa.Connection, insert: Callable[[sa.Table], Any], where: tuple[str, str]) -> Any:
    """The row of the search with the key of its run, locked until the transaction ends; made if it is not there."""
    query = sa.select(SEARCHES.c.revision, SEARCHES.c.last, RUNS.c.key).join(RUNS, RUNS.c.name == SEARCHES.c.run)
    query = query.where(*_is(SEARCHES, where)).with_for_update(of=SEARCHES)
    row = connection.execute(query).first()
    if row is not None:
        return row
    if connection.execute(sa.select(RUNS.c.name).where(RUNS.c.name == where[0])).first() is None:
        raise ArchipError(f"the run {where[0]!r} has not begun")
    place = connection.execute(sa.select(sa.func.count()).where(SEARCHES.c.run == where[0])).scalar()
    fresh = {"run": where[0], "search": where[1], "place": place, "last": -1, "revision": 0}
    counts = dict.fromkeys(("n_records", "n_feasible", "n_failed"), 0)
    connection.execute(insert(SEARCHES).on_conflict_do_nothing(), fresh | counts)
    return connection.execute(query).one()


def _kept(connection: sa.Connection, where: tuple[str, str], row: Any, before: Kept | None) -> Kept:
    """The front as stored; of members that it had `before`, only the numbers are read."""
    if before is None or before.key != row.key:
        goals = Goals.from_json(connection.execute(sa.select(RUNS.c.goals).where(RUNS.c.name == where[0])).scalar_one())
        before = Kept(row.key, -1, goals, np.empty(0, dtype=np.int64), goals.losses([]))
    query = sa.select(FRONT.c.number).where(*_is(FRONT, where)).order_by(FRONT.c.number)
    numbers = np.fromiter(connection.execute(query).scalars(), dtype=np.int64)
    stays = np.isin(before.numbers, numbers, assume_unique=True)
    joined = numbers_in(connection, where, np.setdiff1d(numbers, before.numbers, assume_unique=True).tolist())
    return Kept(
        row.key,
        row.revision,
        before.goals,
        np.concatenate([before.numbers[stays], np.array([r.number for r in joined], dtype=np.int64)]),
        np.concatenate([before.losses[stays], before.goals.losses(joined)]),
    )


def _unknown(connection: sa.Connection, where: tuple[str, str], records: Sequence[Record], last: int) -> list[Record]:
    """Those whose candidate is not stored, each once; under the next free number where theirs is taken."""
    new = {r.candidate.id: r for r in reversed(records)}
    new = {id_: new[id_] for id_ in dict.fromkeys(r.candidate.id for r in records)}
    for id_ in _stored(connection, RECORDS.c.candidate, where, list(new)):
        del new[id_]
    taken = set(_stored(connection, RECORDS.c.number, where, [r.number for r in new.values() if r.number <= last]))
    free = max([last, *(r.number for r in new.values())]) + 1
    placed = []
    for record in new.values():
        if record.number < 0 or record.number in taken:
            record, free = replace(record, number=free), free + 1
        taken.add(record.number)
        placed.append(record)
    return placed


def _stored(connection: sa.Connection, column: Any, where: tuple[str, str], values: Sequence[Any]) -> list[Any]:
    """Those of `values` that a record of the search has in `column`."""
    found: list[Any] = []
    for i in range(0, len(values), _CHUNK):
        query = sa.select(column).where(*_is(RECORDS, where), column.in_(values[i : i + _CHUNK]))
        found += connection.execute(query).scalars()
    return found


def _write_front(connection: sa.Connection, where: tuple[str, str], gone: list[int], joined: list[int]) -> None:
    for i in range(0, len(gone), _CHUNK):
        chunk = FRONT.c.number.in_(gone[i : i + _CHUNK])
        connection.execute(sa.delete(FRONT).where(*_is(FRONT, where), chunk))
    if joined:
        connection.execute(sa.insert(FRONT), [{"run": where[0], "search": where[1], "number": n} for n in joined])


def _row(where: tuple[str, str], record: Record, source: str) -> dict[str, Any]:
    return {
        "run": where[0],
        "search": where[1],
        "number": record.number,
        "candidate": record.candidate.id,
        "genotypes": record.candidate.to_json(),  # canonical, and metrics are finite: JSON as they are
        "metrics": dict(record.metrics),
        "status": str(record.status),
        "reason": text(record.reason),
        "seconds": record.seconds,
        "source": text(source),
        "created_s": time.time(),
    }


def _records(connection: sa.Connection, query: sa.Select[Any]) -> list[Record]:
    return [_record(row) for row in connection.execute(query)]


def _record(r: Any) -> Record:
    return Record(Candidate.from_json(r.genotypes), r.metrics, Status(r.status), r.reason, r.seconds, r.number)
