"""CIFAR-10: colour photographs of 32 x 32 in 10 classes, in full (60,000) or the 12,000 of `cifar10_12k.npz`.

Choose it as the usual yardstick of architecture search; the small set for a machine without an accelerator.
Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images". The full set is read from the
official binary version (`archip data get cifar10`), never from its pickles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from archip.data._cache import Download, Official, find_file, find_official, missing
from archip.data._dataset import Adapter
from archip.data._formats import read_cifar_batch, read_npz
from archip.data._raw import Raw

__all__ = ["Cifar10"]

_SMALL = "cifar10_12k.npz"
_FOLDER = "cifar-10-batches-bin/"
_KEYS = ("x_train", "y_train", "x_test", "y_test")
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass
class Cifar10(Adapter):
    """CIFAR-10 with its official test split (a stratified part of it in the small set)."""

    subset: Literal["12k", "full"] | None = None  # None: the small set where it is at hand, otherwise the full one

    how: ClassVar[str] = "archip data get cifar10"
    official: ClassVar[Official] = Official(
        (
            Download(
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170052171,
            ),
        ),
        members=(*(f"{_FOLDER}data_batch_{i}.bin" for i in range(1, 6)), f"{_FOLDER}test_batch.bin"),
    )

    @classmethod
    def place(cls) -> str:
        return str(find_file(_SMALL) or find_official("cifar10", cls.official) or "")

    def read(self) -> Raw:
        path = self._path()
        x, y, x_test, y_test = _small(path) if path.suffix == ".npz" else _full(path, self.official.files)
        return Raw(
            name="cifar10",
            task="classification",
            axes="NCHW",
            x=x,
            y=y,
            test=(x_test, y_test),
            classes=_CLASSES,
            where=str(path),
            source=f"CIFAR-10, Krizhevsky 2009 ({path.name})",
            augment=("flip", "crop"),
            names=_KEYS,
        )

    def _path(self) -> Path:
        small = find_file(_SMALL) if self.subset != "full" else None
        path = small or (find_official("cifar10", self.official) if self.subset != "12k" else None)
        if path is None and self.subset == "12k":
            raise missing(_SMALL, f"put {_SMALL} into the data folder, or leave out subset: 12k")
        if path is None:
            raise missing(f"cifar10/{self.official.files[0]}", self.how)
        return path


def _small(path: Path) -> list[np.ndarray]:
    x, y, x_test, y_test = read_npz(path, _KEYS)
    return [np.moveaxis(x, -1, 1), y, np.moveaxis(x_test, -1, 1), y_test]


def _full(folder: Path, files: tuple[str, ...]) -> list[np.ndarray]:
    *train, test = (read_cifar_batch(folder / file) for file in files)
    return [*(np.concatenate(parts) for parts in zip(*train, strict=True)), *test]
