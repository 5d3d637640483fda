"""Starting, stopping and resuming runs; these addresses are there only with ``--allow-runs``."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.core.yaml_file import parse_yaml
from archip.dashboard.book import NotHere
from archip.dashboard.pages import book, csrf, entry_of, html, launcher, with_csrf

__all__ = ["routes"]

_EXAMPLE = """\
name: my_run
tasks:
  digits: {data: digits, net: resnet9}
target:
  chip: {cores: 2, pes: {total: 1024, step: 32}}
limits: {latency: 100 us, energy: 50 uJ, area: 4 mm2}
budget: {candidates: 200}
finish: {keep: 1}
"""


def _new(request: Request) -> Response:
    return html(request, "new.html.j2", **_form(request, _EXAMPLE))


def _form(request: Request, problem: str, mistake: str = "") -> dict[str, Any]:
    told = {"csrf": csrf(request), "root": str(book(request).folder or ""), "launches": launcher(request).launches()}
    return {"problem": problem, "mistake": mistake, **told}


async def _start(request: Request) -> Response:
    form = await _sent(request)
    return await run_in_threadpool(_started, request, form.get("problem", ""))


def _started(request: Request, text: str) -> Response:
    root = book(request).folder
    try:
        if root is None:
            raise UserError("new runs need a folder of runs", right="archip serve FOLDER --allow-runs")
        folder = launcher(request).create(Problem.from_dict(parse_yaml(text, "problem")), root)
    except UserError as error:
        return html(request, "new.html.j2", 422, **_form(request, text, str(error)))
    book(request).forget()
    return RedirectResponse(f"/new#{folder.name}", 303)


async def _resume(request: Request) -> Response:
    await _sent(request)
    entry = await run_in_threadpool(entry_of, request)
    if entry.run.folder is None:
        raise UserError("the run's folder is on another machine")
    if await run_in_threadpool(lambda: entry.run.state) == "running":
        raise UserError("the run is running already")
    await run_in_threadpool(launcher(request).resume, entry.run.folder)
    return RedirectResponse(f"{entry.url}/overview", 303)


async def _stop(request: Request) -> Response:
    await _sent(request)
    entry = await run_in_threadpool(entry_of, request)
    if entry.run.folder is None:
        raise NotHere("the run's folder is on another machine")
    await run_in_threadpool(launcher(request).stop, entry.run.folder)
    return RedirectResponse(f"{entry.url}/overview", 303)


async def _sent(request: Request) -> dict[str, str]:
    """The fields of a form of ours."""
    body = (await request.body()).decode("utf-8", "replace")
    form = dict(parse_qsl(body, keep_blank_values=True))
    with_csrf(request, form)
    return form


routes = [
    Route("/new", _new),
    Route("/new", _start, methods=["POST"]),
    Route("/runs/{run}/resume", _resume, methods=["POST"]),
    Route("/runs/{run}/stop", _stop, methods=["POST"]),
]
