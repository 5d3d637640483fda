"""Mapping: how the loops of one layer are spread over an accelerator's array and ordered in time."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass

__all__ = ["LOOPS", "Mapping"]

LOOPS = ("B", "G", "K", "C", "OY", "OX", "FY", "FX")


@dataclass(frozen=True)
class Mapping:
    """One sequence of temporal loops, cut at different places for each operand ("uneven" mapping).

    A loop of D iterations, unrolled u times in all, leaves t = ceil(D / u) iterations for time.

    Attributes:
        spatial: for each array dimension, the loops unrolled on it and how often.
        temporal: (loop, iterations), innermost first; the iterations of a loop multiply to its t.
        cuts: for each operand and each of its memories, inside out, how many of the innermost temporal loops that
            memory's content covers; the last is all of them.
    """

    spatial: tuple[tuple[tuple[str, int], ...], ...]
    temporal: tuple[tuple[str, int], ...]
    cuts: Table[str, tuple[int, ...]]

    def __str__(self) -> str:
        spatial = " ".join(f"{loop}|{u}" for dimension in self.spatial for loop, u in dimension)
        temporal = " ".join(f"{loop}{n}" for loop, n in self.temporal)
        cuts = " ".join(f"{o}{list(c)}" for o, c in self.cuts.items())
        return f"space {spatial}; time {temporal} (innermost first); cuts {cuts}"
