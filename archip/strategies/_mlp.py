"""Small multilayer perceptrons in NumPy: a few thousand weights train in milliseconds and the same everywhere.

Legend: N samples, I inputs of a layer, O its outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

__all__ = ["Adam", "Mlp"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8  # of Adam, as published


@dataclass
class Mlp:
    """Layers of weights and biases with ReLU between them.

    Attributes:
        weights: (weights_IO, bias_O) of each layer.
        slopes: of the loss in each of them, after `backward`.
    """

    weights: list[tuple[np.ndarray, np.ndarray]]
    slopes: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    @classmethod
    def drawn(cls, widths: Sequence[int], rng: np.random.Generator) -> Mlp:
        """Weights of variance 2 / inputs (He et al. 2015), biases 0."""
        return cls([(rng.normal(0, (2 / max(i, 1)) ** 0.5, (i, o)), np.zeros(o)) for i, o in pairwise(widths)])

    def copy(self) -> Mlp:
        return Mlp([(weights_IO.copy(), bias_O.copy()) for weights_IO, bias_O in self.weights])

    def forward(self, x_NI: np.ndarray) -> np.ndarray:
        """Outputs of the last layer, without ReLU."""
        self._inputs = []
        for layer, (weights_IO, bias_O) in enumerate(self.weights):
            self._inputs.append(x_NI)
            x_NI = x_NI @ weights_IO + bias_O
            x_NI = np.maximum(x_NI, 0) if layer < len(self.weights) - 1 else x_NI
        return x_NI

    def backward(self, slope_NO: np.ndarray) -> np.ndarray:
        """Slope in the inputs, from the slope in the outputs of the last `forward`."""
        self.slopes = []
        for layer in reversed(range(len(self.weights))):
            self.slopes.insert(0, (self._inputs[layer].T @ slope_NO, slope_NO.sum(0)))
            slope_NO = slope_NO @ self.weights[layer][0].T
            if layer:
                slope_NO = slope_NO * (self._inputs[layer] > 0)
        return slope_NO


class Adam:
    """Moves the weights of some perceptrons by their slopes. Source: Kingma, Ba 2015, algorithm 1."""

    def __init__(self, parts: Sequence[Mlp], rate: float) -> None:
        self._parts, self._rate, self._n = parts, rate, 0
        arrays = [array for part in parts for layer in part.weights for array in layer]
        self._moments = [(np.zeros_like(a), np.zeros_like(a)) for a in arrays]

    def __call__(self) -> None:
        self._n += 1
        arrays = [array for part in self._parts for layer in part.weights for array in layer]
        slopes = [slope for part in self._parts for layer in part.slopes for slope in layer]
        for array, slope, (first, second) in zip(arrays, slopes, self._moments, strict=True):
            first += (1 - _BETA_1) * (slope - first)
            second += (1 - _BETA_2) * (slope**2 - second)
            bias_1, bias_2 = 1 - _BETA_1**self._n, 1 - _BETA_2**self._n
            array -= self._rate * (first / bias_1) / (np.sqrt(second / bias_2) + _EPSILON)
