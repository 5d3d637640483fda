"""Random search: every candidate drawn anew from the space.

Choose it as the baseline that any other strategy has to beat at equal budget, and where evaluations are so few or so
noisy that nothing can be learnt from them.
Source: Li, Talwalkar 2019, arXiv:1902.07638 (random search as the baseline of architecture search).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archip.core.candidate import Candidate
from archip.core.record import Record
from archip.strategies._base import AskTell

__all__ = ["RandomSearch"]


@dataclass
class RandomSearch(AskTell):
    """Draws without replacement as the space samples."""

    def begin(self) -> None:
        """There is no state."""

    def propose(self, rng: np.random.Generator) -> Candidate:
        return self.space.sample(rng)

    def observe(self, records: Sequence[Record]) -> None:
        """Nothing is learnt."""
