from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.registry import create
from archip.data.fashion_mnist import FashionMnist


def write_idx(folder: Path) -> tuple[np.ndarray, ...]:
    """A tiny Fashion-MNIST in the official format: 4 + 2 images of each class."""
    rng = np.random.default_rng(0)
    arrays = []
    for n in (4, 2):
        arrays += [rng.integers(0, 256, (10 * n, 28, 28), np.uint8), np.tile(np.arange(10, dtype=np.uint8), n)]
    folder.mkdir(parents=True)
    for file, array in zip(FashionMnist.official.files, arrays, strict=True):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (folder / file).write_bytes(gzip.compress(header + array.tobytes()))
    return tuple(arrays)


@pytest.mark.parametrize("place", ["downloaded", "debian"])
def test_official_files(data_folder: Path, monkeypatch: pytest.MonkeyPatch, place: str):
    folder = data_folder / "fashion_mnist" if place == "downloaded" else data_folder.parent / "debian"
    monkeypatch.setattr("archip.data.fashion_mnist._DEBIAN", data_folder.parent / "debian")
    *_, x_test, y_test = write_idx(folder)
    assert FashionMnist.place() == str(folder)
    data = create("data", "fashion_mnist", {"val": 0.25}).load()
    assert {s: len(x) for s, (x, _) in data.splits.items()} == {"train": 30, "val": 10, "test": 20}
    np.testing.assert_array_equal(data.splits["test"][1], y_test)
    restored = data.splits["test"][0][:, 0] * data.std[0] + data.mean[0]
    np.testing.assert_array_equal(np.rint(restored), x_test)


def test_damaged_file_is_named(data_folder: Path):
    write_idx(data_folder / "fashion_mnist")
    (data_folder / "fashion_mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"fashion_mnist/t10k-labels-idx1-ubyte.gz: cannot be read"):
        create("data", "fashion_mnist").load()


def test_facts(shared_data: Path):
    data = create("data", "fashion_mnist", {"val": 0.1}).load()
    assert [np.bincount(y).tolist() for _, y in data.splits.values()] == [[5400] * 10, [600] * 10, [1000] * 10]
    # Over all 60,000 training images: mean .28604, deviation .35302.
    x = np.concatenate([data.splits["train"][0], data.splits["val"][0]]) * data.std[0] + data.mean[0]
    assert x.mean(dtype=np.float64) / 255 == pytest.approx(0.28604, abs=1e-5)
    assert x.std(dtype=np.float64) / 255 == pytest.approx(0.35302, abs=1e-5)
