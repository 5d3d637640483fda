"""Decisions over the rows of a table: gene after gene, only the codes that some row still has are offered.

The rows are sorted once by their codes, so that those left after any decisions are a range of them, and a decision
takes a few binary searches instead of a pass over all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from archip.core.encoding import INACTIVE

__all__ = ["Decisions"]


class Decisions:
    """Rows by decisions.

    Args:
        names: of the genes.
        codes_NG: [rows, genes] place of each gene among its values; INACTIVE where a row lacks it.
    """

    def __init__(self, names: Sequence[str], codes_NG: np.ndarray) -> None:
        self._names = tuple(names)
        self._order_N = np.lexsort(codes_NG.T[::-1])  # stable: of equal rows, the first of the table comes first
        self._codes_GN = np.ascontiguousarray(codes_NG[self._order_N].T)
        most = self._codes_GN.max(axis=1, initial=INACTIVE)
        self._values_G = [np.arange(m + 1).astype(codes_NG.dtype) for m in most]

    def row(self, choose: Callable[[str, Sequence[int]], int]) -> int:
        """The first row of the codes that were chosen."""
        begin, end = 0, len(self._order_N)
        for name, codes_N, values in zip(self._names, self._codes_GN, self._values_G, strict=True):
            ends = [*(begin + np.searchsorted(codes_N[begin:end], values)).tolist(), end]
            allowed = [code for code in range(len(values)) if ends[code] < ends[code + 1]]
            if allowed:
                code = choose(name, allowed)
                begin, end = ends[code], ends[code + 1]
        return int(self._order_N[begin])
