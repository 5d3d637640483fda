"""The strategy for those who do not choose: it picks one by space and objectives, and another when much is known.

Up to three objectives: Gaussian processes (`bayesian`), which need the fewest evaluations; after `switch` of them,
evolution goes on from what was found (`regularized_evolution` for one objective, `nsga2` for several), whose work stays
below a millisecond a candidate. More objectives, or costs alone (which a model computes in a moment): `nsga2` from the
start. Spaces without features: evolution, too.
Source: ours; the comparison is `archip bench`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record, metric
from archip.strategies._base import AskTell
from archip.strategies.bayesian import Bayesian
from archip.strategies.nsga2 import NSGA2
from archip.strategies.regularized_evolution import RegularizedEvolution

__all__ = ["Auto"]

_OBJECTIVES = 3  # boxes of a hypervolume grow with the power of their number


@dataclass
class Auto(AskTell):
    """Hands every ask and tell to the strategy that it picked.

    Attributes:
        switch: evaluations after which evolution takes over.
    """

    switch: Annotated[int, Field(ge=1)] = 600

    def begin(self) -> None:
        self._told: list[Record] = []
        self._inner: AskTell = Bayesian() if self._is_for_models() else self._evolution()
        self._inner.start(self.space, self.goals)

    def propose(self, rng: np.random.Generator) -> Candidate:
        found = self._inner.ask(1, rng)
        return found[0] if found else self.space.sample(rng)

    def observe(self, records: Sequence[Record]) -> None:
        self._told += records
        self._inner.tell(records)
        if isinstance(self._inner, Bayesian) and len(self._told) >= self.switch:
            self._inner = self._evolution()
            self._inner.start(self.space, self.goals)
            self._inner.asked |= self.asked
            self._inner.pending |= self.pending
            self._inner.observe(self._told)

    def _is_for_models(self) -> bool:
        quality = any(metric(o.metric).goal > 0 for o in self.goals.objectives)
        return isinstance(self.space, KnobbedSpace) and quality and len(self.goals.objectives) <= _OBJECTIVES

    def _evolution(self) -> RegularizedEvolution | NSGA2:
        return RegularizedEvolution() if len(self.goals.objectives) == 1 else NSGA2()
