"""Downloads: the files of a run, and its records as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from archip.core.errors import UserError
from archip.dashboard.book import Entry
from archip.dashboard.pages import entry_of
from archip.dashboard.views.files import opened

__all__ = ["routes"]

_PIECE = 1000
# The report has its scripts in itself. It is shown in a sandbox: an origin of its own, which reaches nothing here.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'"
)


def _file(request: Request) -> Response:
    name = request.path_params["name"]
    path, about = opened(entry_of(request), name)
    if name == "report.html":
        headers = {"content-security-policy": _REPORT_POLICY}
        return FileResponse(path, media_type="text/html", headers=headers, stat_result=about)
    headers = {"content-security-policy": "sandbox; default-src 'none'"}
    media = "application/octet-stream"
    return FileResponse(path, headers=headers, media_type=media, filename=path.name, stat_result=about)


def _records(request: Request) -> Response:
    entry = entry_of(request)
    search = request.query_params.get("search") or next(iter(entry.run.searches()), "")
    if search not in entry.run.searches():
        raise UserError(f"{search[:60]!r} is no search of this run", "search")
    headers = {"content-disposition": f'attachment; filename="{entry.key}.jsonl"'}
    return StreamingResponse(_lines(entry, search), media_type="application/x-ndjson", headers=headers)


def _lines(entry: Entry, search: str) -> Iterator[str]:
    for start in range(0, entry.run.n_records(search), _PIECE):
        for record in entry.run.records(search, start, start + _PIECE):
            yield json.dumps({"id": record.candidate.id, **record.to_json()}) + "\n"


routes = [Route("/runs/{run}/records.jsonl", _records), Route("/runs/{run}/files/{name:path}", _file)]
