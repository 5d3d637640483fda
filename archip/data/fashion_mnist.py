"""Fashion-MNIST: 70,000 grey images of clothes, 28 x 28, in 10 classes.

Choose it for a first serious image task: MNIST's size, but not solved by everything.
Source: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747 (MIT licence). Read from `fashion_mnist.npz` in the data folder,
from the official idx files (`archip data get fashion_mnist`), or from Debian's package dataset-fashion-mnist.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archip.data._cache import Download, Official, find_file, find_official, missing
from archip.data._dataset import Adapter
from archip.data._formats import read_idx, read_npz
from archip.data._raw import Raw

__all__ = ["FashionMnist"]

_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass
class FashionMnist(Adapter):
    """Fashion-MNIST with its official test split."""

    how: ClassVar[str] = "archip data get fashion_mnist"
    official: ClassVar[Official] = Official(
        (  # in the order of _KEYS; the authors publish MD5 only
            Download(_URL + "train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26421880),
            Download(_URL + "train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe", 29515),
            Download(_URL + "t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79", 4422102),
            Download(_URL + "t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310", 5148),
        )
    )

    @classmethod
    def place(cls) -> str:
        debian = _DEBIAN if _DEBIAN.is_dir() else ""
        return str(find_file("fashion_mnist.npz") or find_official("fashion_mnist", cls.official) or debian)

    def read(self) -> Raw:
        if not (found := self.place()):
            raise missing("fashion_mnist.npz", self.how)
        path = Path(found)
        if path.suffix == ".npz":
            x, y, x_test, y_test = read_npz(path, _KEYS)
        else:
            x, y, x_test, y_test = (read_idx(path / file) for file in self.official.files)
        return Raw(
            name="fashion_mnist",
            task="classification",
            axes="NCHW",
            x=x[:, None],
            y=y,
            test=(x_test[:, None], y_test),
            classes=("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
            where=found,
            source=f"Fashion-MNIST, arXiv:1708.07747 ({path.name})",
            names=_KEYS,
        )
