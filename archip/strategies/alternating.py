"""Alternating: networks for a fixed chip, then the best chip for the best networks, and so on.

Choose it as a baseline: it is what teams of two do. It ends in a pair of which neither half can be improved alone, and
that pair depends on the chip it began with; `nested` has no such trap.

The first chip is the best one for networks drawn at random. After `turn` networks the chip is solved anew for the best
networks so far; the outer strategy goes on with what it learnt of networks on earlier chips.
Source: ours (block-coordinate descent).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate, Genotype
from archip.core.record import Record
from archip.strategies._base import AskTell
from archip.strategies._outer import Named, Outer, design_space, designer_of, made, schedules_for

__all__ = ["Alternating"]


@dataclass
class Alternating(AskTell):
    """Two halves, each searched while the other stands still.

    Attributes:
        outer: strategy of the networks, by name or {name: options}.
        turn: networks that are told of between two chips.
    """

    outer: Named = "nsga2"
    turn: Annotated[int, Field(ge=1)] = 40
    solves_chips: ClassVar[bool] = True

    def __post_init__(self) -> None:
        made(self.outer, "outer")

    def begin(self) -> None:
        self._designer = designer_of(self.space)
        self._outer = Outer(self.outer, design_space(self.space).networks, self.goals)
        self._chip: Genotype | None = None
        self._n_told = 0
        self._solved: Candidate | None = None  # the best networks on their new chip, to be asked for

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self._solved is not None:
            solved, self._solved = self._solved, None
            return solved
        proposed = self._outer.propose(self._on_chip, rng)
        return self.space.sample(rng) if proposed is None else proposed

    def observe(self, records: Sequence[Record]) -> None:
        self._outer.observe(records)
        self._n_told += len(records)
        if self._n_told >= self.turn and self.best is not None:
            self._n_told = 0
            self._solved = self._best_chip(self.best.candidate)
            self._chip = self._solved.hw

    def _on_chip(self, networks: Candidate) -> Candidate:
        if self._chip is None:
            self._chip = self._best_chip(networks).hw
        return replace(networks, hw=self._chip)

    def _best_chip(self, candidate: Candidate) -> Candidate:
        return self._designer(replace(candidate, hw=None), self.goals, schedules_for(self.goals))
