from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archip.core.registry import create
from archip.data.nuclei import _box_mean


def write_tiny(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        folder / "nuclei128.npz",
        images=rng.integers(0, 256, (20, 128, 128, 3), np.uint8),
        masks=(rng.random((20, 128, 128)) > 0.8).astype(np.uint8),
        split=np.repeat([0, 1], [15, 5]).astype(np.uint8),
        is_gray=np.arange(20) % 3 == 0,
    )


@pytest.mark.parametrize("size", [128, 96, 64])
def test_sizes(data_folder: Path, size: int):
    write_tiny(data_folder)
    data = create("data", "nuclei", {"size": size}).load()
    assert (data.input_shape, data.n_outputs, data.augment) == ((3, size, size), 1, ("dihedral",))
    assert {s: y.shape for s, (_, y) in data.splits.items()} == {
        "train": (12, size, size),
        "val": (3, size, size),
        "test": (5, size, size),
    }
    assert set(np.unique(data.splits["train"][1])) <= {0, 1}


def test_halving_is_the_mean_of_four_pixels():
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 128, 128), np.uint8)
    expected = x.reshape(2, 3, 64, 2, 64, 2).mean((3, 5))
    np.testing.assert_array_equal(_box_mean(x, 64), np.rint(expected))


def test_three_quarters_weighs_by_area():
    # A pixel of the smaller image covers 4/3 of a source pixel: all of the first and a third of the second.
    x = np.zeros((1, 128, 128), np.uint8)
    x[0, 0, 0], x[0, 0, 1], x[0, 1, 1] = 160, 32, 96
    small = _box_mean(x, 96)
    assert small[0, 0, 0] == round((160 + 32 / 3 + 96 / 9) / (16 / 9))
    assert small[0, 0, 1] == round((32 * 2 / 3 + 96 * 2 / 9) / (16 / 9))
    assert small[0, 2:, 2:].max() == 0


def test_a_pixel_of_the_mask_is_what_most_of_its_area_is():
    mask = np.zeros((1, 128, 128), np.uint8)
    mask[0, :2, :2] = [[1, 1], [1, 0]]
    mask[0, 2:4, 2:4] = [[1, 0], [0, 0]]
    small = _box_mean(255 * mask, 64) > 127
    assert (small[0, 0, 0], small[0, 1, 1]) == (True, False)


def test_facts(shared_data: Path):
    data = create("data", "nuclei").load()
    sizes = {s: len(x) for s, (x, _) in data.splits.items()}
    assert sizes == {"train": 425, "val": 106, "test": 133}
    foreground = sum(int(y.sum()) for _, y in data.splits.values()) / (664 * 128 * 128)
    assert foreground == pytest.approx(0.143, abs=5e-4)
