"""NSGA-II: a population that spreads over the whole front of several objectives, limits first.

Choose it when the front matters rather than one best candidate: quality against latency, energy and area.
Source: Deb, Pratap, Agarwal, Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
sections III-A to III-C and VI (constraint domination). Differs: survivors are chosen whenever records are told, from
the living and the new ones, so that asks of any size and late results work; exactly one gene mutates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.record import Record
from archip.strategies._evolution import Evolution, by_crowding

__all__ = ["NSGA2"]

Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass
class NSGA2(Evolution):
    """Non-dominated sorting with crowding, binary tournaments, uniform crossover and mutation."""

    population: Annotated[int, Field(ge=2)] = (
        40  # N in the paper; larger ones need more than some 500 candidates to pay
    )
    crossover: Probability = 0.9  # p_c in the paper: else the child has one parent
    mutation: Probability = 0.9  # that one gene of the child changes; p_m = 1/n per gene changes about one

    def child(self, rng: np.random.Generator) -> Candidate:
        child = self._parent(rng)
        if rng.random() < self.crossover:
            child = self.space.crossover(child, self._parent(rng), rng)
        if rng.random() < self.mutation:
            child = self.space.mutate(child, rng)
        return child

    def survivors(self, living: Sequence[Record]) -> Sequence[Record]:
        """The best by rank, then by crowding within the rank, best first."""
        return by_crowding(self.goals, living)[: self.population]

    def _parent(self, rng: np.random.Generator) -> Candidate:
        """The better of two; `living` stands in the order of the crowded comparison (section III-B)."""
        return self.living[rng.integers(len(self.living), size=2).min()].candidate
