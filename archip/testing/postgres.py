"""A PostgreSQL server for tests: the one that ``ARCHIP_POSTGRES`` names, or a private one that ends with them.

The private server comes from the binaries of the distribution, listens on a socket in a temporary folder only, and
does not wait for the disk (fsync off), since nothing of it is to outlast the machine.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

__all__ = ["Server", "reason_against", "server"]

_USER = "postgres"  # initdb refuses to run as root; this one comes with the distribution's package


@dataclass(frozen=True)
class Server:
    """A server that may be written.

    Attributes:
        base: its URL.
        control: starts and stops it; None where it belongs to somebody else.
    """

    base: str
    control: tuple[str, ...] | None

    def url(self, schema: str) -> str:
        """URL of a store of its own."""
        return f"{self.base}{'&' if '?' in self.base else '?'}schema={schema}"

    def stop(self, mode: str = "fast") -> None:
        """Stop a private server: ``fast`` ends the connections, ``immediate`` is a crash."""
        assert self.control is not None
        subprocess.run([*self.control, "stop", "-m", mode], check=True, capture_output=True)

    def start(self) -> None:
        """Start a private server; returns when it takes connections."""
        assert self.control is not None
        subprocess.run([*self.control, "start", "-w"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def reason_against() -> str:
    """Why there can be no server here; empty if there can be one."""
    from importlib.util import find_spec

    if find_spec("psycopg") is None:
        return "psycopg is not installed (pip install 'archip[postgres]')"
    if os.environ.get("ARCHIP_POSTGRES"):
        return ""
    if _binaries() is None:
        return "no PostgreSQL here: neither ARCHIP_POSTGRES nor the distribution's package"
    if os.geteuid() == 0 and (shutil.which("runuser") is None or _no_user()):
        return f"root needs runuser and the user {_USER} to start a PostgreSQL server"
    return ""


@contextlib.contextmanager
def server(durable: bool = False) -> Iterator[Server]:
    """The server of ``ARCHIP_POSTGRES``, or a private one; `durable` makes the latter wait for the disk as usual."""
    given = os.environ.get("ARCHIP_POSTGRES")
    if given:
        yield Server(given, None)
        return
    folder, binaries = Path(tempfile.mkdtemp(prefix="archip_pg_")), _binaries()
    assert binaries is not None
    as_user: tuple[str, ...] = ()
    if os.geteuid() == 0:
        shutil.chown(folder, _USER)
        as_user = ("runuser", "-u", _USER, "--")
    data = folder / "data"
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "archip", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*as_user, *initdb, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=folder)
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c max_connections=60"
    if not durable:
        options += " -c fsync=off -c full_page_writes=off"
    control = (*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"))
    found = Server(f"postgresql://archip@/postgres?host={quote(str(folder))}", control)
    try:
        found.start()
        yield found
    finally:
        subprocess.run([*control, "stop", "-m", "immediate"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    """The newest version's folder of programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3].split(".")[0]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _no_user() -> bool:
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return True
    return False
