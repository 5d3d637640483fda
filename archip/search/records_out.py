"""Records as tables for other programs: CSV, and Parquet with typed columns. Any number of them, a part at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from archip.core.errors import MissingExtra, UserError
from archip.core.files import make_folder, replacing
from archip.core.record import Record
from archip.search.runs import Run

__all__ = ["FIXED", "parts", "write_records"]

FIXED = ("search", "number", "candidate", "status", "reason", "seconds", "genotypes")  # then a column for each metric
_PART = 10_000


def write_records(run: Run, path: Path, searches: Sequence[str] | None = None) -> int:
    """Write the records of some searches of a run (all of them by default) by number; how many there are.

    Args:
        path: ends in ``.csv`` or ``.parquet``. A metric that a record lacks is empty.

    Raises:
        UserError: another ending.
        MissingExtra: Parquet without pyarrow.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(
            f"cannot write records as {path.suffix or path.name!r}", str(path), "end it in .csv or .parquet"
        )
    names = run.searches() if searches is None else list(searches)
    metrics = sorted({name for _, records in parts(run, names) for r in records for name in r.metrics})
    make_folder(path.parent)
    with replacing(path) as temporary:
        rows = ((name, records) for name, records in parts(run, names))
        return _csv(temporary, rows, metrics) if path.suffix == ".csv" else _parquet(temporary, rows, metrics)


def parts(run: Run, searches: Sequence[str]) -> Iterator[tuple[str, list[Record]]]:
    """(search, some of its records by number), until all were given."""
    for name in searches:
        start, records = 0, run.records(name, 0, _PART)
        total, seen = run.n_records(name), 0
        while seen < total:
            if records:
                yield name, records
            seen += len(records)
            start += _PART
            records = run.records(name, start, start + _PART) if seen < total else []


def _row(search: str, record: Record, metrics: Sequence[str]) -> dict[str, Any]:
    fixed = {
        "search": search,
        "number": record.number,
        "candidate": record.candidate.id,
        "status": str(record.status),
        "reason": record.reason,
        "seconds": record.seconds,
        "genotypes": json.dumps(record.candidate.to_json(), ensure_ascii=False),
    }
    return fixed | {name: record.metrics.get(name) for name in metrics}


def _csv(path: Path, rows: Iterator[tuple[str, list[Record]]], metrics: Sequence[str]) -> int:
    n_rows = 0
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*FIXED, *metrics])
        writer.writeheader()
        for search, records in rows:
            writer.writerows(_row(search, record, metrics) for record in records)
            n_rows += len(records)
    return n_rows


def _parquet(path: Path, rows: Iterator[tuple[str, list[Record]]], metrics: Sequence[str]) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("pyarrow", "tables", "a Parquet file") from None
    kinds = {"number": pa.int64(), "seconds": pa.float64()}
    columns = [(name, kinds.get(name, pa.string())) for name in FIXED] + [(name, pa.float64()) for name in metrics]
    schema, n_rows = pa.schema(columns), 0
    with parquet.ParquetWriter(path, schema) as writer:
        for search, records in rows:
            writer.write_table(pa.Table.from_pylist([_row(search, r, metrics) for r in records], schema))
            n_rows += len(records)
    return n_rows
