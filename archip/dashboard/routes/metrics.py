"""``/metrics`` in the text format of Prometheus.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from archip.core.errors import UserError
from archip.dashboard.book import Book
from archip.dashboard.pages import book
from archip.dashboard.views.cards import card

__all__ = ["exposition", "routes"]

_STATES = ("running", "done", "interrupted", "failed")
_FAMILIES = {
    "archip_runs": ("gauge", "Runs by state."),
    "archip_records_total": ("counter", "Candidates evaluated, by run and search."),
    "archip_feasible_total": ("counter", "Candidates within all limits, by run and search."),
    "archip_failures_total": ("counter", "Candidates that could not be built, mapped or trained, by run and search."),
    "archip_budget_candidates": ("gauge", "Candidates that the run may evaluate."),
    "archip_front_size": ("gauge", "Candidates on the front."),
    "archip_best": ("gauge", "Best value of the first objective within all limits."),
    "archip_candidates_per_second": ("gauge", "Candidates a second over the last minute, while the run is running."),
}
Sample = tuple[str, Mapping[str, str], float]


def exposition(known: Book) -> str:
    """All samples of all runs that can be read."""
    samples = list(_samples(known))
    lines = []
    for name, (kind, about) in _FAMILIES.items():
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(labels)} {value!r}" for family, labels, value in samples if family == name]
    return "\n".join(lines) + "\n"


def _samples(known: Book) -> Iterable[Sample]:
    states: Counter[str] = Counter()
    for entry in known.entries():
        try:
            about = card(entry)
            counts = {search: entry.run.counts(search) for search in about["searches"]}
        except UserError:
            continue
        states[about["state"]] += 1
        run = {"run": entry.key}
        for search, count in counts.items():
            labels = {**run, "search": search}
            yield "archip_records_total", labels, float(count["records"])
            yield "archip_feasible_total", labels, float(count["feasible"])
            yield "archip_failures_total", labels, float(count["failed"])
        yield "archip_budget_candidates", run, float(about["budget"])
        yield "archip_front_size", run, float(about["n_front"])
        if about["best"]["value"] is not None:
            yield "archip_best", {**run, "objective": about["best"]["metric"]}, float(about["best"]["value"])
        if about["per_second"] is not None:
            yield "archip_candidates_per_second", run, float(about["per_second"])
    for state in _STATES:
        yield "archip_runs", {"state": state}, float(states[state])


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {k: v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for k, v in labels.items()}
    return "{" + ",".join(f'{k}="{v}"' for k, v in escaped.items()) + "}"


def _metrics(request: Request) -> Response:
    return PlainTextResponse(exposition(book(request)), media_type="text/plain; version=0.0.4; charset=utf-8")


routes = [Route("/metrics", _metrics)]
