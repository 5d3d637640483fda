"""Random generators from a seed and a purpose; nothing in archip draws from a global generator."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator", "integer_seed"]


def integer_seed(*key: object) -> int:
    """A 63-bit integer that depends on every part of `key` and on nothing else (stable between processes)."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(*key: object) -> np.random.Generator:
    """The generator of one purpose, e.g. ``generator(seed, "ask", 17)``."""
    return np.random.default_rng(integer_seed(*key))
