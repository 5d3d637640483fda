"""A time series classification set of the UCR/UEA archive, by name: BasicMotions, GunPoint, JapaneseVowels, …

Choose it for sensors and signals, with `conv1d` networks. Sets that the package aeon ships need no file; the others are
read from `timeseries.npz` or from `NAME/NAME_TRAIN.ts` and `NAME/NAME_TEST.ts` in the data folder.
Source: Dau et al. 2019, arXiv:1810.07758; Bagnall et al. 2018, arXiv:1811.00075; package aeon. Official splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np

from archip.core.errors import MissingExtra, UserError, nearest
from archip.data._cache import find_file
from archip.data._dataset import Adapter
from archip.data._formats import npz_names, read_npz
from archip.data._raw import Raw, encode_labels

__all__ = ["Timeseries"]


@dataclass
class Timeseries(Adapter):
    """One set of the archive; several channels are possible, all series of one length."""

    name: str = "BasicMotions"  # of the set in the archive

    how: ClassVar[str] = "pip install 'archip[data]'"

    @classmethod
    def place(cls) -> str:
        return "aeon" if find_spec("aeon") else str(find_file("timeseries.npz") or "")

    def read(self) -> Raw:
        folder, npz = _series_folder(self.name), find_file("timeseries.npz")
        if folder is not None:
            x, y, x_test, y_test = _from_ts_files(self.name, folder)
        elif npz is not None and self.name in _names_in(npz):
            *arrays, names = read_npz(npz, [f"{self.name}_{k}" for k in (*_KEYS, "classes")])
            x, y, x_test, y_test = arrays[0], names[arrays[1]], arrays[2], names[arrays[3]]
        else:
            raise _unknown(self.name, npz)
        codes, classes = encode_labels(np.concatenate([y, y_test]))
        return Raw(
            name=self.name,
            task="classification",
            axes="NCL",
            x=x.astype(np.float32),
            y=codes[: len(y)],
            test=(x_test.astype(np.float32), codes[len(y) :]),
            classes=classes,
            where=str(folder or npz),
            source=f"{self.name}, UCR/UEA time series classification archive",
            names=_KEYS,
        )


_KEYS = ("x_train", "y_train", "x_test", "y_test")


def _packaged() -> Path | None:
    """The folder in which aeon ships its series; found without importing aeon, which takes seconds."""
    spec = find_spec("aeon")
    return Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None


def _series_folder(name: str) -> Path | None:
    """The folder `name` with its .ts files: aeon's own, or one in the data folders."""
    packaged = _packaged()
    places = [packaged / name if packaged else None, find_file(name)]
    return next((p for p in places if p and (p / f"{name}_TRAIN.ts").is_file()), None)


def _from_ts_files(name: str, folder: Path) -> list[np.ndarray]:
    try:
        from aeon.datasets import load_from_ts_file
    except ImportError:
        raise MissingExtra("aeon", "data", f"the data set timeseries: {name}") from None
    equal = "_eq" if (folder / f"{name}_eq_TRAIN.ts").is_file() else ""  # the archive's version of equal length
    arrays: list[np.ndarray] = []
    for split in ("TRAIN", "TEST"):
        path = folder / f"{name}{equal}_{split}.ts"
        try:
            x, y = load_from_ts_file(str(path))[:2]
        except (OSError, ValueError, IndexError) as error:
            raise UserError(f"cannot be read: {error}", str(path), "a .ts file of the archive") from None
        if isinstance(x, list):
            lengths = sorted({series.shape[1] for series in x})
            text = f"has series of unequal length, {lengths[0]} to {lengths[-1]}"
            raise UserError(text, str(path), "series of one length; pad or cut them")
        arrays += [x, y]
    return arrays


def _names_in(npz: Path) -> list[str]:
    return [key.removesuffix("_x_train") for key in npz_names(npz) if key.endswith("_x_train")]


def _unknown(name: str, npz: Path | None) -> UserError:
    packaged = _packaged()
    shipped = [p.parent.name for p in packaged.glob("*/*_TRAIN.ts")] if packaged else []
    known = {*shipped, *(_names_in(npz) if npz else [])}
    if not known:
        return MissingExtra("aeon", "data", f"the data set timeseries: {name}")
    right = f"{nearest(name, known)}; other sets: put {name}_TRAIN.ts and {name}_TEST.ts into the data folder's {name}/"
    return UserError(f"no time series set is called {name!r}", "name", right)
