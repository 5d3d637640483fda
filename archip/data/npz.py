"""Your own arrays in an npz file: images or series with class numbers, class names, or masks.

Choose it when numpy can hold your data. `axes` says what the axes of x mean, e.g. NHWC for images with colour last;
it may be left out for 2 axes (NL) and for 4 axes of which one has length 1, 3 or 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from archip.core.errors import UserError
from archip.data._cache import user_file
from archip.data._dataset import Adapter, Count, Share
from archip.data._formats import read_npz
from archip.data._raw import Raw, TaskKind, encode_labels

__all__ = ["Npz"]

_Layout = Literal["NCHW", "NHWC", "NHW", "NCL", "NLC", "NL"]


@dataclass
class Npz(Adapter):
    """Arrays x and y, with test samples as arrays of their own, marked by an array `split`, or drawn."""

    path: str  # the file
    task: TaskKind = "classification"  # what y holds: classes, or masks
    x: str = "x"  # names of the arrays
    y: str = "y"  # class numbers, class names, or masks
    x_test: str | None = None  # arrays of test samples
    y_test: str | None = None  # both or none
    split: str | None = None  # name of an array [N] that is not 0 for test samples
    test: Share | None = None  # share to draw for test if the file marks none; None: 0.2
    axes: _Layout | None = None  # what the axes of x mean; None: seen from their lengths, where that is possible
    n_classes: Count | None = None  # None: the largest class number + 1

    how: ClassVar[str] = "option path: your file"

    def read(self) -> Raw:
        self._check_options()
        path = user_file(self.path)
        names = [n for n in (self.x, self.y, self.x_test, self.y_test) if n is not None]
        arrays = read_npz(path, names)
        labels, classes = self._classes(arrays[1::2])
        images = [_channels_first(x, self._layout(x, name)) for x, name in zip(arrays[::2], names[::2], strict=True)]
        return Raw(
            name=path.stem,
            task=self.task,
            axes="NCL" if images[0].ndim == 3 else "NCHW",
            x=images[0],
            y=labels[0],
            test=(images[1], labels[1]) if self.x_test else self._marked(len(labels[0])),
            classes=classes,
            where=str(path),
            source=str(path),
            names=tuple(names),
        )

    def _check_options(self) -> None:
        if (self.x_test is None) != (self.y_test is None):
            raise UserError("one of x_test and y_test is given", "x_test", "give both or none")
        if sum(option is not None for option in (self.x_test, self.split, self.test)) > 1:
            raise UserError("more than one way to the test samples is given", right="one of x_test, split and test")
        if self.n_classes is not None and self.task == "segmentation":
            raise UserError("segmentation has no classes to count", "n_classes", "leave the option out")

    def _layout(self, x: np.ndarray, name: str) -> str:
        if self.axes is not None:
            if x.ndim != len(self.axes):
                raise UserError(f"{name} has shape {x.shape}", self.path, f"{len(self.axes)} axes: {self.axes}")
            return self.axes
        first, last = (x.shape[1] in (1, 3, 4), x.shape[3] in (1, 3, 4)) if x.ndim == 4 else (False, False)
        if x.ndim == 2 or first != last:
            return "NL" if x.ndim == 2 else "NCHW" if first else "NHWC"
        raise UserError(
            f"what the axes of {name} {x.shape} mean is not clear", "axes", "NCHW, NHWC, NHW, NCL, NLC or NL"
        )

    def _classes(self, labels: list[np.ndarray]) -> tuple[list[np.ndarray], tuple[str, ...]]:
        if self.task == "segmentation":
            return labels, ("background", "foreground")
        if labels[0].dtype.kind in "US":
            codes, classes = encode_labels(np.concatenate(labels))
            return np.split(codes, [len(labels[0])])[: len(labels)], classes
        highest = max((float(y.max()) for y in labels if y.size and y.dtype.kind in "biuf"), default=0.0)
        n_classes = self.n_classes or (int(highest) + 1 if 0 <= highest < 1e6 else 1)
        return labels, tuple(map(str, range(n_classes)))

    def _marked(self, n: int) -> np.ndarray | float:
        if self.split is None:
            return self.test or 0.2
        path = user_file(self.path)
        (marks,) = read_npz(path, [self.split])
        if marks.shape != (n,):
            raise UserError(f"{self.split} has shape {marks.shape}", str(path), f"({n},): one mark for each sample")
        return marks != 0


def _channels_first(x: np.ndarray, layout: str) -> np.ndarray:
    """The array as NCHW or NCL, a channel axis added where there is none."""
    if "C" not in layout:
        return x[:, None]
    return np.moveaxis(x, layout.index("C"), 1)
