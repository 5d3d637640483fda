"""Sequence policy: an LSTM that decides knob after knob and sees what it decided before.

Source: Zoph and Le 2017, arXiv:1611.01578, section 3 (controller); Pham et al. 2018, arXiv:1802.03268, appendix A.

Legend: N rows of decisions, T the most decisions of a row, H hidden units, C codes of all knobs in a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archip.core.errors import MissingExtra
from archip.core.knobs import Knob
from archip.strategies._controller import Decision, softmax

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Followed", "SequencePolicy"]

_MOST_STATES = 4096


@dataclass(frozen=True)
class Followed:
    """What the policy makes of given rows of decisions, with gradients; where a row has ended, zero.

    Attributes:
        log_p_NT: of the decision that was taken.
        entropy_NT: of the choice.
        end_NH: hidden state after the last decision of the row was fed.
    """

    log_p_NT: torch.Tensor
    entropy_NT: torch.Tensor
    end_NH: torch.Tensor


class SequencePolicy:
    """p(decision | decisions before), and its policy gradient.

    A decision is embedded (a table for each knob) and fed back; each knob has its own output layer, over the codes of
    its values. Deterministic for a seed.

    Attributes:
        place: knob → the place of its first code among all codes.
        n_codes: C.
    """

    def __init__(
        self, knobs: Mapping[str, Knob], hidden: int, lr: float, entropy: float, seed: int = 0, init: float = 0.1
    ) -> None:
        try:
            import torch
        except ImportError:
            raise MissingExtra("torch", "torch", "a controller with an LSTM") from None
        from torch import nn

        sizes = [len(knob.values) for knob in knobs.values()]
        self.place = dict(zip(knobs, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        self.n_codes = sum(sizes)
        self._sizes = dict(zip(knobs, sizes, strict=True))
        self._entropy = entropy
        self._lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self._head = nn.Linear(hidden, self.n_codes)
        self._embedding = nn.Embedding(self.n_codes + 1, hidden)  # the last is what the first step is fed
        self._parameters = [*self._lstm.parameters(), *self._head.parameters(), *self._embedding.parameters()]
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self._parameters:
                parameter.uniform_(-init, init, generator=generator)  # 0.1 in ENAS' released code
        self._adam = torch.optim.Adam(self._parameters, lr=lr)
        self._rows: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}
        self._read()

    def _read(self) -> None:
        """The weights in numpy, for proposing."""
        numbers = [p.detach().double().numpy() for p in self._parameters]
        self._numbers = _Numbers(numbers[:4], numbers[4], numbers[5], numbers[6])
        self._start, self._states = self._numbers.start, dict[tuple[int, ...], _State]()

    def probabilities(self, before: Sequence[Decision], knob: str, allowed: Sequence[int]) -> np.ndarray:
        """Of each allowed code of `knob`, after the decisions `before`; in numpy, since torch takes 20 times longer."""
        state = self._state(tuple(self.place[d.knob] + d.code for d in before))
        first, last = self.place[knob], self.place[knob] + self._sizes[knob]
        logits = self._numbers.head[first:last] @ state[0] + self._numbers.bias[first:last]
        return softmax(logits[list(allowed)])

    def _state(self, codes: tuple[int, ...]) -> _State:
        """After decisions with these places among all codes; the last few thousand are kept."""
        fed = len(codes)
        while fed and codes[:fed] not in self._states:
            fed -= 1
        state = self._states[codes[:fed]] if fed else self._start
        for i in range(fed, len(codes)):
            if len(self._states) >= _MOST_STATES:
                self._states.clear()
            state = self._states[codes[: i + 1]] = self._numbers.advance(codes[i], state)
        return state

    def follow(self, rows: Sequence[Sequence[Decision]]) -> Followed:
        """Feed rows of decisions, all at once."""
        import torch

        n, longest = len(rows), max(map(len, rows))
        codes_NT = np.full((n, longest + 1), self.n_codes)
        open_NTC = np.zeros((n, longest, self.n_codes), dtype=bool)
        open_NTC[:, :, 0] = True  # a row that has ended has one choice: nothing is decided
        for row, decisions in enumerate(rows):
            codes_NT[row, 1 : len(decisions) + 1] = [self.place[d.knob] + d.code for d in decisions]
            open_NTC[row, : len(decisions)] = [self._allowed(d) for d in decisions]
        with _one_thread():
            states_NTH, _ = self._lstm(self._embedding(torch.from_numpy(codes_NT)))
        closed_NTC = ~torch.from_numpy(open_NTC)
        logits_NTC = self._head(states_NTH[:, :-1]).masked_fill(closed_NTC, -torch.inf)
        log_p_NTC = logits_NTC.log_softmax(2)
        entropy_NT = -(log_p_NTC.exp() * log_p_NTC.masked_fill(closed_NTC, 0.0)).sum(2)
        taken_NT = torch.from_numpy(codes_NT[:, 1:] % self.n_codes)  # what stands for nothing becomes the one choice
        ends_N = torch.tensor([len(decisions) for decisions in rows])
        log_p_NT = log_p_NTC.gather(2, taken_NT[:, :, None])[:, :, 0]
        return Followed(log_p_NT, entropy_NT, states_NTH[torch.arange(n), ends_N])

    def learn(self, episodes: Sequence[tuple[Sequence[Decision], Sequence[float]]]) -> None:
        """One step of gradient ascent on the mean of Σ advantage · log p(decision) + entropy.

        Args:
            episodes: decisions and the advantage of each; decisions with advantage NaN were given, not taken.
        """
        self.descend(self._loss(episodes) / len(episodes))

    def adopt(self, module: nn.Module) -> None:
        """Train the parameters of a module, which is part of losses to come, along with the policy's."""
        self._adam.add_param_group({"params": list(module.parameters())})

    def descend(self, loss: torch.Tensor) -> None:
        """One step of Adam on a loss that was made of what `follow` gave."""
        import torch

        with _one_thread():
            self._adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._parameters, 5.0)
            self._adam.step()
        self._read()

    def _loss(self, episodes: Sequence[tuple[Sequence[Decision], Sequence[float]]]) -> torch.Tensor:
        """-Σ (advantage · log p + entropy)."""
        import torch

        seen = self.follow([decisions for decisions, _ in episodes])
        advantages_NT = torch.full(seen.log_p_NT.shape, torch.nan)
        for row, (_, advantages) in enumerate(episodes):
            advantages_NT[row, : len(advantages)] = torch.tensor(list(advantages))
        worth_NT = advantages_NT.nan_to_num() * seen.log_p_NT + self._entropy * seen.entropy_NT
        return -worth_NT[~advantages_NT.isnan()].sum()

    def _allowed(self, decision: Decision) -> np.ndarray:
        """[C] whether a code may be decided on."""
        key = (decision.knob, decision.allowed)
        if key not in self._rows:
            self._rows[key] = np.zeros(self.n_codes, dtype=bool)
            self._rows[key][self.place[decision.knob] + np.array(decision.allowed)] = True
        return self._rows[key]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Steps of an LSTM as small as these take up to 60 times longer on several threads, when others work as well."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


_State = tuple[np.ndarray, np.ndarray]  # h and c of the LSTM, [H]


@dataclass(frozen=True)
class _Numbers:
    """The policy's weights; the equations of the LSTM are those of `torch.nn.LSTM`."""

    lstm: list[np.ndarray]
    head: np.ndarray
    bias: np.ndarray
    embedding: np.ndarray

    @property
    def start(self) -> _State:
        nothing = np.zeros(self.embedding.shape[1])
        return self.advance(-1, (nothing, nothing))

    def advance(self, code: int, state: _State) -> _State:
        w_x, w_h, b_x, b_h = self.lstm
        gates_4H = (w_x @ self.embedding[code] + b_x + w_h @ state[0] + b_h).reshape(4, -1)
        new_H = np.tanh(gates_4H[2])
        i_H, f_H, _, o_H = (1 + np.tanh(gates_4H / 2)) / 2  # the sigmoid
        c_H = f_H * state[1] + i_H * new_H
        return o_H * np.tanh(c_H), c_H
