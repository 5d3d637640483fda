"""ENAS controller with a memory: an LSTM whose state must still tell the networks it has proposed.

Choose it instead of `ppo` for an LSTM controller on tens to hundreds of candidates that learns after every one: the
memory trains the state on all that was proposed, not only on what was rewarded last.
A controller trained by reward alone forgets its decisions: how far apart two final states are says little of how
different the networks are. Here every step also minimises the cross-entropy with which a linear decoder reads all
decisions of networks from a buffer off the controller's final state.
Source: Adam and Lorraine 2019, arXiv:1904.00438, sections 4 and 5; controller as in Pham et al. 2018,
arXiv:1802.03268, section 2.2 and appendix A (REINFORCE with moving-average baseline, Adam, U(-0.1, 0.1)). Our choices,
which the paper leaves open: the decoder is linear, the buffer is drawn from uniformly, the weight of its loss.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from archip.strategies._controller import Controller, Decision, Episode
from archip.strategies._sequence_policy import SequencePolicy

if TYPE_CHECKING:
    import torch

__all__ = ["ENASMemory"]


@dataclass
class ENASMemory(Controller):
    """LSTM controller with REINFORCE and a memory buffer.

    Attributes:
        lr: of Adam.
        hidden: units of the LSTM.
        momentum: of the moving average that is the baseline.
        entropy: weight of the policy's entropy.
        memory: networks in the buffer; the oldest is forgotten first.
        replay: how many of them a step looks at.
        weight: of the decoder's loss beside the policy's; 0 is the plain controller.
    """

    lr: Annotated[float, Field(gt=0)] = 0.01
    hidden: Annotated[int, Field(ge=1)] = 64
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    entropy: Annotated[float, Field(ge=0)] = 5e-4
    memory: Annotated[int, Field(ge=1)] = 200
    replay: Annotated[int, Field(ge=1)] = 20
    weight: Annotated[float, Field(ge=0)] = 0.01

    def reset(self) -> None:
        self._policy = SequencePolicy(self.knobs, self.hidden, self.lr, self.entropy)
        self._buffer: deque[tuple[Decision, ...]] = deque(maxlen=self.memory)
        self._drawing = np.random.default_rng(0)
        self._baseline: float | None = None
        self._decoder = _decoder(self.hidden, self._policy.n_codes)
        self._policy.adopt(self._decoder)

    def probabilities(self, before: Sequence[Decision], knob: str, allowed: Sequence[int]) -> np.ndarray:
        return self._policy.probabilities(before, knob, allowed)

    def learn(self, episodes: Sequence[Episode]) -> None:
        loss = -self._worth(episodes) / len(episodes)
        self._buffer += [e.decisions for e in episodes]
        if self.weight > 0:
            rows = self._drawing.choice(len(self._buffer), min(self.replay, len(self._buffer)), replace=False)
            loss = loss + self.weight * self.forgotten([self._buffer[i] for i in rows])
        self._policy.descend(loss)

    def _worth(self, episodes: Sequence[Episode]) -> torch.Tensor:
        """Σ (advantage · log p + entropy) of the episodes; each reward moves the baseline."""
        import torch

        advantages = []
        for episode in episodes:
            old = episode.reward if self._baseline is None else self._baseline
            self._baseline = self.momentum * old + (1 - self.momentum) * episode.reward
            advantages.append(episode.reward - self._baseline)
        seen = self._policy.follow([e.decisions for e in episodes])
        return (torch.tensor(advantages)[:, None] * seen.log_p_NT + self.entropy * seen.entropy_NT).sum()

    def forgotten(self, rows: Sequence[Sequence[Decision]]) -> torch.Tensor:
        """Cross-entropy, a decision, of reading rows of decisions off their final states."""
        logits_NC = self._decoder(self._policy.follow(rows).end_NH)
        losses = []
        for knob, first in self._policy.place.items():
            taken = {row: d.code for row, decisions in enumerate(rows) for d in decisions if d.knob == knob}
            if taken:
                log_p_NV = logits_NC[list(taken), first : first + len(self.knobs[knob].values)].log_softmax(1)
                losses.append(-log_p_NV[range(len(taken)), list(taken.values())].sum())
        return sum(losses[1:], losses[0]) / sum(map(len, rows))


def _decoder(hidden: int, n_codes: int) -> torch.nn.Module:
    """A linear layer that begins at zero: at first every value is as likely."""
    from torch import nn

    decoder = nn.Linear(hidden, n_codes)
    for parameter in decoder.parameters():
        nn.init.zeros_(parameter)
    return decoder
