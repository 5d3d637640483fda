"""The pages of one run, and their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from archip.core.errors import UserError
from archip.dashboard.book import Entry, NotHere
from archip.dashboard.pages import csrf, entry_of, launcher, page, settings
from archip.dashboard.routes.live import moment
from archip.dashboard.views.calibration import calibration, calibration_figure
from archip.dashboard.views.candidate_figures import candidate_figure
from archip.dashboard.views.candidates import candidate_page, record_of
from archip.dashboard.views.cards import TABS, card, limit_rows
from archip.dashboard.views.curves import comparison, curve_figure
from archip.dashboard.views.designs import design
from archip.dashboard.views.files import files
from archip.dashboard.views.fronts import axes, chosen_axes, figure
from archip.dashboard.views.logs import log
from archip.dashboard.views.quantities import title
from archip.dashboard.views.search_form import candidates
from archip.dashboard.views.tables import Order, front_table

__all__ = ["routes"]

_WITH_PLOTS = ("Front", "Comparison", "Calibration", "Candidate")
Sent = Mapping[str, str]


def _overview(entry: Entry, sent: Sent) -> dict[str, Any]:
    x, y = chosen_axes(entry, sent)
    known = [axis["key"] for axis in axes(entry)]
    sort = sent.get("sort", "")
    order = Order(sort if sort.removeprefix("-") in ("number", *known) else "")
    summary = entry.run.summary or {}
    return {
        "limits": limit_rows(entry, entry.front()),
        "is_done": bool(summary),
        "binding": summary.get("binding"),
        "axes": axes(entry),
        "x": x,
        "y": y,
        "figure": f"{entry.url}/figures/front.json?x={x}&y={y}",
        "titles": {
            "figure": f"{title(y).capitalize()} over {title(x)}",
            "about": "Candidates within all limits; a sample where there are many, but the front is exact. "
            "Dashed lines are limits. A click opens a candidate.",
        },
        "front": front_table(entry, order, f"?x={x}&y={y}&sort="),
    }


def _of_run(section: str, view: Callable[[Entry, Sent], dict[str, Any]]) -> Callable[[Request], dict[str, Any]]:
    """A view of a run with what all its pages have."""

    def values(request: Request) -> dict[str, Any]:
        entry = entry_of(request)
        about = card(entry)
        tabs = [{"path": path, "title": name} for path, name in TABS]
        shared = {"run": about, "tabs": tabs, "section": section, "control": _control(request, entry, about["state"])}
        shared |= {"events": f"{entry.url}/events?since={moment(entry)[0]}", "plots": section in _WITH_PLOTS}
        return shared | view(entry, request.query_params)

    return values


def _control(request: Request, entry: Entry, state: str) -> dict[str, str] | None:
    """The button that the run's page has, if runs may be started here."""
    if not settings(request).allow_runs or entry.run.folder is None:
        return None
    if launcher(request).is_alive(entry.run.folder):
        return {"verb": "stop", "label": "Stop", "csrf": csrf(request)}
    if state in ("interrupted", "failed"):
        return {"verb": "resume", "label": "Resume", "csrf": csrf(request)}
    return None


def _candidate(request: Request) -> dict[str, Any]:
    return _of_run("Candidate", lambda entry, _: candidate_page(entry, request.path_params["candidate"]))(request)


def _figure(request: Request) -> Response:
    entry, name, sent = entry_of(request), request.path_params["figure"], request.query_params
    if name == "front":
        return JSONResponse(figure(entry, *chosen_axes(entry, sent)))
    if name in ("best", "hypervolume"):
        return JSONResponse(curve_figure(entry, name))
    if name.startswith("calibration-"):
        return JSONResponse(calibration_figure(entry, name.removeprefix("calibration-")))
    raise NotHere("there is no such figure", name[:40])


def _candidate_figure(request: Request) -> Response:
    entry = entry_of(request)
    record = record_of(entry, request.path_params["candidate"])
    made = design(entry, record.candidate)
    if made.untold and not made.graphs:
        raise UserError(made.untold)
    return JSONResponse(candidate_figure(made, request.path_params["figure"]))


def _front_door(request: Request) -> Response:
    return RedirectResponse(f"{entry_of(request).url}/overview", 303)


_VIEWS: dict[str, Callable[[Entry, Sent], dict[str, Any]]] = {
    "overview": _overview,
    "candidates": candidates,
    "comparison": lambda entry, _: comparison(entry),
    "calibration": lambda entry, _: calibration(entry),
    "files": lambda entry, _: files(entry),
    "log": lambda entry, _: log(entry),
}

routes = [Route("/runs/{run}", _front_door)]
for _path, _title in TABS:
    routes += page(f"/runs/{{run}}/{_path}", f"{_path}.html.j2", _of_run(_title, _VIEWS[_path]))
routes += [
    Route("/runs/{run}/figures/{figure}.json", _figure),
    Route("/runs/{run}/candidates/{candidate}/figures/{figure}.json", _candidate_figure),
    *page("/runs/{run}/candidates/{candidate}", "candidate.html.j2", _candidate),
]
