"""Auto-GNN: changes one class of decisions of the best network at a time, each class with a controller of its own.

Choose it where a network is layers with the same few decisions each and neighbours of a good network are good: it
never strays from the best network by more than one class. On NAS-Bench-Graph it is no better than random search within
noise (claims/auto_gnn.py); evolution is: that table has two classes where the paper has six, and to change the class of
operators is to draw all of them anew. A class is the knobs that differ by the number at their end
only (`op1`, `op2` …).
In every step a class is drawn in proportion to the entropy of what its controller would decide, an LSTM proposes the
class anew, and the rest stays as in the best network so far, which a better one replaces.
Source: Zhou et al. 2019, arXiv:1909.03184, section 4 (conservative explorer, guided by entropy, REINFORCE with
moving-average baseline). Our choices, which the paper leaves open: a few random networks come first; a decision that
the space does not allow beside the new ones is drawn anew. Without the paper's sharing of weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record
from archip.strategies._base import AskTell
from archip.strategies._controller import Decision, Rewards
from archip.strategies._sequence_policy import SequencePolicy

__all__ = ["AutoGNN"]


@dataclass
class AutoGNN(AskTell):
    """Reinforced conservative search.

    Attributes:
        initial: random candidates, the best of which is where the search begins.
        lr: of Adam.
        hidden: units of each controller's LSTM.
        momentum: of the moving averages that are the baselines, one a class.
        entropy: weight of the controllers' entropy.
    """

    initial: Annotated[int, Field(ge=1)] = 10
    lr: Annotated[float, Field(gt=0)] = 0.01
    hidden: Annotated[int, Field(ge=1)] = 32
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    entropy: Annotated[float, Field(ge=0)] = 5e-4

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, which a controller decides on", "strategy")
        knobs, self._decide, self._codes = self.space.knobs, self.space.decide, self.space.codes
        self._class = {name: name.rstrip("0123456789") for name in knobs}
        self._policies = {
            c: SequencePolicy(
                {n: k for n, k in knobs.items() if self._class[n] == c}, self.hidden, self.lr, self.entropy
            )
            for c in dict.fromkeys(self._class.values())
        }
        self._doubt = dict.fromkeys(self._policies, 1.0)  # entropy of a class' last decisions, a decision
        self._usual: dict[str, float] = {}
        self._rewards = Rewards(self.goals)
        self._out: dict[str, tuple[str, list[Decision]]] = {}

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self.best is None or len(self.asked) < self.initial:
            return self.space.sample(rng)
        doubts = np.array(list(self._doubt.values())) + 1e-3
        changed = list(self._doubt)[rng.choice(len(doubts), p=doubts / doubts.sum())]
        best = dict(zip(self._class, self._codes([self.best.candidate])[0].tolist(), strict=True))
        made: list[Decision] = []
        entropies: list[float] = []

        def choose(knob: str, allowed: Sequence[int]) -> int:
            if self._class[knob] != changed:
                return best[knob] if best[knob] in allowed else allowed[int(rng.integers(len(allowed)))]
            p = self._policies[changed].probabilities(made, knob, allowed)
            entropies.append(float(-(p * np.log(np.maximum(p, 1e-300))).sum()))
            code = allowed[int(rng.choice(len(allowed), p=p))]
            made.append(Decision(knob, tuple(allowed), code))
            return code

        candidate = self._decide(choose)
        if candidate is None or not made:
            return self.space.mutate(self.best.candidate, rng)
        self._doubt[changed] = math.fsum(entropies) / len(entropies)
        if candidate.id not in self.asked:
            self._out[candidate.id] = (changed, made)
        return candidate

    def observe(self, records: Sequence[Record]) -> None:
        lessons: dict[str, list[tuple[Sequence[Decision], list[float]]]] = {}
        for record, reward in zip(records, self._rewards.of(records), strict=True):
            if record.candidate.id not in self._out:
                continue
            changed, made = self._out.pop(record.candidate.id)
            usual = self._usual.get(changed, reward)
            self._usual[changed] = self.momentum * usual + (1 - self.momentum) * reward
            lessons.setdefault(changed, []).append((made, [reward - self._usual[changed]] * len(made)))
        for changed, episodes in lessons.items():
            self._policies[changed].learn(episodes)
