"""Made-up data of any size and shape: waves that differ by class, or discs to be outlined; for trials and tests.

Choose it to try a problem file or a method in seconds. Both tasks can be learnt nearly perfectly by a small network,
and not at all by looking at the mean of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from archip.core.errors import UserError
from archip.core.rng import generator
from archip.data._dataset import Adapter, Count, Share
from archip.data._raw import Axes, Raw, TaskKind

__all__ = ["Synthetic"]


@dataclass
class Synthetic(Adapter):
    """Waves with a random phase (the class is the frequency), or discs of a random place and size, in noise."""

    task: TaskKind = "classification"  # segmentation: masks of the discs
    axes: Axes = "NCHW"  # NCHW: images; NCL: series
    n_samples: Annotated[int, Field(ge=10)] = 200  # in all
    n_classes: Annotated[int, Field(ge=2)] | None = None  # of classification; None: 3
    channels: Count = 1  # of an image or a series
    size: Annotated[int, Field(ge=8)] = 16  # pixels of an edge, or samples of a series
    noise: Annotated[float, Field(ge=0)] = 0.3  # standard deviation; the signal's amplitude is 1
    test: Share = 0.2  # share of all samples

    how: ClassVar[str] = "comes with archip"

    @classmethod
    def place(cls) -> str:
        return "made on demand"

    def read(self) -> Raw:
        rng = generator(self.seed, "synthetic")
        if self.task == "classification":
            n_classes = self.n_classes or 3
            if n_classes > self.size // 4:
                raise UserError(f"{n_classes} frequencies cannot be told apart", "n_classes", "at most size / 4")
            classes = tuple(map(str, range(n_classes)))
            x, y = self._waves(n_classes, rng)
        else:
            if self.axes == "NCL" or self.n_classes is not None:
                raise UserError("segmentation is for images with one kind of disc", right="leave axes, n_classes out")
            classes = ("background", "disc")
            x, y = self._discs(rng)
        x = x + self.noise * rng.standard_normal(x.shape)
        return Raw(
            name="synthetic",
            task=self.task,
            axes=self.axes,
            x=x.astype(np.float32),
            y=y,
            classes=classes,
            where="synthetic",
            source="made up by archip",
            test=self.test,
        )

    def _waves(self, n_classes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(self.n_samples) % n_classes
        turns = (y[:, None] + 1) * np.arange(self.size) / self.size  # [N, size]
        phase = rng.random((self.n_samples, self.channels, 1))
        x = np.sin(2 * np.pi * (turns[:, None] + phase))  # [N, C, size]
        return (x if self.axes == "NCL" else np.repeat(x[..., None], self.size, axis=-1)), y

    def _discs(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        centre = rng.uniform(0.25, 0.75, (2, self.n_samples, 1, 1)) * self.size
        radius = rng.uniform(0.15, 0.3, (self.n_samples, 1, 1)) * self.size
        rows, columns = np.mgrid[: self.size, : self.size]
        y = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        return np.repeat(y[:, None].astype(float), self.channels, axis=1), y
