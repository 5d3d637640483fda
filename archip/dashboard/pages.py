"""Pages: an address ends in nothing for people and in ``.json`` for programs; both get the same values."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from archip.dashboard.book import Book, Entry
from archip.dashboard.guard import csrf_token
from archip.dashboard.launcher import Launcher
from archip.dashboard.settings import Settings

__all__ = ["book", "csrf", "entry_of", "html", "launcher", "page", "settings", "with_csrf"]

View = Callable[[Request], dict[str, Any]]


def page(path: str, template: str, view: View) -> list[Route]:
    """Two routes: the page, and its twin. The view runs in a thread, for it may read a database."""

    def as_json(request: Request) -> Response:
        return JSONResponse(view(request))

    def as_html(request: Request) -> Response:
        return html(request, template, **view(request), twin=f"{request.url.path}.json?{request.url.query}".rstrip("?"))

    return [Route(f"{path}.json", as_json), Route(path, as_html)]


def html(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A template filled in; everything is escaped unless it was drawn here."""
    text = _environment().get_template(template).render(version=_version(), **values)
    return HTMLResponse(text, status)


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("archip.dashboard"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


@cache
def _version() -> str:
    return version("archip")


def settings(request: Request) -> Settings:
    """What `archip serve` was asked for."""
    return request.app.state.settings


def book(request: Request) -> Book:
    """The runs."""
    return request.app.state.book


def launcher(request: Request) -> Launcher:
    """What was started from the pages."""
    return request.app.state.launcher


def entry_of(request: Request) -> Entry:
    """The run that an address names.

    Raises:
        NotHere: there is none.
    """
    return book(request).get(request.path_params["run"])


def csrf(request: Request) -> str:
    """What the forms of this session carry."""
    return csrf_token(settings(request), request.state.session)


def with_csrf(request: Request, form: FormData | dict[str, str]) -> None:
    """Raises HTTPException 403 where a form lacks what ours carry."""
    if not hmac.compare_digest(str(form.get("csrf", "")).encode(), csrf(request).encode()):
        raise HTTPException(403, "the form is of another session; load the page again")
