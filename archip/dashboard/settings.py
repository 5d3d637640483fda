"""Settings: what a dashboard shows, where it listens, and who may look."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from dataclasses import dataclass, field

from archip.core.errors import UserError

__all__ = ["Settings", "is_loopback"]

_LEAST_TOKEN = 16  # characters; a generated one has 43
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """What `archip serve` was asked for.

    Attributes:
        root: a folder with runs below it, a run's folder, or the URL of a database.
        host: address to listen on; anything but loopback needs a token.
        token: who shows it may look; None: whoever reaches the loopback address.
        allow_runs: runs may be started, stopped and resumed from the pages.
        names: further names by which browsers may call this server.
        secret: signs sessions; new in every process, so a restart ends all sessions.

    Raises:
        UserError: no token for an address that others reach, or one that can be guessed.
    """

    root: str
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    allow_runs: bool = False
    names: tuple[str, ...] = ()
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise UserError(f"{self.host} can be reached by others", "--host", "a token as well")
        if self.token is not None and len(self.token) < _LEAST_TOKEN:
            raise UserError("the token is too short", "--token", f"at least {_LEAST_TOKEN} characters")

    def is_own_name(self, name: str) -> bool:
        """Whether a browser may call this server `name`.

        A page of another site can point its own name at this machine (DNS rebinding); its requests carry that name.
        A server that listens everywhere answers to addresses and to the machine's own names.
        """
        known = {*_LOCAL_NAMES, *self.names, self.host}
        if self.host in ("0.0.0.0", "::", ""):
            known |= {socket.gethostname().lower(), socket.getfqdn().lower()}
            return name in known or _is_address(name)
        return name in known


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
