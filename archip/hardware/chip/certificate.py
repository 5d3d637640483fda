"""Certificate: what became of every chip of the space, and how far the answer can be from the best one at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["BOUNDS", "Certificate", "summed"]

# In the order in which they are applied.
BOUNDS = {
    "dominance": "another core does as well in every layer, in area, PEs and bandwidth",
    "area": "the cores' areas",
    "chain": "the longest network, each layer on its fastest core",
    "load": "all layers, shared out between the cores at will",
    "energy": "each layer on its cheapest core",
    "corner": "a smaller chip is at least as fast and frugal as chain, load and energy allow",
    "relaxation": "energy (or time) with a price on the time of each network and core",
}


@dataclass(frozen=True)
class Certificate:
    """Counts of chips; they add up: enumerated = sum of pruned + solved + n_open.

    Attributes:
        enumerated: all chips of the space.
        pruned: by the bound that excluded them, in the order of BOUNDS.
        solved: scheduled exactly.
        n_open: neither excluded nor solved when time or memory ran out.
        gap: 0 for a proof. A best chip is at most this share above the least possible value. Of a front, every chip of
            the space is met by a point of the front within this share in each metric. None where nothing was found.
    """

    enumerated: int
    pruned: dict[str, int]
    solved: int
    n_open: int = 0
    gap: float | None = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "enumerated": self.enumerated,
            "pruned": self.pruned,
            "solved": self.solved,
            "open": self.n_open,
            "gap": self.gap,
        }

    @property
    def last_bound(self) -> str:
        """The bound that excluded the last chips: what binds where nothing is feasible."""
        used = [name for name, count in self.pruned.items() if count]
        return used[-1] if used else "area"


def summed(parts: Sequence[Certificate]) -> Certificate:
    """One certificate for a space that was searched in parts, the gap of each against what was known by then."""
    gaps = [part.gap for part in parts]
    return Certificate(
        enumerated=sum(part.enumerated for part in parts),
        pruned={name: sum(part.pruned.get(name, 0) for part in parts) for name in parts[0].pruned},
        solved=sum(part.solved for part in parts),
        n_open=sum(part.n_open for part in parts),
        gap=None if None in gaps else max(gap for gap in gaps if gap is not None),
    )
