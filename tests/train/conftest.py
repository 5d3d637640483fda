"""A small data set of each task, and a small network for each."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.core.rng import generator  # noqa: E402
from archip.data._dataset import DataSet  # noqa: E402


def blobs(n: int, seed: int, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Images of noise with a bright left or right half: class 0 or 1."""
    rng = generator(seed, "blobs")
    x, y = rng.normal(size=(n, 1, size, size)).astype(np.float32), rng.integers(2, size=n)
    x[np.arange(n), 0, :, :] += np.where(np.arange(size)[None, None] // (size // 2) == y[:, None, None], 1.0, -1.0)
    return x, y


@pytest.fixture
def images() -> DataSet:
    splits = {"train": blobs(48, 0), "val": blobs(16, 1), "test": blobs(16, 2)}
    return DataSet("blobs", "classification", "NCHW", 2, splits, digest="blobs")


@pytest.fixture
def masks() -> DataSet:
    """Segmentation: the foreground is where the image is positive."""
    x = {s: blobs(n, i)[0] for i, (s, n) in enumerate((("train", 24), ("val", 8), ("test", 8)))}
    splits = {s: (v, (v[:, 0] > 0).astype(np.uint8)) for s, v in x.items()}
    return DataSet("masks", "segmentation", "NCHW", 2, splits, augment=("dihedral",), digest="masks")


@pytest.fixture
def small_net():
    """Makes a convolution, batch norm and dropout, then a head for the task."""

    def make(task: str = "classification", seed: int = 0) -> nn.Module:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            body = [nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1)]
            if task == "segmentation":
                return nn.Sequential(*body, nn.Conv2d(4, 1, 1))
            return nn.Sequential(*body, nn.Flatten(), nn.Linear(4 * 64, 2))

    return make
