"""NAS then ASIC: networks for accuracy alone, then a chip for the ones that were found; NASAIC's first baseline.

Choose it to show what co-exploration is worth: the most accurate networks may keep the limits on no chip.

The first `networks` candidates stand on one chip and are judged by quality only, so they are trained even if they break
a limit. Then the best chip for the best networks is solved, and candidates that are asked for beyond it try other chips
for the same networks.
Source: Yang et al. 2020, arXiv:2002.04116, section V (NAS→ASIC); the networks are searched by the paper's controller.
Differs: the chip is the exact best one, where the paper searches; so the baseline is at its strongest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate, Genotype
from archip.core.objectives import Goals, Objective
from archip.core.record import Record
from archip.strategies._base import AskTell
from archip.strategies._outer import Named, Outer, design_space, designer_of, made, schedules_for

__all__ = ["NasThenAsic"]


@dataclass
class NasThenAsic(AskTell):
    """First the networks, then their chip.

    Attributes:
        networks: networks that are searched for accuracy.
        outer: strategy of the networks, by name or {name: options}.
    """

    networks: Annotated[int, Field(ge=1)] = 100
    outer: Named = "nasaic"
    solves_chips: ClassVar[bool] = True
    prunes: ClassVar[bool] = False  # networks are trained whatever they cost

    def __post_init__(self) -> None:
        made(self.outer, "outer")

    def begin(self) -> None:
        self._designer = designer_of(self.space)
        quality = Goals((Objective("quality", +1),))
        self._outer = Outer(self.outer, design_space(self.space).networks, quality)
        self._chip: Genotype | None = None
        self._n_networks = 0
        self._most_accurate: Record | None = None
        self._found: Candidate | None = None

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self._n_networks >= self.networks and self._most_accurate is not None:
            return self._with_chip(self._most_accurate.candidate, rng)
        if self._chip is None:
            self._chip = self.space.sample(rng).hw
        proposed = self._outer.propose(lambda networks: replace(networks, hw=self._chip), rng)
        self._n_networks += 1
        return self.space.sample(rng) if proposed is None else proposed

    def observe(self, records: Sequence[Record]) -> None:
        self._outer.observe(records)
        if self._found is None:
            judged = [r for r in records if "quality" in r.metrics]
            before = [] if self._most_accurate is None else [self._most_accurate]
            self._most_accurate = max([*before, *judged], key=lambda r: r.metrics["quality"], default=None)

    def _with_chip(self, networks: Candidate, rng: np.random.Generator) -> Candidate:
        """The networks with their best chip at first, then with others."""
        if self._found is None:
            self._found = self._designer(replace(networks, hw=None), self.goals, schedules_for(self.goals))
            return self._found
        return replace(self._found, hw=self.space.sample(rng).hw)
