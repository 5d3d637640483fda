"""Evolution: a population, children of its members, survivors. A method says who breeds and who survives."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from archip.core.candidate import Candidate
from archip.core.objectives import Goals
from archip.core.pareto import crowding_distances, domination_ranks
from archip.core.record import Record, Status
from archip.strategies._base import AskTell

__all__ = ["Evolution", "by_crowding"]


class Evolution(AskTell):
    """A strategy by two methods: `child` and `survivors`.

    The first `population` candidates are drawn at random. Any number may be asked for at once and told late: children
    come from whoever lives at the moment of asking. Failed candidates never join the population.
    """

    population: int
    living: Sequence[Record]

    @abstractmethod
    def child(self, rng: np.random.Generator) -> Candidate:
        """A candidate made of `living`, which is not empty."""

    @abstractmethod
    def survivors(self, living: Sequence[Record]) -> Sequence[Record]:
        """At most `population` of `living`, which are in the order in which they were told."""

    # What follows is final.

    def begin(self) -> None:
        self.living = []

    def propose(self, rng: np.random.Generator) -> Candidate:
        if len(self.asked) < self.population or not self.living:
            return self.space.sample(rng)
        return self.child(rng)

    def observe(self, records: Sequence[Record]) -> None:
        self.living = self.survivors([*self.living, *(r for r in records if r.status is not Status.FAILED)])


def by_crowding(goals: Goals, records: Sequence[Record]) -> list[Record]:
    """Records in the order of the crowded comparison, best first: by rank, then by crowding within the rank.

    Source: Deb et al. 2002, NSGA-II, section III-B.
    """
    losses = goals.losses(records)
    ranks = domination_ranks(losses, goals.violations(records))
    crowding = np.zeros(len(records))
    for rank in range(ranks.max(initial=-1) + 1):
        crowding[ranks == rank] = crowding_distances(losses[ranks == rank])
    return [records[i] for i in np.lexsort((-crowding, ranks))]
