from __future__ import annotations

import numpy as np
import pytest

from archip.data._raw import encode_labels


@pytest.mark.parametrize(
    ("labels", "codes", "classes"),
    [
        (["walk", "run", "walk"], [1, 0, 1], ("run", "walk")),
        (["10", "9", "2", "10"], [2, 1, 0, 2], ("2", "9", "10")),  # as numbers, not as text
        (["-1", "1", "-1"], [0, 1, 0], ("-1", "1")),
        (["2", "10", "x"], [1, 0, 2], ("10", "2", "x")),
    ],
)
def test_classes_are_ordered(labels: list[str], codes: list[int], classes: tuple[str, ...]):
    y, names = encode_labels(np.array(labels))
    assert (y.tolist(), names) == (codes, classes)
