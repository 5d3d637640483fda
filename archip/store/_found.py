"""Found: records of a search that are as wanted, in an order, a page at a time; the database filters and sorts.

This scans the search's records, and takes some seconds at a million of them; a page by number alone does not.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from archip.core.protocols import Wanted
from archip.core.record import Record
from archip.store._records import _COLUMNS, _is, _records
from archip.store._schema import RECORDS

__all__ = ["found"]


def found(
    connection: sa.Connection, where: tuple[str, str], wanted: Wanted, start: int, n: int
) -> tuple[int, list[Record]]:
    """(how many are as wanted, those from the `start`-th in the order, `n` at most)."""
    conditions = [*_is(RECORDS, where), *_conditions(wanted)]
    total = connection.execute(sa.select(sa.func.count()).select_from(RECORDS).where(*conditions)).scalar_one()
    order = [RECORDS.c.number.desc() if wanted.sort == "number" and wanted.is_descending else RECORDS.c.number]
    if wanted.sort != "number":
        by = RECORDS.c.seconds if wanted.sort == "seconds" else _value(wanted.sort)
        order.insert(0, sa.nulls_last(by.desc() if wanted.is_descending else by.asc()))
    page = sa.select(RECORDS.c.number).where(*conditions).order_by(*order).offset(start).limit(n)
    numbers = list(connection.execute(page).scalars())  # whole rows would make the sort heavy
    rows = sa.select(*_COLUMNS).where(*_is(RECORDS, where), RECORDS.c.number.in_(numbers))
    by_number = {record.number: record for record in _records(connection, rows)}
    return total, [by_number[number] for number in numbers]


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.status:
        conditions.append(RECORDS.c.status == wanted.status)
    if wanted.metric:
        value = _value(wanted.metric)
        conditions.append(value.is_not(None))
        conditions += [] if wanted.low is None else [value >= wanted.low]
        conditions += [] if wanted.high is None else [value <= wanted.high]
    return conditions


def _value(metric: str) -> Any:
    return RECORDS.c.metrics[metric].as_float()
