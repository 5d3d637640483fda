"""Tokens: texts as rows of numbers, without a vocabulary that would have to be learned and carried along.

A token is a run of letters, of digits, or another single sign, in lower case. Its number is a hash: the same in every
process and for every split, so nothing of the test texts reaches the training, and a deployed network needs these few
lines and no file. With 4,096 numbers, some words share one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["PADDING", "START", "token_numbers", "tokens"]

PADDING, START = 0, 1  # fills short rows; stands first in every row
_FIRST_WORD = 2
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")


def tokens(text: str) -> list[str]:
    """The tokens of a text.

    >>> tokens("Sales rose 12%, again")
    ['sales', 'rose', '12', '%', ',', 'again']
    """
    return _TOKEN.findall(text.lower())


def token_numbers(texts: Sequence[str], length: int, vocabulary: int) -> np.ndarray:
    """[N, length] int64: `START`, the first tokens of each text as numbers below `vocabulary`, then `PADDING`."""
    rows = np.full((len(texts), length), PADDING, np.int64)
    rows[:, 0] = START
    for row, text in zip(rows, texts, strict=True):
        numbers = _numbers(tokens(text)[: length - 1], vocabulary)
        row[1 : 1 + len(numbers)] = numbers
    return rows


def _numbers(words: Iterable[str], vocabulary: int) -> list[int]:
    return [_FIRST_WORD + zlib.crc32(word.encode()) % (vocabulary - _FIRST_WORD) for word in words]
