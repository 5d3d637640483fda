from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from archip.core.registry import create


def test_digits():
    data = create("data", "digits").load()
    assert (data.input_shape, data.axes, data.n_classes, data.augment) == ((1, 8, 8), "NCHW", 10, ())
    assert {s: len(x) for s, (x, _) in data.splits.items()} == {"train": 1150, "val": 288, "test": 359}
    counts = sum(np.bincount(y) for _, y in data.splits.values())
    assert counts.tolist() == np.bincount(load_digits().target).tolist()


def test_values_are_those_of_the_source():
    data = create("data", "digits").load()
    x = np.concatenate([x for x, _ in data.splits.values()]) * data.std[0] + data.mean[0]
    # The first image, a zero, is found again in one of the splits.
    assert np.isclose(x[:, 0], load_digits().images[0], atol=1e-4).all((1, 2)).sum() == 1


def test_seed_moves_samples_between_splits():
    a, b, c = (create("data", "digits", {"seed": s}).load() for s in (0, 0, 1))
    assert a.digest == b.digest
    assert a.digest != c.digest
    np.testing.assert_array_equal(a.splits["val"][0], b.splits["val"][0])
