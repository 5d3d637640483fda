"""AskTell: what every strategy has in common. A method says how to propose and what to learn from records.

The base proposes nothing twice, remembers what is pending and the best so far, notices when the space is exhausted,
and turns records with numbers that are not finite into failures, so that a method need not think of any of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from archip.core.candidate import Candidate
from archip.core.objectives import Goals
from archip.core.protocols import CandidateSpace
from archip.core.record import Record, Status

__all__ = ["AskTell"]

_TRIES = 32  # proposals that are known already, before candidates are drawn, and then counted out, instead


class AskTell(ABC):
    """A strategy by three methods: `begin`, `propose` and `observe`.

    Attributes:
        space, goals: as started.
        asked: ids of all candidates ever asked for.
        pending: candidate id → candidate, asked for and not yet told.
        best: the best record told so far by `Goals.key`; None before the first.
    """

    space: CandidateSpace
    goals: Goals
    asked: set[str]
    pending: dict[str, Candidate]
    best: Record | None

    @abstractmethod
    def begin(self) -> None:
        """Set up the method's own state; `space` and `goals` are there."""

    @abstractmethod
    def propose(self, rng: np.random.Generator) -> Candidate:
        """A candidate that is worth evaluating; if it is known already, `propose` is called again."""

    @abstractmethod
    def observe(self, records: Sequence[Record]) -> None:
        """Learn from records of candidates that were pending; failures are among them, NaN is not."""

    # What follows is final.

    def start(self, space: CandidateSpace, goals: Goals) -> None:
        self.space, self.goals = space, goals
        self.asked, self.pending, self.best = set(), {}, None
        self._all: Iterator[Candidate] | None = None
        self.begin()

    def ask(self, n: int, rng: np.random.Generator) -> list[Candidate]:
        chosen: list[Candidate] = []
        while len(chosen) < n and (candidate := self._new(rng)) is not None:
            self.asked.add(candidate.id)
            self.pending[candidate.id] = candidate
            chosen.append(candidate)
        return chosen

    def tell(self, records: Sequence[Record]) -> None:
        news = [_finite(r) for r in records if self.pending.pop(r.candidate.id, None) is not None]
        if news:
            self.best = min([*([self.best] if self.best else []), *news], key=self.goals.key)
            self.observe(news)

    def _new(self, rng: np.random.Generator) -> Candidate | None:
        """A candidate that was not asked for yet; None if there is none left."""
        for propose in (self.propose, self.space.sample):
            for _ in range(_TRIES):
                candidate = propose(rng)
                if candidate.id not in self.asked:
                    return candidate
        if self._all is None:  # nearly all is known: go through the space, each candidate once in the whole run
            self._all = iter(self.space.enumerate())
        return next((c for c in self._all if c.id not in self.asked), None)


def _finite(record: Record) -> Record:
    bad = [name for name, value in record.metrics.items() if not math.isfinite(value)]
    return replace(record, metrics={}, status=Status.FAILED, reason=f"not finite: {', '.join(bad)}") if bad else record
