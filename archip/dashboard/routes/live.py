"""Live: server-sent events that say that a run, or any run, has changed; the page then asks for what it shows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from archip.core.candidate import digest
from archip.core.errors import UserError
from archip.dashboard.book import Book, Entry
from archip.dashboard.pages import book, entry_of
from archip.dashboard.views.cards import best

__all__ = ["moment", "moment_of_all", "routes"]

_EVERY_S, _SIGN_OF_LIFE_S = 1.0, 15.0
_MOST_STREAMS = 64
Moment = tuple[str, str]


def moment(entry: Entry) -> Moment:
    """(what changes when the run does, a sentence for those who listen)."""
    run = entry.run
    state, found = run.state, best(entry.front(), run.problem.goals)
    text = f"{run.name}, {state}: {run.n_records():,} candidates, best {found['title']} {found['text']}"
    return f"{run.revision()}-{state}", text


def moment_of_all(known: Book) -> Moment:
    """The same for the list of runs; a run that cannot be read does not change."""
    moments = []
    for entry in known.entries():
        try:
            moments.append(f"{entry.key}-{entry.run.revision()}-{entry.run.state}")
        except UserError:
            moments.append(entry.key)
    return digest(moments), ""


async def _stream(request: Request, look: Callable[[], Moment]) -> AsyncIterator[str]:
    """Events from now on; ends when the browser leaves, which cancels it."""
    request.app.state.n_streams += 1
    last, spoke_s = request.query_params.get("since", ""), time.monotonic()
    try:
        yield "retry: 3000\n\n"
        while True:
            now, text = await run_in_threadpool(look)
            if now != last:
                last, spoke_s = now, time.monotonic()
                yield f"event: change\ndata: {json.dumps({'moment': now, 'text': text})}\n\n"
            elif time.monotonic() - spoke_s > _SIGN_OF_LIFE_S:
                spoke_s = time.monotonic()
                yield ": still here\n\n"
            await asyncio.sleep(_EVERY_S)
    finally:
        request.app.state.n_streams -= 1


def _answer(request: Request, look: Callable[[], Moment]) -> Response:
    if request.app.state.n_streams >= _MOST_STREAMS:
        raise HTTPException(503, "too many pages are open")
    return StreamingResponse(_stream(request, look), media_type="text/event-stream")


async def _run_events(request: Request) -> Response:
    entry = await run_in_threadpool(entry_of, request)
    return _answer(request, lambda: moment(entry))


async def _all_events(request: Request) -> Response:
    return _answer(request, lambda: moment_of_all(book(request)))


routes = [Route("/events", _all_events), Route("/runs/{run}/events", _run_events)]
