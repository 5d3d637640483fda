"""Sequence policy: an LSTM that decides knob after knob and sees what it decided before.

Source: Zoph and Le 2017, arXiv:1611.01578, section 3 (controller); Pham et al. 2018, arXiv:1802.03268, appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archip.core.errors import MissingExtra
from archip.core.knobs import Knob
from archip.strategies._controller import Decision, softmax

if TYPE_CHECKING:
    import torch

__all__ = ["SequencePolicy"]


class SequencePolicy:
    """p(decision | decisions before), and its policy gradient.

    A decision is embedded (a table for each knob) and fed back; each knob has its own output layer, over the codes of
    its values. Deterministic for a seed.
    """

    def __init__(self, knobs: Mapping[str, Knob], hidden: int, lr: float, entropy: float, seed: int = 0) -> None:
        try:
            import torch
        except ImportError:
            raise MissingExtra("torch", "torch", "a controller with an LSTM") from None
        from torch import nn

        generator = torch.Generator().manual_seed(seed)
        self._entropy = entropy
        self._cell = nn.LSTMCell(hidden, hidden)
        self._first = nn.Parameter(torch.zeros(1, hidden))
        self._heads = nn.ModuleDict({_key(n): nn.Linear(hidden, len(k.values)) for n, k in knobs.items()})
        self._embeddings = nn.ModuleDict({_key(n): nn.Embedding(len(k.values), hidden) for n, k in knobs.items()})
        self._all = nn.ModuleList([self._cell, self._heads, self._embeddings])
        self._parameters = [*self._all.parameters(), self._first]
        with torch.no_grad():
            for parameter in self._parameters:
                parameter.uniform_(-0.1, 0.1, generator=generator)  # as in ENAS' released code
        self._adam = torch.optim.Adam(self._parameters, lr=lr)
        self._read()

    def _read(self) -> None:
        """The weights in numpy, for proposing."""
        self._walked: tuple[list[Decision], _State | None] = ([], None)
        array = {name: p.detach().double().numpy() for name, p in self._all.named_parameters()}
        cell = [array[f"0.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        heads = {k: (array[f"1.{k}.weight"], array[f"1.{k}.bias"]) for k in self._heads}
        embeddings = {k: array[f"2.{k}.weight"] for k in self._embeddings}
        self._numbers = _Numbers(cell, heads, embeddings, self._first.detach().double().numpy()[0])

    def probabilities(self, before: Sequence[Decision], knob: str, allowed: Sequence[int]) -> np.ndarray:
        """Of each allowed code of `knob`, after the decisions `before`; in numpy, since torch takes 20 times longer."""
        fed, state = self._walked
        if state is None or fed != list(before[: len(fed)]):
            fed, state = [], self._numbers.start
        for decision in before[len(fed) :]:
            state = self._numbers.advance(decision, state)
        self._walked = (list(before), state)
        weight, bias = self._numbers.heads[_key(knob)]
        return softmax((weight @ state[0] + bias)[list(allowed)])

    def learn(self, episodes: Sequence[tuple[Sequence[Decision], Sequence[float]]]) -> None:
        """One step of gradient ascent on the mean of Σ advantage · log p(decision) + entropy.

        Args:
            episodes: decisions and the advantage of each; decisions with advantage NaN were given, not taken.
        """
        import torch

        by_knobs: dict[tuple[str, ...], list[tuple[Sequence[Decision], Sequence[float]]]] = {}
        for decisions, advantages in episodes:
            by_knobs.setdefault(tuple(d.knob for d in decisions), []).append((decisions, advantages))
        loss = torch.stack([self._loss(rows) for rows in by_knobs.values()]).sum() / len(episodes)
        self._adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 5.0)
        self._adam.step()
        self._read()

    def _loss(self, episodes: Sequence[tuple[Sequence[Decision], Sequence[float]]]) -> torch.Tensor:
        """-Σ (advantage · log p + entropy) over episodes that decide on the same knobs in the same order."""
        import torch

        advantages_NT = torch.tensor([list(advantages) for _, advantages in episodes])
        total = torch.zeros(())
        state = self._cell(self._first.expand(len(episodes), -1))
        for t, column in enumerate(zip(*(decisions for decisions, _ in episodes), strict=True)):
            key, codes = _key(column[0].knob), torch.tensor([d.code for d in column])
            logits_NV = self._heads[key](state[0])
            forbidden_NV = torch.ones_like(logits_NV, dtype=torch.bool)
            for row, decision in enumerate(column):
                forbidden_NV[row, list(decision.allowed)] = False
            log_p_NV = logits_NV.masked_fill(forbidden_NV, -torch.inf).log_softmax(1)
            entropy_N = -(log_p_NV.exp() * log_p_NV.masked_fill(forbidden_NV, 0.0)).sum(1)
            taken_N = log_p_NV.gather(1, codes[:, None])[:, 0]
            was_taken_N = ~advantages_NT[:, t].isnan()
            worth_N = advantages_NT[:, t].nan_to_num() * taken_N + self._entropy * entropy_N
            total = total - worth_N[was_taken_N].sum()
            state = self._cell(self._embeddings[key](codes), state)
        return total


_State = tuple[np.ndarray, np.ndarray]  # h and c of the LSTM, [hidden]


@dataclass(frozen=True)
class _Numbers:
    """The policy's weights; the equations of the LSTM are those of `torch.nn.LSTMCell`."""

    cell: list[np.ndarray]
    heads: dict[str, tuple[np.ndarray, np.ndarray]]
    embeddings: dict[str, np.ndarray]
    first: np.ndarray

    @property
    def start(self) -> _State:
        return self._step(self.first, (np.zeros_like(self.first), np.zeros_like(self.first)))

    def advance(self, decision: Decision, state: _State) -> _State:
        return self._step(self.embeddings[_key(decision.knob)][decision.code], state)

    def _step(self, x: np.ndarray, state: _State) -> _State:
        w_x, w_h, b_x, b_h = self.cell
        i, f, g, o = np.split(w_x @ x + b_x + w_h @ state[0] + b_h, 4)
        c = _sigmoid(f) * state[1] + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(x / 2)) / 2


def _key(knob: str) -> str:
    """Torch's names of modules have no dots."""
    return knob.replace(".", "/")
