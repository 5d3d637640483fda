"""Nested: another strategy searches the networks; each gets the chip that is proven best for it.

Choose it where a chip is to be designed for networks that are costly to train: no training is spent on networks that
no chip of the space can run within the limits, nor on a chip that is not the best. `outer` is the strategy that
proposes networks; it learns from what they are worth on their first chip.

Each network gets one candidate for each of `least`: the chip of least energy, latency or area within the limits. By
default: what schedules are made for (energy within a limit on latency, else latency), then area if it is an objective.
Networks for which no chip keeps the limits come with one that is near, so that the outer strategy learns how far off
they are; they are not trained.
Source: ours; the exact chip is `hardware/chip`. NASAIC (arXiv:2002.04116) samples both instead, `joint` breeds both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.record import Record
from archip.strategies._base import AskTell
from archip.strategies._outer import Named, Outer, design_space, designer_of, made, schedules_for

__all__ = ["Nested"]


@dataclass
class Nested(AskTell):
    """The best chips for every network that `outer` proposes.

    Attributes:
        outer: strategy of the networks, by name or {name: options}.
        least: what chips are chosen by, the first one for the outer strategy.
    """

    outer: Named = "nsga2"
    least: tuple[Literal["latency", "energy", "area"], ...] | None = None
    solves_chips: ClassVar[bool] = True

    def __post_init__(self) -> None:
        made(self.outer, "outer")

    def begin(self) -> None:
        self._designer = designer_of(self.space)
        self._least = self._chosen_by()
        self._outer = Outer(self.outer, design_space(self.space).networks, self.goals)
        self._more: list[Candidate] = []

    def propose(self, rng: np.random.Generator) -> Candidate:
        """The next chip of the present networks, or the first one of new networks."""
        if self._more:
            return self._more.pop(0)
        first = self._outer.propose(lambda networks: self._designer(networks, self.goals, self._least[0]), rng)
        if first is None:
            return self.space.sample(rng)  # all networks have their best chips: other chips are left
        networks = Candidate(first.net, None, first.compress)
        self._more = [self._designer(networks, self.goals, least) for least in self._least[1:]]
        return first

    def observe(self, records: Sequence[Record]) -> None:
        self._outer.observe(records)

    def _chosen_by(self) -> tuple[str, ...]:
        scheduled = schedules_for(self.goals)
        if self.least is None:
            is_wanted = any(o.metric == "area_mm2" for o in self.goals.objectives)
            return (scheduled, "area") if is_wanted else (scheduled,)
        if not self.least or len(set(self.least)) < len(self.least):
            raise UserError("least is empty or repeated", "nested.least", "each metric once, e.g. [energy, area]")
        for least in self.least:
            if least not in (scheduled, "area"):
                why = "within a limit on latency" if scheduled == "energy" else "without a limit on latency"
                text = f"{why} schedules are made for {scheduled}, so no chip is chosen by {least}"
                raise UserError(text, "nested.least", f"{scheduled} or area")
        return self.least
