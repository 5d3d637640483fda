"""What a predictor says of samples that it has not seen."""

from __future__ import annotations

import numpy as np

from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem import Plug

__all__ = ["left_out"]


def left_out(plug: Plug, X_NF: np.ndarray, y_N: np.ndarray, folds: int, seed: int) -> np.ndarray | None:
    """[2, N] mean and std that it predicts of each sample, fitted to the other folds; None if it cannot learn."""
    order = np.random.default_rng(seed).permutation(len(y_N))
    predicted_2N = np.empty((2, len(y_N)))
    for fold in np.array_split(order, min(folds, len(y_N))):
        seen = np.setdiff1d(order, fold)
        try:
            model = registry.create("predictors", plug.name, plug.options).fit(X_NF[seen], y_N[seen])
        except UserError:
            return None
        predicted_2N[:, fold] = model.predict(X_NF[fold])
    return predicted_2N
