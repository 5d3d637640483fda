"""Local search: all neighbours of the current candidate, then on from the best of them.

Choose it for small or smooth spaces with one objective under limits: no option matters much, and on tabular
benchmarks it is as good as methods that are far more complicated.
Source: White, Nolen, Savani 2021, "Exploring the loss landscape in neural architecture search", arXiv:2005.02960,
algorithm 1 (hill climbing to the best neighbour, restarts). Differs: what an ask has room for beyond the neighbours,
and while their results are out, is filled with random candidates, the best of which is the next place to start from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.record import Record, Status
from archip.strategies._base import AskTell

__all__ = ["LocalSearch"]


@dataclass
class LocalSearch(AskTell):
    """Best-neighbour hill climbing with restarts."""

    initial: Annotated[int, Field(ge=1)] = 10  # random candidates before the first climb

    def begin(self) -> None:
        self._told: dict[str, Record] = {}
        self._starts: list[Record] = []  # random candidates told, from which no climb began yet
        self._centre: Record | None = None
        self._around: list[Candidate] = []  # all neighbours of the centre
        self._todo: list[Candidate] = []  # those of them that are still to be asked for

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self._todo:
            return self._todo.pop(int(rng.integers(len(self._todo))))
        return self.space.sample(rng)

    def observe(self, records: Sequence[Record]) -> None:
        self._told |= {r.candidate.id: r for r in records}
        near = {c.id for c in self._around}
        self._starts += [r for r in records if r.candidate.id not in near and r.status is not Status.FAILED]
        if self._centre is None and len(self._told) < min(self.initial, self.space.size):
            return
        while self._centre is None or all(c.id in self._told for c in self._around):
            if not self._step():
                return

    def _step(self) -> bool:
        """Move to the best neighbour if it is better, else to the best unused start; False if there is none."""
        key = self.goals.key
        best = min((self._told[c.id] for c in self._around), key=key, default=None)
        if self._centre is None or best is None or key(best) >= key(self._centre):
            best = min(self._starts, key=key, default=None)
            if best is None:
                self._centre, self._around = None, []
                return False
            self._starts.remove(best)
        self._centre = best
        self._around = list(self.space.neighbours(best.candidate))
        self._todo = [c for c in self._around if c.id not in self.asked]
        return True
