from __future__ import annotations

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.registry import create


@pytest.mark.parametrize(
    ("options", "shape", "n_outputs"),
    [
        ({}, (1, 16, 16), 3),
        ({"axes": "NCL", "n_classes": 5, "size": 32, "channels": 2}, (2, 32), 5),
        ({"task": "segmentation", "channels": 3}, (3, 16, 16), 1),
    ],
)
def test_shapes(options: dict, shape: tuple[int, ...], n_outputs: int):
    data = create("data", "synthetic", options).load()
    assert (data.input_shape, data.n_outputs) == (shape, n_outputs)
    assert data.digest == create("data", "synthetic", options).load().digest
    assert data.digest != create("data", "synthetic", options | {"seed": 1}).load().digest


def test_the_class_is_the_frequency():
    data = create("data", "synthetic", {"axes": "NCL", "n_classes": 8, "size": 64}).load()
    x, y = data.splits["train"]
    spectrum = np.abs(np.fft.rfft(x[:, 0]))
    assert (spectrum[:, 1:].argmax(1) == y).all()


def test_discs_are_brighter_than_the_rest():
    x, y = create("data", "synthetic", {"task": "segmentation"}).load().splits["train"]
    bright = x[:, 0] > x.max() / 2 - 1
    assert (bright & (y == 1)).sum() / (bright | (y == 1)).sum() > 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_classes": 5}, "5 frequencies cannot be told apart"),
        ({"task": "segmentation", "axes": "NCL"}, "segmentation is for images"),
        ({"task": "segmentation", "n_classes": 3}, "leave axes, n_classes out"),
    ],
)
def test_impossible_options(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        create("data", "synthetic", options).load()
