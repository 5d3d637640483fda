from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.registry import create
from archip.data.cifar10 import Cifar10


def write_binary(folder: Path) -> np.ndarray:
    """A tiny CIFAR-10 in the official format: 20 images in each of the 6 files; gives all bytes [6, 20, 3073]."""
    rows = np.random.default_rng(0).integers(0, 256, (6, 20, 3073), np.uint8)
    rows[:, :, 0] = np.arange(20) % 10
    folder.mkdir()
    for file, part in zip(Cifar10.official.files, rows, strict=True):
        part.tofile(folder / file)
    return rows


def test_official_binary_files(data_folder: Path):
    rows = write_binary(data_folder / "cifar10")
    data = create("data", "cifar10").load()
    assert (data.input_shape, data.augment) == ((3, 32, 32), ("flip", "crop"))
    assert {s: len(x) for s, (x, _) in data.splits.items()} == {"train": 80, "val": 20, "test": 20}
    restored = data.splits["test"][0] * np.reshape(data.std, (3, 1, 1)) + np.reshape(data.mean, (3, 1, 1))
    np.testing.assert_array_equal(np.rint(restored).reshape(20, -1), rows[5, :, 1:])


def test_an_incomplete_folder_does_not_count(data_folder: Path):
    write_binary(data_folder / "cifar10")
    (data_folder / "cifar10" / "data_batch_3.bin").unlink()
    assert Cifar10.place() == ""
    with pytest.raises(UserError, match="missing"):
        Cifar10().load()


def test_the_asked_subset_is_taken(data_folder: Path):
    write_binary(data_folder / "cifar10")
    rng = np.random.default_rng(1)
    arrays = {
        f"{a}_{s}": rng.integers(0, 256, (30, 32, 32, 3), np.uint8) if a == "x" else np.arange(30) % 10
        for a in "xy"
        for s in ("train", "test")
    }
    np.savez(data_folder / "cifar10_12k.npz", **arrays)
    assert [len(Cifar10(subset=s).load().splits["test"][0]) for s in (None, "12k", "full")] == [30, 30, 20]
    (data_folder / "cifar10_12k.npz").unlink()
    with pytest.raises(UserError, match=r"cifar10_12k.npz is missing"):
        Cifar10(subset="12k").load()


def test_facts_of_the_small_set(shared_data: Path):
    data = create("data", "cifar10", {"subset": "12k"}).load()
    assert [np.bincount(y).tolist() for _, y in data.splits.values()] == [[800] * 10, [200] * 10, [200] * 10]
    # Of the full set: mean .49140 .48216 .44653, deviation .24703 .24349 .26159; the part has them within a percent.
    np.testing.assert_allclose(np.array(data.mean) / 255, [0.49140, 0.48216, 0.44653], rtol=0.01)
    np.testing.assert_allclose(np.array(data.std) / 255, [0.24703, 0.24349, 0.26159], rtol=0.01)


def test_axes_of_the_small_set(shared_data: Path):
    data = create("data", "cifar10", {"subset": "12k"}).load()
    with np.load(shared_data / "cifar10_12k.npz") as file:
        image = file["x_test"][7]
    restored = data.splits["test"][0][7] * np.reshape(data.std, (3, 1, 1)) + np.reshape(data.mean, (3, 1, 1))
    np.testing.assert_array_equal(np.rint(restored).transpose(1, 2, 0), image)
