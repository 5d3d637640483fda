"""ASIC then NAS: a chip near the limits for fixed networks, then networks on this chip; NASAIC's second baseline.

Choose it to show what co-exploration is worth: networks keep the limits, but on a chip that was made for others.

The first `chips` candidates are random chips for one set of networks, drawn at random (Monte Carlo). The chip whose
costs come nearest to the limits, from within if any does, stays; networks are then searched on it, limits included.
Source: Yang et al. 2020, arXiv:2002.04116, section V (ASIC→HW-NAS): 10,000 chips; networks by the paper's controller.
The paper does not say which networks the chips were tried with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.record import Record, Status
from archip.strategies._base import AskTell
from archip.strategies._outer import Named, Outer, design_space, made

__all__ = ["AsicThenNas"]

_TRIES = 32  # chips drawn that were tried already, before the chips count as exhausted


@dataclass
class AsicThenNas(AskTell):
    """First the chip, then its networks.

    Attributes:
        chips: chips that are tried; they count as candidates, the paper tries 10,000.
        outer: strategy of the networks, by name or {name: options}.
    """

    chips: Annotated[int, Field(ge=1)] = 200
    outer: Named = "nasaic"

    def __post_init__(self) -> None:
        made(self.outer, "outer")

    def begin(self) -> None:
        self._outer = Outer(self.outer, design_space(self.space).networks, self.goals)
        self._fixed: Candidate | None = None
        self._n_chips = 0
        self._tried: list[Record] = []
        self._chosen: Candidate | None = None

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self._chosen is None and self._n_chips >= self.chips and self._tried:
            self._chosen = min(self._tried, key=self._distance).candidate
        if self._chosen is None:
            return self._chip(rng)
        hardware = self._chosen.hw
        proposed = self._outer.propose(lambda networks: replace(networks, hw=hardware), rng)
        return self.space.sample(rng) if proposed is None else proposed

    def observe(self, records: Sequence[Record]) -> None:
        self._outer.observe(records)
        if self._chosen is None:
            self._tried += [r for r in records if r.status is not Status.FAILED]

    def _chip(self, rng: np.random.Generator) -> Candidate:
        for _ in range(_TRIES):
            sampled = self.space.sample(rng)
            self._fixed = self._fixed or sampled
            candidate = replace(self._fixed, hw=sampled.hw)
            if candidate.id not in self.asked:
                self._n_chips += 1
                return candidate
        self._n_chips = self.chips  # all chips, or nearly all, are known
        return self.space.sample(rng)

    def _distance(self, record: Record) -> tuple[float, ...]:
        """What is broken, then how far the costs lie within the limits; without limits the objectives."""
        known = [limit for limit in self.goals.limits if limit.metric in record.metrics]
        if not known:
            return self.goals.key(record)
        slack = sum(abs(1 - record.metrics[limit.metric] / limit.bound) for limit in known)
        return (self.goals.violation(record.metrics), slack)
