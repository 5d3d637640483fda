"""MLP: a small ensemble of neural networks, for effects that depend on one another.

Choose it from some hundred samples on, where trees are too coarse; with ``rank`` where only the order matters.
Source: White et al. 2021, arXiv:1910.11858 (BANANAS). Our choice: two layers and a linear path from the features to the
answer, which learns sums at once.

Legend: E members, N samples, F features, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from archip.predictors._network_ensemble import NetworkEnsemble

__all__ = ["MLP"]


@dataclass
class MLP(NetworkEnsemble):
    """Mean of networks with two hidden layers."""

    def initial(self, n_features: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        n, h = self.members, self.hidden
        return {
            "first_EFH": rng.normal(size=(n, n_features, h)) / n_features**0.5,
            "first_E1H": np.zeros((n, 1, h)),
            "second_EHH": rng.normal(size=(n, h, h)) / h**0.5,
            "second_E1H": np.zeros((n, 1, h)),
            "last_EH1": np.zeros((n, h, 1)),
            "last_E11": np.zeros((n, 1, 1)),
            "line_EF1": np.zeros((n, n_features, 1)),
        }

    def forward(self, Z: Any, weights: Mapping[str, Any], tanh: Callable[[Any], Any]) -> Any:
        h_ENH = tanh(Z @ weights["first_EFH"] + weights["first_E1H"])
        h_ENH = tanh(h_ENH @ weights["second_EHH"] + weights["second_E1H"])
        return (h_ENH @ weights["last_EH1"] + weights["last_E11"] + Z @ weights["line_EF1"])[..., 0]
