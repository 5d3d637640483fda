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

from archip.strategies._categoricals import Categoricals
from archip.strategies._controller import Controller, Decision, Episode

__all__ = ["Reinforce"]


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
        self._policy = Categoricals(self.knobs, self.lr)
        self._baseline: float | None = None

    def probabilities(self, before: Sequence[Decision], knob: str, allowed: Sequence[int]) -> np.ndarray:
        return self._policy.probabilities(knob, allowed)

    def learn(self, episodes: Sequence[Episode]) -> None:
        for episode in episodes:
            old = episode.reward if self._baseline is None else self._baseline
            self._baseline = self.momentum * old + (1 - self.momentum) * episode.reward
            advantage = episode.reward - self._baseline
            self._policy.ascend(self._policy.gradient(episode.decisions, advantage, self.entropy))
