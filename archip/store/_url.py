"""Stores by URL, as it stands in a problem file or after ``--store``."""

from __future__ import annotations

from pathlib import Path

from archip.core import registry
from archip.core.protocols import RunStore
from archip.core.store_url import split_url

__all__ = ["open_store"]


def open_store(where: str | Path) -> RunStore:
    """The store at a URL or path, made if it is not there.

    Raises:
        UserError: the URL is not understood, or the store cannot be opened; the message has no password.
    """
    kind, place = split_url(where)
    return registry.find("store", kind)(Path(place) if kind == "sqlite" else place)
