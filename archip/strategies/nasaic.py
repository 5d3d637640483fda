"""NASAIC: one controller proposes the networks of all tasks and a chip for them; many chips are tried for each set.

Choose it to compare with the literature on co-exploration; `archip chip` solves its hardware half exactly.

An episode begins with a joint step, which proposes networks and a chip, and goes on with `phi` steps that keep the
networks and propose chips only. A chip is rewarded by -rho P. If one of them keeps the limits, the networks are trained
(once, the cascade does not train for chips that break a limit) and rewarded by quality; if none does, they are dropped
untrained and rewarded by -rho P of the best chip. P = Σ over limits of max((v - L) / (b - L), 0).
Without a chip to be designed, each episode is its joint step: search by a controller of networks alone. Without
networks, chips learn from their penalties only: nothing is better than to keep the limits.
Source: Yang et al. 2020, arXiv:2002.04116, section IV; 500 episodes, phi = 10, rho = 10. Our choices, which the paper
leaves open: an LSTM of 64 units with Adam; b is the greatest value seen so far, twice the limit at least; networks are
judged by their best chip rather than by the first; what is known is not evaluated again but drawn anew, up to 100
times, and when a policy has decided so far that this gives nothing, candidates are uniform until it was told more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record, Status
from archip.strategies._base import AskTell
from archip.strategies._controller import Decision
from archip.strategies._sequence_policy import SequencePolicy
from archip.strategies._walks import Walks

__all__ = ["NASAIC"]

_TRIES = 100  # proposals that break a constraint or are known, before the episode is closed
_HARDWARE = "hw/"


@dataclass
class _Episode:
    """One set of networks and the chips that were proposed for it."""

    nets: list[Decision] = field(default_factory=list)
    n_asked: int = 0
    is_closed: bool = False
    penalties: list[float] = field(default_factory=list)
    quality: float | None = None

    @property
    def is_over(self) -> bool:
        return self.is_closed and len(self.penalties) == self.n_asked


@dataclass
class NASAIC(AskTell):
    """Co-exploration by REINFORCE with two switches."""

    phi: Annotated[int, Field(ge=0)] = 10  # chips tried for a set of networks, beyond the first
    rho: Annotated[float, Field(gt=0)] = 10.0  # weight of the penalty
    lr: Annotated[float, Field(gt=0)] = 5e-3  # of Adam
    hidden: Annotated[int, Field(ge=1)] = 64  # units of the LSTM
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of the moving averages that are the baselines
    entropy: Annotated[float, Field(ge=0)] = 1e-3  # weight of the policy's entropy
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0  # gamma; of decisions, counted from the last

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, which a controller decides on", "strategy")
        self._n_chips = 1 + (self.phi if any(k.startswith(_HARDWARE) for k in self.space.knobs) else 0)
        self._policy = SequencePolicy(self.space.knobs, self.hidden, self.lr, self.entropy)
        self._walks = Walks(self.space.decide, self._policy)
        self._episode = _Episode(is_closed=True)
        self._out: dict[str, tuple[_Episode, list[Decision]]] = {}
        self._bounds = {limit.metric: 2 * limit.bound for limit in self.goals.limits}
        self._usual: dict[str, float] = {}
        self._is_stuck = False  # the policy proposes only what is known: others are drawn until it was told more

    def propose(self, rng: np.random.Generator) -> Candidate:
        """The joint step of a new episode, or one more chip for the networks of the present one."""
        while not self._is_stuck:
            if self._episode.is_closed:
                self._episode = _Episode()
            candidate = self._sampled(rng)
            if candidate is not None:
                return candidate
            self._is_stuck = self._episode.n_asked == 0
            self._episode.is_closed = True  # no new chip for these networks: on to others
        return self.space.sample(rng)

    def _sampled(self, rng: np.random.Generator) -> Candidate | None:
        episode = self._episode
        given = {d.knob: d.code for d in episode.nets} if episode.n_asked else {}
        for _ in range(_TRIES):
            candidate, made = self._walks.draw(given, rng)
            if candidate is not None and candidate.id not in self.asked:
                episode.nets = [d for d in made if not d.knob.startswith(_HARDWARE)]
                episode.n_asked += 1
                episode.is_closed = episode.n_asked >= self._n_chips
                self._out[candidate.id] = (episode, made)
                return candidate
        return None

    def observe(self, records: Sequence[Record]) -> None:
        self._is_stuck = False
        lessons: list[tuple[Sequence[Decision], Sequence[float]]] = []
        for record in (r for r in records if r.candidate.id in self._out):
            episode, decisions = self._out.pop(record.candidate.id)
            penalty = self._penalty(record)
            episode.penalties.append(penalty)
            if "quality" in record.metrics:
                episode.quality = record.metrics["quality"]
            if decisions:
                lessons.append(self._lesson(decisions, "hw", -self.rho * penalty))
            if episode.is_over and episode.nets:
                trained = episode.quality is not None and min(episode.penalties) == 0.0
                reward = episode.quality if trained else -self.rho * min(episode.penalties)
                lessons.append(self._lesson(episode.nets, "net", float(reward or 0.0)))
        if lessons:
            self._policy.learn(lessons)
            self._walks.forget()

    def _lesson(
        self, decisions: Sequence[Decision], switch: str, reward: float
    ) -> tuple[Sequence[Decision], list[float]]:
        """The advantage of each decision of the segment that the switch is on; NaN for the others."""
        usual = self._usual.get(switch, reward)
        self._usual[switch] = self.momentum * usual + (1 - self.momentum) * reward
        on = [d.knob.startswith(_HARDWARE) == (switch == "hw") for d in decisions]
        last = len(decisions) - 1
        shares = [self.discount ** (last - t) for t in range(len(decisions))]
        return decisions, [(reward - usual) * s if o else math.nan for s, o in zip(shares, on, strict=True)]

    def _penalty(self, record: Record) -> float:
        if record.status is Status.FAILED:
            return float(len(self.goals.limits) or 1)
        total = 0.0
        for limit in self.goals.limits:
            value = record.metrics.get(limit.metric)
            if value is not None and (over := limit.violation(value)) > 0:
                self._bounds[limit.metric] = max(self._bounds[limit.metric], value)
                total += over * limit.bound / abs(self._bounds[limit.metric] - limit.bound)
        return total
