"""Networks drawn from a part of a space: what the rules that restrict it share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from archip.core.errors import CandidateError
from archip.core.knobs import KnobSpace

__all__ = ["draw_within"]

_TRIES = 1000  # draws before the constraints of the space count as unsatisfiable


def draw_within(
    space: KnobSpace, rng: np.random.Generator, allowed: Callable[[str, Sequence[int]], Sequence[int]]
) -> dict[str, Any]:
    """A genotype, each active gene uniform over those places among its values that `allowed` leaves.

    Args:
        allowed: (gene, places) → some of the places.

    Raises:
        CandidateError: no genotype was found that keeps the constraints of the space.
    """

    def choose(gene: str, places: Sequence[int]) -> int:
        left = allowed(gene, places)
        return left[int(rng.integers(len(left)))]

    for _ in range(_TRIES):
        found = space.decide(choose)
        if found is not None:
            return found
    raise CandidateError(f"no network that keeps the constraints in {_TRIES} draws from a part of the space")
