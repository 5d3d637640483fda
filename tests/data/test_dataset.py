from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.data import _dataset
from archip.data._dataset import channel_statistics, make_dataset
from archip.data._raw import Raw


def raw(**changes: object) -> Raw:
    """Sixty series of 2 channels in 3 classes; channel 1 is 1000 times larger and far from zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2, 5)) * [[1.0], [1000.0]] + [[0.0], [1e6]]
    base = Raw(
        name="toy",
        task="classification",
        axes="NCL",
        x=x,
        y=np.arange(60) % 3,
        classes=("a", "b", "c"),
        where="toy.npz",
        source="a test",
        test=0.2,
    )
    return dataclasses.replace(base, **changes)


def masks_raw(**changes: object) -> Raw:
    rng = np.random.default_rng(0)
    images = {"task": "segmentation", "axes": "NCHW", "x": rng.random((20, 3, 4, 6)), "y": rng.random((20, 4, 6)) > 0.7}
    return raw(**(images | {"classes": ("background", "thing")} | changes))


def test_splits_are_disjoint_complete_and_stratified():
    given = raw(x=np.arange(60.0).reshape(60, 1, 1).repeat(2, axis=2))
    splits = make_dataset(given).splits
    assert {s: len(x) for s, (x, _) in splits.items()} == {"train": 38, "val": 10, "test": 12}
    assert len(np.unique(np.concatenate([x[:, 0, 0] for x, _ in splits.values()]))) == 60
    assert np.bincount(splits["test"][1]).tolist() == [4, 4, 4]
    assert sorted(np.bincount(splits["val"][1])) == [3, 3, 4]


def test_types_and_shapes():
    data = make_dataset(raw())
    assert (data.input_shape, data.n_outputs, data.n_classes) == ((2, 5), 3, 3)
    assert {x.dtype for x, _ in data.splits.values()} == {np.dtype(np.float32)}
    assert {y.dtype for _, y in data.splits.values()} == {np.dtype(np.int64)}
    masks = make_dataset(masks_raw())
    assert (masks.input_shape, masks.n_outputs, masks.n_classes) == ((3, 4, 6), 1, 2)
    assert masks.splits["test"][1].dtype == np.uint8
    assert masks.splits["test"][1].shape == (4, 4, 6)


def test_normalisation_uses_the_training_split_only():
    test = (np.full((3, 2, 5), 1e9), np.array([0, 1, 2]))
    data = make_dataset(raw(test=test))
    assert data.mean == pytest.approx(make_dataset(raw(test=(test[0] * 0, test[1]))).mean)
    x = data.splits["train"][0].astype(float)
    np.testing.assert_allclose(x.mean((0, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std((0, 2)), 1, atol=1e-6)
    assert abs(data.splits["val"][0].mean()) > 1e-4


def test_small_deviations_around_a_large_mean_survive():
    # As float32, 1e9 + {0, 1} is one number; the statistics and the subtraction are float64.
    x = 1e9 + (np.arange(60) % 3 == 0).astype(float).reshape(60, 1, 1)
    values = np.unique(make_dataset(raw(x=x)).splits["train"][0])
    assert len(values) == 2


def test_statistics_agree_with_numpy_when_read_in_pieces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_dataset, "_CHUNK_BYTES", 700)
    x = raw().x
    rows = np.array([0, 3, 5, 8, 13, 21, 34, 55])
    mean, std = channel_statistics(x, rows)
    np.testing.assert_allclose(mean, x[rows].mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, x[rows].std((0, 2)), rtol=1e-9)


def test_constant_channel_becomes_zero():
    x = raw().x.copy()
    x[:, 0] = 7.0
    assert not make_dataset(raw(x=x)).splits["val"][0][:, 0].any()


def test_official_test_samples_are_kept_in_order():
    marks = np.arange(60) >= 45
    by_mark, by_array = raw(test=marks), raw(x=raw().x[:45], y=raw().y[:45], test=(raw().x[45:], raw().y[45:]))
    a, b = make_dataset(by_mark), make_dataset(by_array)
    assert a.digest == b.digest
    np.testing.assert_array_equal(a.splits["test"][0], b.splits["test"][0])
    np.testing.assert_array_equal(a.splits["test"][1], raw().y[45:])


def test_limit_cuts_training_only():
    data = make_dataset(raw(), limit=9)
    full = make_dataset(raw())
    assert np.bincount(data.splits["train"][1]).tolist() == [3, 3, 3]
    np.testing.assert_array_equal(data.splits["val"][1], full.splits["val"][1])
    assert "cut to 9" in data.split_note


def test_digest_is_that_of_the_contents():
    given = raw()
    digest = make_dataset(given).digest
    assert digest == make_dataset(raw(name="other", source="elsewhere")).digest
    changed = given.x.copy()
    changed[59, 1, 4] = np.nextafter(changed[59, 1, 4], np.inf)
    for other in (raw(x=changed), raw(y=np.roll(given.y, 1)), raw(augment=("flip",))):
        assert make_dataset(other).digest != digest
    assert make_dataset(given, seed=1).digest != digest
    assert make_dataset(given, limit=9).digest != digest


def test_digest_is_the_same_on_every_machine():
    # The digest is part of store keys: if this value changes, all stored results of all users are orphaned.
    whole_numbers = (np.arange(600) % 251).astype(np.uint8).reshape(60, 2, 5)
    assert make_dataset(raw(x=whole_numbers)).digest == "47656886e0344574"


def test_strata_are_spread_evenly():
    kinds = (np.arange(20) < 10).astype(int)
    data = make_dataset(masks_raw(test=0.5, strata=kinds, x=np.broadcast_to(kinds[:, None, None, None], (20, 3, 4, 6))))
    assert {s: int((x[:, 0, 0, 0] > 0).sum()) for s, (x, _) in data.splits.items()} == {"train": 4, "val": 1, "test": 5}


def test_describe_names_what_matters():
    text = make_dataset(raw(), limit=30).describe()
    for part in ("toy", "2 x 5", "test      12", "a 4, b 4, c 4", "a test", "cut to 30"):
        assert part in text
    assert "% foreground" in make_dataset(masks_raw()).describe()


def with_value(at: tuple[int, ...], value: float) -> np.ndarray:
    x = raw().x.copy()
    x[at] = value
    return x


BAD: dict[str, tuple[Callable[[], Raw], list[str]]] = {
    "nan": (lambda: raw(x=with_value((17, 1, 3), np.nan)), ["toy.npz", "x[17, 1, 3] = nan", "finite"]),
    "infinite": (lambda: raw(x=with_value((59, 0, 0), -np.inf)), ["x[59, 0, 0] = -inf"]),
    "axes": (lambda: raw(x=np.zeros((60, 5))), ["x has shape (60, 5)", "3 axes (samples, channels, length)"]),
    "lengths": (lambda: raw(y=np.zeros(59, int)), ["x has 60 samples, y has 59"]),
    "text": (lambda: raw(x=np.full((60, 2, 5), "a")), ["x has type <U1", "numbers"]),
    "empty": (lambda: raw(x=np.zeros((0, 2, 5)), y=np.zeros(0, int)), ["x is empty"]),
    "constant": (lambda: raw(x=np.ones((60, 2, 5))), ["same value everywhere"]),
    "negative label": (lambda: raw(y=np.arange(60) % 3 - (np.arange(60) == 5) * 3), ["y[5] = -1", "from 0 to 2"]),
    "high label": (lambda: raw(y=np.arange(60) % 4), ["y[3] = 3 is out of range"]),
    "fractions": (lambda: raw(y=np.arange(60) % 3 + 0.5), ["y[0] = 0.5 is not an integer"]),
    "nan label": (lambda: raw(y=np.where(np.arange(60) == 9, np.nan, 0)), ["y[9] = nan is not an integer"]),
    "one-hot": (lambda: raw(y=np.eye(3)[np.arange(60) % 3]), ["y has shape (60, 3)", "argmax"]),
    "text labels": (lambda: raw(y=np.array(["a", "b", "c"] * 20)), ["y has type <U1", "class numbers"]),
    "gap": (lambda: raw(classes=("a", "b", "c", "d")), ["no training sample of class 'd'", "without gaps"]),
    "test shape": (lambda: raw(test=(np.zeros((9, 2, 4)), np.zeros(9, int))), ["x_test", "(2, 4)", "(2, 5)"]),
    "test nan": (
        lambda: raw(test=(np.full((9, 2, 5), np.nan), np.zeros(9, int))),
        ["x_test[0, 0, 0] = nan"],
    ),
    "no test": (lambda: raw(test=np.zeros(60, bool)), ["test split is empty"]),
    "all test": (lambda: raw(test=np.ones(60, bool)), ["split is empty"]),
    "no validation": (lambda: raw(x=raw().x[:3], y=raw().y[:3], test=(raw().x, raw().y)), ["val split is empty"]),
    "mask shape": (lambda: masks_raw(y=np.zeros((20, 6, 4))), ["y has shape (20, 6, 4)", "(20, 4, 6)"]),
    "mask values": (lambda: masks_raw(y=np.full((20, 4, 6), 255)), ["y[0, 0, 0] = 255 is neither 0 nor 1"]),
    "empty masks": (lambda: masks_raw(y=np.zeros((20, 4, 6))), ["no mask of y has any foreground"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_with_what_where_and_right(case: str):
    make, parts = BAD[case]
    with pytest.raises(UserError) as caught:
        make_dataset(make())
    for part in ["toy.npz", *parts]:
        assert part in str(caught.value)
    assert caught.value.right


@pytest.mark.parametrize("limit", [2, 39])
def test_impossible_limit(limit: int):
    with pytest.raises(UserError, match=r"from 3 \(one a class\) to 38"):
        make_dataset(raw(), limit=limit)


def test_first_bad_value_is_found_beyond_the_first_piece():
    x = np.zeros((3000, 1, 1))
    x[::2] = 1.0
    x[2500, 0, 0] = np.nan
    with pytest.raises(UserError, match=r"x\[2500, 0, 0\] = nan"):
        make_dataset(raw(x=x, y=np.arange(3000) % 3))
