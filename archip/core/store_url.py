"""The URL of a store: understood, and shown without its password."""

from __future__ import annotations

import re
from pathlib import Path

from archip.core.errors import UserError

__all__ = ["split_url", "without_password"]

_RIGHT = "a path, sqlite:///path, or postgresql://user@host/database"
_POSTGRES = ("postgresql", "postgresql+psycopg", "postgres")


def split_url(where: str | Path) -> tuple[str, str]:
    """(``sqlite``, path) or (``postgresql``, URL for SQLAlchemy).

    Raises:
        UserError: neither of them; the message has no password.
    """
    text = str(where)
    scheme, sign, rest = text.partition("://")
    if not sign and text:
        return "sqlite", text
    if scheme == "sqlite" and len(rest) > 1:
        return "sqlite", rest.removeprefix("/")
    if scheme in _POSTGRES and rest:
        return "postgresql", f"postgresql+psycopg://{rest}"
    raise UserError(f"{without_password(text)!r} is no store", right=_RIGHT)


def without_password(url: str | Path) -> str:
    """`url` as it may be shown and written; the server's library asks ``PGPASSWORD`` or ``~/.pgpass`` for the rest."""
    text = re.sub(r"(?<=://)([^:/?#@]*):.*@", r"\1@", str(url), count=1)
    return re.sub(r"(?<=[?&])[^=&]*password[^=&]*=[^&]*&?", "", text, flags=re.IGNORECASE).rstrip("?&")
