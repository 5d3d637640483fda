"""Regularised evolution: the oldest of the population dies, not the worst.

Choose it for one objective under limits: few options, and robust to noisy accuracy, since a network that was lucky
once dies like any other. Ranks by limits first, then by the first objective.
Source: Real et al. 2019, arXiv:1802.01548, algorithm 1. Differs: several children per ask, all from the same
population; candidates that failed do not join; a child that was evaluated before is replaced by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.record import Record
from archip.strategies._evolution import Evolution

__all__ = ["RegularizedEvolution"]


@dataclass
class RegularizedEvolution(Evolution):
    """Ageing evolution with tournament selection."""

    population: Annotated[int, Field(ge=1)] = 50  # P in the paper, which has 100 for 20,000 candidates
    tournament: Annotated[int, Field(ge=1)] = 12  # S in the paper: P / 4

    def child(self, rng: np.random.Generator) -> Candidate:
        sample = rng.integers(len(self.living), size=self.tournament)  # with replacement, as in the paper
        parent = min((self.living[i] for i in sample), key=self.goals.key)
        return self.space.mutate(parent.candidate, rng)

    def survivors(self, living: Sequence[Record]) -> Sequence[Record]:
        return living[-self.population :]
