"""The list of runs."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from archip.core.errors import UserError
from archip.core.store_url import without_password
from archip.dashboard.pages import book, page, settings
from archip.dashboard.routes.live import moment_of_all
from archip.dashboard.views.cards import card

__all__ = ["routes"]


def _runs(request: Request) -> dict[str, Any]:
    known = book(request)
    cards, unreadable = [], []
    for entry in known.entries():
        try:
            cards.append(card(entry))
        except UserError as error:
            unreadable.append(f"{entry.where}: {error}")
    order = {"running": 0}
    cards.sort(key=lambda c: order.get(c["state"], 1))
    return {
        "root": without_password(known.root),
        "runs": cards,
        "unreadable": unreadable,
        "may_start": settings(request).allow_runs and known.folder is not None,
        "events": f"/events?since={moment_of_all(known)[0]}",
    }


def _home(request: Request) -> Response:
    return RedirectResponse("/runs", 303)


routes = [Route("/", _home), *page("/runs", "runs.html.j2", _runs)]
