"""Categoricals: a policy of one independent categorical a knob, moved by Adam along the gradient of log p."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archip.core.knobs import Knob
from archip.strategies._controller import Decision, softmax

__all__ = ["Categoricals"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8  # of Adam, as published


class Categoricals:
    """Begins uniform; of codes that are not allowed it keeps the proportions among the others.

    Attributes:
        logits_GV: of every knob and code.
    """

    def __init__(self, knobs: Mapping[str, Knob], lr: float) -> None:
        self._lr = lr
        self._place = {name: i for i, name in enumerate(knobs)}
        self.logits_GV = np.zeros((len(knobs), max(len(knob.values) for knob in knobs.values())))
        self._first_GV, self._second_GV = np.zeros_like(self.logits_GV), np.zeros_like(self.logits_GV)
        self._known: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}  # probabilities of the present policy
        self._n_steps = 0

    def probabilities(self, knob: str, allowed: Sequence[int]) -> np.ndarray:
        """Of each allowed code of a knob."""
        key = (knob, tuple(allowed))
        if key not in self._known:
            self._known[key] = softmax(self.logits_GV[self._place[knob], list(allowed)])
        return self._known[key]

    def log_p(self, decisions: Sequence[Decision]) -> float:
        """Of all decisions together."""
        each = (self.probabilities(d.knob, d.allowed)[d.allowed.index(d.code)] for d in decisions)
        return float(sum(np.log(max(p, 1e-300)) for p in each))

    def gradient(self, decisions: Sequence[Decision], advantage: float, entropy: float = 0.0) -> np.ndarray:
        """[G, V] of advantage * log p(decisions) + entropy * H(policy), with respect to the logits."""
        gradient_GV = np.zeros_like(self.logits_GV)
        for decision in decisions:
            gene, allowed = self._place[decision.knob], list(decision.allowed)
            p = self.probabilities(decision.knob, allowed)
            log_p = np.log(np.maximum(p, 1e-300))
            gradient_GV[gene, allowed] = -advantage * p - entropy * p * (log_p - p @ log_p)
            gradient_GV[gene, decision.code] += advantage
        return gradient_GV

    def ascend(self, gradient_GV: np.ndarray) -> None:
        """One step of Adam."""
        self._n_steps += 1
        self._known.clear()
        self._first_GV = _BETA_1 * self._first_GV + (1 - _BETA_1) * gradient_GV
        self._second_GV = _BETA_2 * self._second_GV + (1 - _BETA_2) * gradient_GV**2
        first_GV = self._first_GV / (1 - _BETA_1**self._n_steps)
        second_GV = self._second_GV / (1 - _BETA_2**self._n_steps)
        self.logits_GV += self._lr * first_GV / (np.sqrt(second_GV) + _EPSILON)
