"""Handwritten digits of scikit-learn: 1,797 grey images of 8 x 8 in 10 classes.

Choose it to try things: it is always there, and a network learns it in seconds.
Source: UCI ML hand-written digits (Alpaydin and Kaynak 1998), the copy that scikit-learn ships.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archip.data._dataset import Adapter, Share
from archip.data._raw import Raw

__all__ = ["Digits"]


@dataclass
class Digits(Adapter):
    """`sklearn.datasets.load_digits`; it has no official test split."""

    test: Share = 0.2  # share of all samples

    how: ClassVar[str] = "comes with archip"

    @classmethod
    def place(cls) -> str:
        return "scikit-learn"

    def read(self) -> Raw:
        from sklearn.datasets import load_digits  # takes most of a second to import

        x, y = load_digits(return_X_y=True)
        return Raw(
            name="digits",
            task="classification",
            axes="NCHW",
            x=np.reshape(x, (-1, 1, 8, 8)),
            y=np.asarray(y),
            classes=tuple("0123456789"),
            where="sklearn.datasets.load_digits",
            source="UCI hand-written digits, shipped by scikit-learn",
            test=self.test,
        )
