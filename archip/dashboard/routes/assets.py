"""Style sheet, scripts, and plotly's own JavaScript as its Python package has it."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from archip.dashboard.plotly_js import script

__all__ = ["routes"]

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_PLOTLY = "plotly.min.js"


def _asset(request: Request) -> Response:
    """Checked by its tag at every use: a browser asks again and is told that nothing changed."""
    name = request.path_params["name"]
    if name not in _names():
        raise HTTPException(404)
    packed, tag = _packed(name)
    headers = {"etag": tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == tag:
        return Response(None, 304, headers)
    media = _TYPES["." + name.rpartition(".")[2]]
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, 200, headers | {"content-encoding": "gzip"}, media)
    return Response(gzip.decompress(packed), 200, headers, media)


@cache
def _names() -> frozenset[str]:
    own = (path.name for path in files("archip.dashboard").joinpath("static").iterdir())
    return frozenset([_PLOTLY, *own])


@cache
def _packed(name: str) -> tuple[bytes, str]:
    content = script() if name == _PLOTLY else files("archip.dashboard").joinpath("static", name).read_bytes()
    return gzip.compress(content, 6, mtime=0), f'"{hashlib.sha256(content).hexdigest()[:20]}"'


routes = [Route("/assets/{name}", _asset)]
