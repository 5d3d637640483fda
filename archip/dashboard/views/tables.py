"""Tables of candidates: columns with one unit each, so that numbers align; the front, and found records in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archip.core.record import Record
from archip.dashboard.book import Entry
from archip.dashboard.views.fronts import metric_names
from archip.dashboard.views.quantities import Scale, title

__all__ = ["Order", "front_table", "record_table"]

_MOST_ON_FRONT = 500


@dataclass(frozen=True)
class Order:
    """How a table is sorted: ``metric`` or ``-metric``."""

    text: str

    @property
    def key(self) -> str:
        return self.text.removeprefix("-")

    @property
    def is_down(self) -> bool:
        return self.text.startswith("-")

    def column(self, key: str, url: str) -> dict[str, Any]:
        """The sort state of a column, and the address that sorts by it (or turns it round)."""
        state = ("descending" if self.is_down else "ascending") if self.key == key else None
        turned = key if self.key == key and self.is_down else ("-" + key if self.key == key else key)
        return {"sorted": state, "sort_url": url + turned}


def front_table(entry: Entry, order: Order, url: str) -> dict[str, Any]:
    """All of the front up to 500; by the first objective unless asked otherwise."""
    goals = entry.run.problem.goals
    records = sorted(entry.front(), key=goals.key)
    if order.key == "number":
        records.sort(key=lambda r: r.number, reverse=order.is_down)
    elif order.text:
        known = [r for r in records if order.key in r.metrics]
        records = sorted(known, key=lambda r: r.metrics[order.key], reverse=order.is_down)
    shown = records[:_MOST_ON_FRONT]
    note = f"The first {len(shown)} of {len(records):,}." if len(shown) < len(records) else ""
    empty = "No candidate within all limits yet."
    return _grid(entry, shown, order, url) | {"note": note, "empty": empty}


def record_table(entry: Entry, records: Sequence[Record], order: Order, url: str) -> dict[str, Any]:
    """One page of found records, with status and reason."""
    grid = _grid(entry, records, order, url)
    grid["columns"].insert(2, {"key": "status", "title": "status"})
    grid["columns"] += [{"key": "seconds", "title": "time", "unit": "s", "number": True} | order.column("seconds", url)]
    grid["columns"] += [{"key": "reason", "title": "reason"}]
    for row, record in zip(grid["rows"], records, strict=True):
        row["seconds"] = {"text": f"{record.seconds:.3f}", "value": record.seconds}
        row["status"] = {"text": str(record.status), "mark": "bad" if record.status == "failed" else ""}
        row["reason"] = {"text": record.reason[:400]}
    return grid | {"empty": "No candidate is like that."}


def _grid(entry: Entry, records: Sequence[Record], order: Order, url: str) -> dict[str, Any]:
    names = metric_names(entry.run.problem, records[:50])
    scales = {name: Scale.of(name, [r.metrics[name] for r in records if name in r.metrics]) for name in names}
    columns: list[dict[str, Any]] = [{"key": "candidate", "title": "candidate", "row_head": True}]
    columns.append({"key": "number", "title": "number", "number": True, **order.column("number", url)})
    for name in names:
        about = {"key": name, "title": title(name), "unit": scales[name].unit, "number": True}
        columns.append(about | order.column(name, url))
    return {"columns": columns, "rows": [_row(entry, record, scales) for record in records]}


def _row(entry: Entry, record: Record, scales: dict[str, Scale]) -> dict[str, Any]:
    candidate = record.candidate.id
    row: dict[str, Any] = {"candidate": {"text": candidate, "url": f"{entry.url}/candidates/{candidate}"}}
    row["number"] = {"text": f"{record.number:,}", "value": record.number}
    for name, scale in scales.items():
        value = record.metrics.get(name)
        row[name] = {"text": scale.text(value), "value": value}
    return row
