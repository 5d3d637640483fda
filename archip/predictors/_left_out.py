"""What a predictor says of samples that it has not seen."""

from __future__ import annotations

import numpy as np

from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem import Plug

__all__ = ["left_out"]


def left_out(plug: Plug, X_NF: np.ndarray, y_N: np.ndarray, folds: int, seed: int) -> np.ndarray | None:
    """[N] what it predicts of each sample, fitted to the other folds; None if it cannot learn from them."""
    order = np.random.default_rng(seed).permutation(len(y_N))
    predicted_N = np.empty(len(y_N))
    for fold in np.array_split(order, min(folds, len(y_N))):
        seen = np.setdiff1d(order, fold)
        try:
            model = registry.create("predictors", plug.name, plug.options).fit(X_NF[seen], y_N[seen])
        except UserError:
            return None
        predicted_N[fold] = model.predict(X_NF[fold])[0]
    return predicted_N
