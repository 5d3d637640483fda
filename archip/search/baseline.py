"""Baselines of a task that need no search: what a network has to beat to be worth its silicon.

Classification: a ridge classifier on the flattened inputs. Segmentation: the best single threshold on the
channel mean, chosen on the train split. Both are fitted on the train split and scored on the test split.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["task_baseline"]


def task_baseline(data: Any) -> tuple[str, float]:
    """(what it is, its test score in the task's own metric)."""
    if data.task == "segmentation":
        return "best threshold on the channel mean", _threshold_iou(data)
    from sklearn.linear_model import RidgeClassifier

    (x, y), (x_test, y_test) = data.splits["train"], data.splits["test"]
    model = RidgeClassifier(alpha=x[0].size).fit(x.reshape(len(x), -1), y)
    return "ridge classifier on the raw inputs", float(model.score(x_test.reshape(len(x_test), -1), y_test))


def _threshold_iou(data: Any) -> float:
    """Foreground may be the brighter or the darker side; 64 thresholds between the extremes of the train split."""
    (x, y), (x_test, y_test) = data.splits["train"], data.splits["test"]
    grey, grey_test = x.mean(1), x_test.mean(1)
    options = [(sign, t) for sign in (1, -1) for t in np.linspace(grey.min(), grey.max(), 64)]
    best = max(options, key=lambda o: _iou(o[0] * grey > o[0] * o[1], y > 0))
    return _iou(best[0] * grey_test > best[0] * best[1], y_test > 0)


def _iou(predicted: np.ndarray, true: np.ndarray) -> float:
    return float((predicted & true).sum() / max((predicted | true).sum(), 1))
