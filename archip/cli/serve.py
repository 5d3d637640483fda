"""``archip serve``: runs in the browser, live."""

from __future__ import annotations

import logging
import secrets
import socket
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from archip.core.errors import MissingExtra, UserError

__all__ = ["register"]

_BACKLOG = 512
_STREAMS_END_S = 2  # what open pages get at the end, for they would listen for ever


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def serve(
        runs: Annotated[str, typer.Argument(help="A folder with runs, one run, or the URL of a database.")] = "runs",
        host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's need a token.")] = (
            "127.0.0.1"
        ),
        port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8080,
        token: Annotated[
            str | None,
            typer.Option(help="What visitors have to show; made and printed where one is needed and none is given."),
        ] = None,
        allow_runs: Annotated[
            bool, typer.Option("--allow-runs", help="Runs may be started, stopped and resumed from the pages.")
        ] = False,
        name: Annotated[
            list[str] | None, typer.Option(help="A name by which browsers may call this server, e.g. of a proxy.")
        ] = None,
        open_browser: Annotated[bool, typer.Option("--open", help="Open a browser.")] = False,
    ) -> None:
        """Show runs in the browser while they go on: front, candidates, networks, chip, schedule, comparison.

        Each page has a twin for programs (its address with .json), and /metrics is for Prometheus.

        Examples:

          archip serve

          archip serve runs/two_tasks --open

          archip serve runs --host 0.0.0.0 --port 8000

          archip serve postgresql://user@host/archip
        """
        _check_extra()
        import uvicorn

        from archip.dashboard.app import make_app
        from archip.dashboard.settings import Settings, is_loopback

        if "://" not in runs and not Path(runs).exists():
            raise UserError("no such folder", runs, "archip run makes runs/NAME; or name another folder")
        if token is None and not is_loopback(host):
            token = secrets.token_urlsafe(32)
        listening = _listening(host, port)
        port = listening.getsockname()[1]
        settings = Settings(runs, host, port, token, allow_runs, tuple(n.lower() for n in name or ()))
        address = _address(host, port, token)
        typer.echo(f"archip serves {_shown(runs)} at {address}  (Ctrl-C ends it)")
        if open_browser:
            webbrowser.open(address)
        config = uvicorn.Config(
            make_app(settings),
            access_log=False,  # it would keep the token of the first visit
            log_level=logging.getLevelName(logging.getLogger().level).lower(),
            server_header=False,
            timeout_graceful_shutdown=_STREAMS_END_S,
            proxy_headers=False,
        )
        uvicorn.Server(config).run(sockets=[listening])


def _check_extra() -> None:
    for package in ("starlette", "uvicorn"):
        try:
            __import__(package)
        except ImportError:
            raise MissingExtra(package, "serve", "archip serve") from None


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; the port is known then, even if any would do."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(_BACKLOG)  # a browser that is opened at once waits instead of failing
    except OSError as error:
        raise UserError(f"cannot listen on {host}, port {port}: {error.strerror}", "--host, --port") from None
    return listening


def _address(host: str, port: int, token: str | None) -> str:
    everywhere = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}
    name = everywhere.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/runs" + (f"?token={token}" if token else "")


def _shown(runs: str) -> str:
    from archip.core.store_url import without_password

    return without_password(runs) if "://" in runs else runs
