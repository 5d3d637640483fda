"""A dashboard that really listens: uvicorn on a free port, in a thread of the test process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn

from archip.dashboard.app import make_app
from archip.dashboard.settings import Settings

__all__ = ["TOKEN", "Served", "serving"]

TOKEN = "a-token-that-nobody-guesses"


@dataclass(frozen=True)
class Served:
    """A running dashboard."""

    root: Path
    port: int
    app: object

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def raw(self, request: bytes, is_cut: bool = False) -> bytes:
        """Send bytes, well-formed or not; what comes back until the other side closes."""
        answer = b""
        where = ("127.0.0.1", self.port)
        with contextlib.suppress(ConnectionError), socket.create_connection(where, timeout=30) as connection:
            connection.sendall(request)
            if is_cut:
                # A server that has refused already may have closed: then there is nothing left to shut (ENOTCONN).
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        return answer


@contextlib.contextmanager
def serving(root: Path, **options) -> Iterator[Served]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = make_app(Settings(str(root), port=port, **options))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, server_header=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Served(root, port, app)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()
