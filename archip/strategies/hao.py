"""HAO: a program solves the hardware of many networks, a predictor tells their accuracy, and the front is evaluated.

Choose it where hardware is solved in milliseconds and a few hundred networks can be trained: with the target
``device: {fpga: …}``, whose engines are divided by integer programming as in the paper, or a chip to be designed.

The first `learnt` networks are random; a ridge regression on their genes predicts the quality of `pool` others (of all
where there are not more), whose costs are computed, not predicted. What follows are the networks within the limits on
the front of predicted quality and costs, first those that stand alone on it, then the fronts behind.
Source: Dong et al. 2021, arXiv:2104.12766, section IV: integer program for the hardware, predictor for the accuracy,
enumeration of sub-graphs. Differs: bit widths are searched only if the space has them; predictions are made anew after
each `learnt` results.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.protocols import DesignSpace, KnobbedSpace
from archip.core.record import Record
from archip.predictors.ridge import Ridge
from archip.strategies._base import AskTell
from archip.strategies._evolution import by_crowding
from archip.strategies._outer import schedules_for

__all__ = ["Hao"]


@dataclass
class Hao(AskTell):
    """Exact costs, predicted quality, one front.

    Attributes:
        learnt: random networks that the predictor is fitted on, and results after which it is fitted anew.
        pool: networks whose costs are computed.
    """

    learnt: Annotated[int, Field(ge=4)] = 100
    pool: Annotated[int, Field(ge=4)] = 2000
    solves_chips: ClassVar[bool] = True

    def begin(self) -> None:
        space = self.space
        if not isinstance(space, DesignSpace) or space.screen is None:
            raise UserError("nothing tells the costs of networks that were not evaluated", "strategy", "give a target")
        if not isinstance(space.networks, KnobbedSpace):
            raise UserError("these networks are not made of knobs, on which quality is predicted", "strategy")
        self._screen, self._networks, self._designer = space.screen, space.networks, space.designer
        self._judged: dict[str, Record] = {}
        self._costs: dict[str, Record] = {}  # of the pool
        self._next: list[Candidate] = []
        self._n_fitted = 0

    def propose(self, rng: np.random.Generator) -> Candidate:
        if len(self.asked) < self.learnt or len(self._judged) < 2:
            return self._complete(self._networks.sample(rng))
        if len(self._judged) >= self._n_fitted + self.learnt or not self._n_fitted:
            self._n_fitted = len(self._judged)
            self._next = self._front(rng)
        while self._next:
            candidate = self._next.pop(0)
            if candidate.id not in self.asked:
                return candidate
        return self.space.sample(rng)

    def observe(self, records: Sequence[Record]) -> None:
        self._judged |= {r.candidate.id: r for r in records if "quality" in r.metrics}

    def _complete(self, networks: Candidate) -> Candidate:
        return networks if self._designer is None else self._designer(networks, self.goals, schedules_for(self.goals))

    def _front(self, rng: np.random.Generator) -> list[Candidate]:
        """The pool by rank of predicted quality and computed costs, crowded candidates last in their rank."""
        if not self._costs:
            self._fill(rng)
        pool = [r for r in self._costs.values() if r.candidate.id not in self.asked]
        if not pool:
            return []
        known = list(self._judged.values())
        model = Ridge().fit(self._matrix(known), np.array([r.metrics["quality"] for r in known]))
        quality_N, _ = model.predict(self._matrix(pool))
        guesses = [
            Record(r.candidate, {**r.metrics, "quality": float(q)}) for r, q in zip(pool, quality_N, strict=True)
        ]
        return [r.candidate for r in by_crowding(self.goals, [r for r in guesses if self.goals.feasible(r)])]

    def _fill(self, rng: np.random.Generator) -> None:
        """Compute the costs of the pool."""
        if self._networks.size <= self.pool:
            networks = list(itertools.islice(self._networks.enumerate(), self.pool))
        else:
            networks = [self._networks.sample(rng) for _ in range(self.pool)]
        pool = list({c.id: c for c in map(self._complete, networks)}.values())
        costs = zip(pool, self._screen(pool), strict=True)
        self._costs = {c.id: Record(c, metrics) for c, metrics in costs if metrics}

    def _matrix(self, records: Sequence[Record]) -> np.ndarray:
        """[N, features] of the networks."""
        return self._networks.encode([Candidate(r.candidate.net, None, r.candidate.compress) for r in records])
