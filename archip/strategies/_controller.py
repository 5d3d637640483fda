"""Controllers: a policy decides gene by gene, and learns from what its networks were worth.

The base keeps the decisions of each candidate that is out and makes rewards of records; a method says how likely each
decision is, and how it learns.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.knobs import Knob
from archip.core.objectives import Goals
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record
from archip.strategies._base import AskTell

__all__ = ["Controller", "Decision", "Episode", "Rewards", "softmax"]

_TRIES = 100  # rows of decisions that break a constraint, before a candidate is drawn instead
_REDRAWS = 2  # proposals in a row that are known already, before a walk from the last of them


@dataclass(frozen=True)
class Decision:
    """One gene decided: its knob, the codes that were allowed, and the one that was taken."""

    knob: str
    allowed: tuple[int, ...]
    code: int


@dataclass(frozen=True)
class Episode:
    """The decisions that made one candidate, and what they were worth."""

    decisions: tuple[Decision, ...]
    reward: float


class Rewards:
    """One number a record, for methods that learn from one.

    The reward of a candidate within all limits is its first objective (signed, more is better); of one that breaks a
    limit or fails it is the least of those rewards so far, less the violation (at most 1).
    """

    def __init__(self, goals: Goals) -> None:
        self._goals = goals
        self._least: float | None = None

    def of(self, records: Sequence[Record]) -> list[float]:
        values = [self._value(r) for r in records if self._goals.feasible(r)]
        self._least = min([*values, *([] if self._least is None else [self._least])], default=None)
        return [self._reward(r) for r in records]

    def _value(self, record: Record) -> float:
        return float(-self._goals.losses([record])[0, 0])

    def _reward(self, record: Record) -> float:
        if self._goals.feasible(record):
            return self._value(record)
        return (self._least or 0.0) - min(float(self._goals.violations([record])[0]), 1.0)


class Controller(AskTell):
    """A strategy by three methods: `reset`, `probabilities` and `learn`.

    Episodes are rewarded by `Rewards`. Candidates that the policy did not propose are episodes too: of the decisions
    that lead to them. A policy that has nearly decided proposes what is known again and again; what is near to that is
    asked for then.
    """

    knobs: dict[str, Knob]

    @abstractmethod
    def reset(self) -> None:
        """A new policy; `knobs` are there."""

    @abstractmethod
    def probabilities(self, before: Sequence[Decision], knob: str, allowed: Sequence[int]) -> np.ndarray:
        """Of each allowed code of a knob, given the decisions before it."""

    @abstractmethod
    def learn(self, episodes: Sequence[Episode]) -> None:
        """Learn from finished episodes."""

    # What follows is final.

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, which a controller decides on", "strategy")
        self.knobs = dict(self.space.knobs)
        self._decide = self.space.decide
        self._codes = self.space.codes
        self._out: dict[str, tuple[Decision, ...]] = {}
        self._rewards = Rewards(self.goals)
        self._n_known = 0
        self.reset()

    def propose(self, rng: np.random.Generator) -> Candidate:
        for _ in range(_TRIES):
            made: list[Decision] = []

            def choose(knob: str, allowed: Sequence[int], made: list[Decision] = made) -> int:
                sums = np.cumsum(self.probabilities(made, knob, allowed))
                code = allowed[min(int(np.searchsorted(sums, rng.random() * sums[-1], "right")), len(allowed) - 1)]
                made.append(Decision(knob, tuple(allowed), code))
                return code

            candidate = self._decide(choose)
            if candidate is None:
                continue
            if candidate.id not in self.asked:
                self._n_known = 0
                self._out[candidate.id] = tuple(made)
                return candidate
            self._n_known += 1
            if self._n_known < _REDRAWS:
                return candidate
            return self._near(candidate, rng)
        return self.space.sample(rng)

    def _near(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        """The first new candidate on a random walk from one that is known."""
        for _ in range(_TRIES):
            if candidate.id not in self.asked:
                self._n_known = 0
                break
            candidate = self.space.mutate(candidate, rng)
        return candidate

    def observe(self, records: Sequence[Record]) -> None:
        rewards = self._rewards.of(records)
        self.learn([Episode(self._decisions(r.candidate), reward) for r, reward in zip(records, rewards, strict=True)])

    def _decisions(self, candidate: Candidate) -> tuple[Decision, ...]:
        if candidate.id in self._out:
            return self._out.pop(candidate.id)
        codes = self._codes([candidate])[0].tolist()
        return tuple(
            Decision(name, tuple(range(len(knob.values))), code)
            for (name, knob), code in zip(self.knobs.items(), codes, strict=True)
            if code >= 0
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
