"""What a store keeps is JSON; what was put and what is got back are the same in every store."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["plain", "text"]


def plain(value: Any) -> Any:
    """`value` as JSON gives it back: tuples become lists, keys text, and NaN or infinity, which JSON lacks, None."""
    return json.loads(json.dumps(value), parse_constant=lambda name: None)


def text(value: str) -> str:
    """`value` as every database can keep it: without NUL and without halves of characters."""
    if value.isascii() and "\0" not in value:
        return value
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
