"""Baselines of a task that need no search: what a network has to beat to be worth its silicon.

Classification: a ridge classifier on the flattened inputs, or on how often a text has each token. Segmentation: the
best single threshold on the channel mean, chosen on the train split. Both are fitted on the train split and scored on
the test split.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["task_baseline"]

_SHRINK_BAGS = 10.0  # of the ridge classifier on counts


def task_baseline(data: Any) -> tuple[str, float]:
    """(what it is, its test score in the task's own metric)."""
    if data.task == "segmentation":
        return "best threshold on the channel mean", _threshold_iou(data)
    from sklearn.linear_model import RidgeClassifier

    (x, y), (x_test, y_test) = data.splits["train"], data.splits["test"]
    if data.axes == "NT":
        model = RidgeClassifier(alpha=_SHRINK_BAGS).fit(_bags(x, data.n_tokens), y)
        return "ridge classifier on bags of tokens", float(model.score(_bags(x_test, data.n_tokens), y_test))
    model = RidgeClassifier(alpha=x[0].size).fit(x.reshape(len(x), -1), y)
    return "ridge classifier on the raw inputs", float(model.score(x_test.reshape(len(x_test), -1), y_test))


def _bags(x_NT: np.ndarray, n_tokens: int) -> Any:
    """[N, tokens] how often each token stands in a row, padding (0) left out; a sparse matrix."""
    from scipy.sparse import csr_array

    rows, _ = np.nonzero(x_NT)
    return csr_array((np.ones(len(rows)), (rows, x_NT[x_NT != 0])), shape=(len(x_NT), n_tokens))


def _threshold_iou(data: Any) -> float:
    """Foreground may be the brighter or the darker side; 64 thresholds between the extremes of the train split."""
    (x, y), (x_test, y_test) = data.splits["train"], data.splits["test"]
    grey, grey_test = x.mean(1), x_test.mean(1)
    options = [(sign, t) for sign in (1, -1) for t in np.linspace(grey.min(), grey.max(), 64)]
    best = max(options, key=lambda o: _iou(o[0] * grey > o[0] * o[1], y > 0))
    return _iou(best[0] * grey_test > best[0] * best[1], y_test > 0)


def _iou(predicted: np.ndarray, true: np.ndarray) -> float:
    return float((predicted & true).sum() / max((predicted | true).sum(), 1))
