from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archip.core.registry import create


def test_facts(shared_data: Path):
    data = create("data", "fsdd").load()
    assert (data.axes, data.input_shape) == ("NCL", (40, 64))
    assert [np.bincount(y).tolist() for _, y in data.splits.values()] == [[216] * 10, [54] * 10, [30] * 10]
    assert create("data", "fsdd", {"axes": "NCHW"}).load().input_shape == (1, 40, 64)


def test_a_linear_model_reaches_the_known_accuracy(shared_data: Path):
    from sklearn.linear_model import RidgeClassifier

    data = create("data", "fsdd", {"val": 0.01}).load()
    (x, y), (x_test, y_test) = data.splits["train"], data.splits["test"]
    model = RidgeClassifier(alpha=1000.0).fit(x.reshape(len(x), -1), y)
    assert model.score(x_test.reshape(len(x_test), -1), y_test) == pytest.approx(0.93, abs=0.02)
