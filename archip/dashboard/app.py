"""The web application: routes behind the guard. It only reads runs, unless it was told that it may start them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from archip.core.errors import UserError
from archip.dashboard.book import Book, NotHere
from archip.dashboard.guard import Guard
from archip.dashboard.launcher import Launcher
from archip.dashboard.pages import html
from archip.dashboard.plotly_js import style_hashes
from archip.dashboard.routes import assets, control, downloads, live, metrics, run, runs
from archip.dashboard.settings import Settings
from archip.dashboard.views.cards import card

__all__ = ["make_app"]

_WARM = 20  # runs


def make_app(settings: Settings) -> Starlette:
    """The application for one root; give it to an ASGI server."""
    routes = [*runs.routes, *live.routes, *downloads.routes, *metrics.routes, *assets.routes]
    if settings.allow_runs:
        routes += control.routes
    app = Starlette(
        routes=[*routes, *run.routes],
        middleware=[Middleware(Guard, settings=settings)],
        exception_handlers={UserError: _not_possible, HTTPException: _refused},
        lifespan=_closing,
    )
    app.state.settings = settings
    app.state.book = Book(settings.root)
    app.state.launcher = Launcher()
    app.state.n_streams = 0
    return app


@contextlib.asynccontextmanager
async def _closing(app: Starlette) -> AsyncIterator[None]:
    await run_in_threadpool(_warm, app.state.book)
    yield
    app.state.book.close()


def _warm(book: Book) -> None:
    """Load what the first page needs (the methods that problems name, the templates), so that it opens at once."""
    style_hashes()
    for entry in book.entries()[:_WARM]:
        with contextlib.suppress(UserError):
            card(entry)


def _not_possible(request: Request, error: Exception) -> Response:
    """A run or a file that is not there, or that cannot be read: said in words."""
    status = 404 if isinstance(error, NotHere) else 422
    return _told(request, status, "Not here" if status == 404 else "This cannot be shown", str(error))


def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    return _told(request, status, "Not here" if status == 404 else "Refused", detail)


def _told(request: Request, status: int, title: str, message: str) -> Response:
    if request.url.path.endswith(".json"):
        return JSONResponse({"status": status, "error": message}, status)
    return html(request, "error.html.j2", status, title=title, message=message)
