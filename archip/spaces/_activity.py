"""Which genes are active, for whole arrays of codes at once.

Legend: N genotypes, G genes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from archip.core.encoding import INACTIVE
from archip.core.knobs import KnobSpace

__all__ = ["activity"]


def activity(space: KnobSpace) -> Callable[[np.ndarray], np.ndarray]:
    """A function of codes [N, G] that gives the same with inactive genes as -1.

    What a gene's activity depends on is seen by asking `is_active` with genes that note what is read, so that any
    space of knobs will do whose genes depend on a few others.
    """
    names, tables = list(space.knobs), []
    for gene, name in enumerate(names):
        on = _reads(space, name)
        if on or not space.is_active(name, {}):
            table = np.array([space.is_active(name, genes) for genes in _all(space, on)], dtype=bool)
            sizes = [len(space.knobs[other].values) for other in on]
            tables.append((gene, [names.index(other) for other in on], table.reshape(sizes)))

    def canonical(codes_NG: np.ndarray) -> np.ndarray:
        found_NG = codes_NG.copy()
        for gene, on, table in tables:
            is_awake_N = (found_NG[:, on] != INACTIVE).all(1)
            is_active_N = table[tuple(np.maximum(found_NG[:, on], 0).T)] & is_awake_N
            found_NG[~is_active_N, gene] = INACTIVE
        return found_NG

    return canonical


class _Noting(dict[str, Any]):
    """Genes that note which of them are read."""

    def __init__(self, genes: dict[str, Any]) -> None:
        super().__init__(genes)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


def _reads(space: KnobSpace, name: str) -> list[str]:
    """The knobs that the activity of one depends on."""
    first = {other: knob.values[0] for other, knob in space.knobs.items()}
    found: set[str] = set()
    while True:
        before = set(found)
        for genes in _all(space, sorted(before)):
            noting = _Noting(first | genes)
            space.is_active(name, noting)
            found |= noting.read
        if found == before:
            return [other for other in space.knobs if other in found]


def _all(space: KnobSpace, on: list[str]):
    for values in itertools.product(*(space.knobs[other].values for other in on)):
        yield dict(zip(on, values, strict=True))
