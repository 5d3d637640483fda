"""Stores by URL: what stands in a problem file or after ``--store``, opened, and shown without its password."""

from __future__ import annotations

import re
from pathlib import Path

from archip.core import registry
from archip.core.errors import UserError
from archip.core.protocols import RunStore

__all__ = ["open_store", "split_url", "without_password"]

_RIGHT = "a path, sqlite:///path, or postgresql://user@host/database"
_POSTGRES = ("postgresql", "postgresql+psycopg", "postgres")


def open_store(where: str | Path) -> RunStore:
    """The store at a URL or path, made if it is not there.

    Raises:
        UserError: the URL is not understood, or the store cannot be opened; the message has no password.
    """
    kind, place = split_url(where)
    if kind == "sqlite":
        return registry.find("store", "sqlite")(Path(place))
    return registry.find("store", "postgresql")(place)


def split_url(where: str | Path) -> tuple[str, str]:
    """(``sqlite``, path) or (``postgresql``, URL).

    Raises:
        UserError: neither of them.
    """
    text = str(where)
    scheme, sign, rest = text.partition("://")
    if not sign:
        return "sqlite", text
    if scheme == "sqlite" and len(rest) > 1:
        return "sqlite", rest.removeprefix("/")
    if scheme in _POSTGRES and rest:
        return "postgresql", f"postgresql+psycopg://{rest}"
    raise UserError(f"{without_password(text)!r} is no store", right=_RIGHT)


def without_password(url: str | Path) -> str:
    """`url` as it may be shown and written: the server asks ``PGPASSWORD`` or ``~/.pgpass`` for the rest."""
    text = re.sub(r"(?<=://)([^:/?#@]*):.*@", r"\1@", str(url))
    return re.sub(r"([?&])[^=&]*password[^=&]*=[^&]*&?", r"\1", text, flags=re.IGNORECASE).rstrip("?&")
