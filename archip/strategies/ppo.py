"""PPO: an LSTM decides gene after gene and learns from batches by proximal policy optimisation.

Choose it where genes must fit each other and a few hundred candidates or more can be paid; with fewer, evolution finds
more. With {lr: 0.00035, hidden: 100, init: 0.08, entropy: 0.00001} it is the controller of NASNet, which has 20,000
networks to learn from.
Source: Schulman et al. 2017, arXiv:1707.06347, eq. 7 (clipped surrogate, epsilon = 0.2); Zoph et al. 2018,
arXiv:1707.07012, appendix A.2 (LSTM, batches of 20, baseline = moving average of 0.95, entropy bonus 1e-5). Our
choices: rate and entropy, for hundreds of networks rather than thousands (tried on the size space of NATS-Bench); four
steps a batch; the old policy is that at the beginning of the batch's steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from archip.strategies._controller import Controller, Decision, Episode
from archip.strategies._sequence_policy import SequencePolicy

if TYPE_CHECKING:
    import torch

__all__ = ["PPO"]


@dataclass
class PPO(Controller):
    """LSTM controller with the clipped surrogate.

    Attributes:
        lr: of Adam.
        hidden: units of the LSTM.
        init: weights begin uniform in +- init.
        batch: episodes that are learnt from at once.
        steps: of Adam on each batch.
        clip: epsilon; how far the ratio to the old policy is worth anything.
        momentum: of the moving average that is the baseline.
        entropy: weight of the policy's entropy.
    """

    lr: Annotated[float, Field(gt=0)] = 0.02
    hidden: Annotated[int, Field(ge=1)] = 64
    init: Annotated[float, Field(gt=0)] = 0.1
    batch: Annotated[int, Field(ge=1)] = 20
    steps: Annotated[int, Field(ge=1)] = 4
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    entropy: Annotated[float, Field(ge=0)] = 5e-4

    def reset(self) -> None:
        self._policy = SequencePolicy(self.knobs, self.hidden, self.lr, self.entropy, init=self.init)
        self._waiting: list[Episode] = []
        self._baseline: float | None = None

    def probabilities(self, before: Sequence[Decision], knob: str, allowed: Sequence[int]) -> np.ndarray:
        return self._policy.probabilities(before, knob, allowed)

    def learn(self, episodes: Sequence[Episode]) -> None:
        self._waiting += episodes
        while len(self._waiting) >= self.batch:
            self._improve(self._waiting[: self.batch])
            self._waiting = self._waiting[self.batch :]

    def _improve(self, episodes: Sequence[Episode]) -> None:
        import torch

        rows = [e.decisions for e in episodes]
        advantage_N = torch.tensor(self._advantages([e.reward for e in episodes]), dtype=torch.float32)
        old_NT = None
        for _ in range(self.steps):
            seen = self._policy.follow(rows)
            old_NT = seen.log_p_NT.detach() if old_NT is None else old_NT
            gain_NT = clipped(seen.log_p_NT - old_NT, advantage_N[:, None], self.clip)
            worth = gain_NT.sum() + self.entropy * seen.entropy_NT.sum()
            self._policy.descend(-worth / len(rows))

    def _advantages(self, rewards: Sequence[float]) -> list[float]:
        """Rewards less the baseline, which each of them moves."""
        advantages = []
        for reward in rewards:
            old = reward if self._baseline is None else self._baseline
            self._baseline = self.momentum * old + (1 - self.momentum) * reward
            advantages.append(reward - self._baseline)
        return advantages


def clipped(log_ratio: torch.Tensor, advantage: torch.Tensor, clip: float) -> torch.Tensor:
    """min(r A, clip(r, 1 - epsilon, 1 + epsilon) A), eq. 7, of each decision."""
    ratio = log_ratio.exp()
    return (ratio * advantage).minimum(ratio.clamp(1 - clip, 1 + clip) * advantage)
