"""Reinforce: a policy of independent choices, moved towards those that were better than usual.

Choose it as the plainest learning baseline where genes matter one by one; what genes do together it cannot see.
Source: Williams 1992, Machine Learning 8; Dong, Yang 2020, arXiv:2001.00326, section 4: an independent categorical for
each edge, reward = validation accuracy, baseline = its moving average with momentum 0.9, Adam. The rate of 0.2 is that
of the reference experiment which the claim repeats. Differs: a network that is known already is not paid for again
but drawn anew, so that late in the search the policy is sampled without replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.strategies._controller import Controller, Decision, Episode, softmax

__all__ = ["Reinforce"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8  # of Adam, as published


@dataclass
class Reinforce(Controller):
    """REINFORCE with one categorical a knob.

    Attributes:
        lr: of Adam, on the logits.
        momentum: of the moving average that is the baseline.
        entropy: weight of the policy's entropy, which keeps it from deciding early.
    """

    lr: Annotated[float, Field(gt=0)] = 0.2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    entropy: Annotated[float, Field(ge=0)] = 0.0

    def reset(self) -> None:
        self._place = {name: i for i, name in enumerate(self.knobs)}
        widest = max(len(knob.values) for knob in self.knobs.values())
        self._logits_GV = np.zeros((len(self.knobs), widest))
        self._first_GV, self._second_GV = np.zeros_like(self._logits_GV), np.zeros_like(self._logits_GV)
        self._known: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}  # probabilities of the present policy
        self._baseline: float | None = None
        self._n_steps = 0

    def probabilities(self, before: Sequence[Decision], knob: str, allowed: Sequence[int]) -> np.ndarray:
        key = (knob, tuple(allowed))
        if key not in self._known:
            self._known[key] = softmax(self._logits_GV[self._place[knob], list(allowed)])
        return self._known[key]

    def learn(self, episodes: Sequence[Episode]) -> None:
        for episode in episodes:
            old = episode.reward if self._baseline is None else self._baseline
            self._baseline = self.momentum * old + (1 - self.momentum) * episode.reward
            self._ascend(self._gradient(episode, episode.reward - self._baseline))

    def _gradient(self, episode: Episode, advantage: float) -> np.ndarray:
        """[G, V] of advantage * log p(decisions) + entropy * H(policy), with respect to the logits."""
        gradient_GV = np.zeros_like(self._logits_GV)
        for decision in episode.decisions:
            gene, allowed = self._place[decision.knob], list(decision.allowed)
            p = softmax(self._logits_GV[gene, allowed])
            log_p = np.log(np.maximum(p, 1e-300))
            gradient_GV[gene, allowed] = -advantage * p - self.entropy * p * (log_p - p @ log_p)
            gradient_GV[gene, decision.code] += advantage
        return gradient_GV

    def _ascend(self, gradient_GV: np.ndarray) -> None:
        self._n_steps += 1
        self._known.clear()
        self._first_GV = _BETA_1 * self._first_GV + (1 - _BETA_1) * gradient_GV
        self._second_GV = _BETA_2 * self._second_GV + (1 - _BETA_2) * gradient_GV**2
        first_GV = self._first_GV / (1 - _BETA_1**self._n_steps)
        second_GV = self._second_GV / (1 - _BETA_2**self._n_steps)
        self._logits_GV += self.lr * first_GV / (np.sqrt(second_GV) + _EPSILON)
