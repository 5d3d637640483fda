"""Spoken digits: 3,000 recordings of 6 speakers as log-mel spectra of 40 bands and 64 frames, 10 classes.

Choose it for small audio: as a series with 40 channels (`conv1d`), or as a grey image of 40 x 64 (`axes: NCHW`).
Source: Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0); read from `fsdd_logmel.npz` in the data folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archip.data._cache import find_file, missing
from archip.data._dataset import Adapter
from archip.data._formats import read_npz
from archip.data._raw import Axes, Raw

__all__ = ["Fsdd"]

_FILE = "fsdd_logmel.npz"


@dataclass
class Fsdd(Adapter):
    """Free spoken digit data set with its official test split (the first takes of each speaker)."""

    axes: Axes = "NCL"  # NCL: a series of spectra; NCHW: an image of one channel

    how: ClassVar[str] = f"put {_FILE} into the data folder"

    @classmethod
    def place(cls) -> str:
        return str(find_file(_FILE) or "")

    def read(self) -> Raw:
        path = find_file(_FILE)
        if path is None:
            raise missing(_FILE, self.how)
        x, y, split = read_npz(path, ("x", "y", "split"))  # x: log energies as bytes; the scale is normalised away
        return Raw(
            name="fsdd",
            task="classification",
            axes=self.axes,
            x=x if self.axes == "NCL" else x[:, None],
            y=y,
            classes=tuple("0123456789"),
            where=str(path),
            source="free-spoken-digit-dataset (CC BY-SA 4.0), log-mel spectra",
            test=split == 1,
        )
