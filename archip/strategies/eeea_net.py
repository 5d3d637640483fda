"""EEEA-Net: evolution of a front that begins with candidates within the limits only; larger ones exit early.

Choose it for fronts under a bound on parameters or another cost that is known without training: no generation is spent
on networks that are too large.
The population is filled with random candidates that keep all limits, however many have to be drawn; children that
break one are never trained (the cost is looked at first) and never join. NSGA-II's ranks and crowding do the rest.
Source: Termritthikun et al. 2021, arXiv:2108.06156, section 3 and algorithm 1; population 40, crossover, mutation and
inversion with probability 0.1 each as in the released code. Differs: a child that is known already is replaced by
another; genes that an inversion would give a value they have not are drawn anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record
from archip.strategies._evolution import Evolution, by_crowding

__all__ = ["EEEANet"]

Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass
class EEEANet(Evolution):
    """Early-exit NSGA-II."""

    population: Annotated[int, Field(ge=2)] = 40  # of which parents are drawn
    crossover: Probability = 0.1  # probability of a second parent
    mutation: Probability = 0.1  # probability that a gene changes
    inversion: Probability = 0.1  # that a run of genes is turned round

    def child(self, rng: np.random.Generator) -> Candidate:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, whose genes are turned round", "strategy")
        if len(self.living) < self.population:
            return self.space.sample(rng)
        child = self._parent(rng)
        if rng.random() < self.crossover:
            child = self.space.crossover(child, self._parent(rng), rng)
        if rng.random() < self.mutation:
            child = self.space.mutate(child, rng)
        if rng.random() < self.inversion:
            child = inverted(self.space, child, rng)
        return child

    def survivors(self, living: Sequence[Record]) -> Sequence[Record]:
        """The best within the limits, by rank and then by crowding."""
        return by_crowding(self.goals, [r for r in living if self.goals.feasible(r)])[: self.population]

    def _parent(self, rng: np.random.Generator) -> Candidate:
        """The better of two."""
        return self.living[rng.integers(len(self.living), size=2).min()].candidate


def inverted(space: KnobbedSpace, candidate: Candidate, rng: np.random.Generator) -> Candidate:
    """The candidate with the codes of a random run of its genes in reverse; itself if the space forbids that."""
    codes = space.codes([candidate])[0].tolist()
    low, high = sorted(rng.integers(len(codes) + 1, size=2).tolist())
    codes[low:high] = codes[low:high][::-1]
    wanted = dict(zip(space.knobs, codes, strict=True))

    def choose(knob: str, allowed: Sequence[int]) -> int:
        return wanted[knob] if wanted[knob] in allowed else allowed[int(rng.integers(len(allowed)))]

    return space.decide(choose) or candidate
