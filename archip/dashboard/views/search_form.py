"""Which candidates a form asks for: filter, order and page, checked; a mistake is told, not ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from archip.core.errors import UserError
from archip.core.record import Status
from archip.core.units import parse_quantity
from archip.dashboard.book import Entry
from archip.dashboard.views.fronts import axes
from archip.dashboard.views.quantities import dimension, title
from archip.dashboard.views.tables import Order, record_table
from archip.search.runs import Wanted

__all__ = ["candidates"]

_PAGE = 50
_FIELDS = ("search", "status", "metric", "low", "high", "sort")


@dataclass(frozen=True)
class _Query:
    """The fields as they were sent, and what they mean."""

    fields: Mapping[str, str]
    search: str
    wanted: Wanted
    page: int

    @classmethod
    def of(cls, entry: Entry, sent: Mapping[str, str]) -> _Query:
        """Raises UserError: a field that means nothing; names the field."""
        fields = {name: str(sent.get(name, "")).strip()[:200] for name in _FIELDS}
        searches = entry.run.searches() or [""]
        known = [axis["key"] for axis in axes(entry)]
        fields["search"] = _one_of("search", fields["search"], searches) or searches[0]
        metric = _one_of("metric", fields["metric"], known)
        bounds = {side: _bound(side, fields[side], metric) for side in ("low", "high")}
        order = Order(fields["sort"] or "number")
        _one_of("sort", order.key, ["number", "seconds", *known])
        status = _one_of("status", fields["status"], [str(s) for s in Status])
        page = sent.get("page", "1")
        if not page.isascii() or not page.isdigit() or not 1 <= int(page[:12]) <= 10**9:
            raise UserError(f"{page[:40]!r} is no page", "page", "1, 2, …")
        wanted = Wanted(status, metric, bounds["low"], bounds["high"], order.key, order.is_down)
        return cls(fields, fields["search"], wanted, int(page))

    def url(self, **changes: object) -> str:
        """The address of this page with these fields changed."""
        fields = {**self.fields, "page": self.page, **changes}
        return "?" + urlencode({k: v for k, v in fields.items() if v not in ("", None)})


def _one_of(field: str, given: str, known: list[str]) -> str:
    if given and given not in known:
        raise UserError(f"{given[:60]!r} is not known here", field, "one of: " + ", ".join(known))
    return given


def _bound(field: str, given: str, metric: str) -> float | None:
    if not given:
        return None
    if not metric:
        raise UserError("a bound needs its metric", field, "choose a metric as well")
    try:
        return parse_quantity(given, dimension(metric)).value
    except UserError as error:
        raise error.at(field) from None


def candidates(entry: Entry, sent: Mapping[str, str]) -> dict[str, Any]:
    """The page of candidates that a form asks for; with what is wrong with the form, if anything is."""
    mistake = ""
    try:
        query = _Query.of(entry, sent)
    except UserError as error:
        mistake, query = str(error), _Query.of(entry, {})
    total, records = entry.kept(("found", query.search, query.wanted, query.page), lambda: _found(entry, query))
    last = max(1, -(-total // _PAGE))
    order = Order(query.fields["sort"] or "number")
    counted = f"{total:,} candidates" + ("." if query.wanted.is_all else " are as asked.")
    return {
        "query": {**query.fields, "sort": order.text},
        "mistake": mistake,
        "searches": entry.run.searches(),
        "statuses": [str(s) for s in Status],
        "metrics": [{"key": axis["key"], "title": title(axis["key"])} for axis in axes(entry)],
        "records": record_table(entry, records, order, query.url(page=1, sort="") + "&sort="),
        "found": counted,
        "total": total,
        "pages": {
            "number": query.page,
            "last": last,
            "before": query.url(page=min(last, query.page - 1)) if query.page > 1 else None,
            "after": query.url(page=query.page + 1) if query.page < last else None,
        },
    }


def _found(entry: Entry, query: _Query) -> tuple[int, list[Any]]:
    run, start = entry.run, (query.page - 1) * _PAGE
    if query.wanted == Wanted():  # by number: no scan, however many there are
        return run.n_records(query.search), run.records(query.search, start, start + _PAGE)
    return run.found(query.search, query.wanted, start, _PAGE)
