from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.registry import create

RNG = np.random.default_rng(0)
Y = np.arange(30) % 3


def load(path: Path, **options: object):
    return create("data", "npz", {"path": str(path), **options}).load()


@pytest.fixture
def saved(tmp_path: Path):
    def save(**arrays: np.ndarray) -> Path:
        np.savez(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz"

    return save


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((30, 7), None, (1, 7)),
        ((30, 7, 8, 3), None, (3, 7, 8)),
        ((30, 3, 7, 8), None, (3, 7, 8)),
        ((30, 3, 7, 3), "NHWC", (3, 3, 7)),
        ((30, 7, 8), "NHW", (1, 7, 8)),
        ((30, 7, 8), "NCL", (7, 8)),
        ((30, 7, 8), "NLC", (8, 7)),
    ],
)
def test_axes(saved, shape: tuple[int, ...], axes: str | None, expected: tuple[int, ...]):
    data = load(saved(x=RNG.random(shape), y=Y), **({"axes": axes} if axes else {}))
    assert data.input_shape == expected
    assert data.axes == ("NCL" if len(expected) == 2 else "NCHW")


@pytest.mark.parametrize("shape", [(30, 7, 8), (30, 3, 7, 3), (30, 5, 7, 8)])
def test_unclear_axes_are_refused(saved, shape: tuple[int, ...]):
    with pytest.raises(UserError, match=r"axes: what the axes of x \(30, .* mean is not clear \(NCHW"):
        load(saved(x=RNG.random(shape), y=Y))


def test_three_ways_to_a_test_split(saved):
    x = RNG.random((30, 7))
    path = saved(x=x, y=Y, part=np.arange(30) // 20, xt=x[20:], yt=Y[20:], short=np.zeros(3))
    marked = load(path, split="part")
    assert [len(y) for _, y in marked.splits.values()] == [16, 4, 10]
    assert [len(y) for _, y in load(path, test=0.5).splits.values()] == [12, 3, 15]
    separate = load(path, x_test="xt", y_test="yt")
    np.testing.assert_array_equal(separate.splits["test"][1], Y[20:])
    with pytest.raises(UserError, match="more than one way"):
        load(path, split="part", test=0.5)
    with pytest.raises(UserError, match="give both or none"):
        load(path, x_test="xt")
    with pytest.raises(UserError, match=r"short has shape \(3,\)"):
        load(path, split="short")


def test_labels_as_text_and_as_whole_floats(saved):
    x = RNG.random((30, 7))
    assert load(saved(x=x, y=np.array(["c", "a", "b"])[Y])).classes == ("a", "b", "c")
    assert load(saved(x=x, y=Y.astype(float))).classes == ("0", "1", "2")


def test_masks(saved):
    masks = RNG.random((30, 8, 8)) > 0.5
    data = load(saved(x=RNG.random((30, 8, 8, 3)), y=masks), task="segmentation")
    assert (data.input_shape, data.n_outputs, data.splits["val"][1].shape) == ((3, 8, 8), 1, (5, 8, 8))


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x": RNG.random((30, 7))}, {}, r"has no array 'y'"),
        ({"x": RNG.random((30, 7)), "y": Y}, {"axes": "NCL"}, r"x has shape \(30, 7\) \(3 axes: NCL\)"),
        (
            {"x": RNG.random((30, 7)), "y": Y},
            {"n_classes": 2},
            r"y\[2\] = 2 is out of range \(class numbers from 0 to 1",
        ),
        ({"x": RNG.random((30, 7)), "y": Y}, {"n_classes": 4}, "no training sample of class '3'"),
        ({"x": RNG.random((30, 7)), "y": Y * 2}, {}, "no training sample of class '1', '3'"),
        ({"x": RNG.random((30, 7)), "y": Y - 1}, {}, r"y\[0\] = -1 is out of range"),
        ({"x": RNG.random((30, 7)), "y": Y - 9}, {}, r"y\[0\] = -9 is out of range"),
        ({"x": RNG.random((30, 7)), "y": np.full(30, np.nan)}, {}, r"y\[0\] = nan is not an integer"),
        ({"x": RNG.random((30, 7)), "y": Y[:29]}, {}, "x has 30 samples, y has 29"),
        ({"x": RNG.random((0, 7)), "y": Y[:0]}, {}, "x is empty"),
        ({"x": RNG.random((30, 7)), "y": Y}, {"task": "segmentation", "n_classes": 2}, "no classes to count"),
    ],
)
def test_bad_input(saved, arrays: dict, options: dict, message: str):
    with pytest.raises(UserError, match=message):
        load(saved(**arrays), **options)


def test_file_that_is_missing_or_not_npz(tmp_path: Path):
    with pytest.raises(UserError, match=r"nothing.npz does not exist"):
        load(tmp_path / "nothing.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match=r"text.npz: cannot be read"):
        load(tmp_path / "text.npz")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path)
