"""Your own table: a CSV file with a header, columns of numbers, and a column with the class.

Choose `layout: series` when a row is one signal (the columns are its samples in order), `layout: channels` when the
columns are unlike things (each is then normalised by itself).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from archip.core.errors import UserError, nearest
from archip.data._cache import user_file
from archip.data._dataset import Adapter, Share
from archip.data._formats import read_csv
from archip.data._raw import Raw, encode_labels

__all__ = ["Csv"]


@dataclass
class Csv(Adapter):
    """Rows of a table as inputs of shape (1, columns) or (columns, 1)."""

    path: str  # the file
    label: str  # name of the column with the class
    features: list[str] | None = None  # names of the columns to learn from; None: all others
    layout: Literal["series", "channels"] = "series"  # or columns that are unlike things
    delimiter: str = ","  # between columns
    test: Share = 0.2  # share of all rows

    how: ClassVar[str] = "option path: your file"

    def read(self) -> Raw:
        path = user_file(self.path)
        header, rows = read_csv(path, self.delimiter)
        columns = self._columns(header, path)
        labels = [row[header.index(self.label)].strip() for _, row in rows]
        y, classes = encode_labels(self._checked(labels, [line for line, _ in rows], path))
        values = np.array([_numbers(row, line, columns, header, path) for line, row in rows])
        return Raw(
            name=path.stem,
            task="classification",
            axes="NCL",
            x=values[:, None, :] if self.layout == "series" else values[:, :, None],
            y=y,
            classes=classes,
            where=str(path),
            source=str(path),
            test=self.test,
            names=("the feature columns", f"column {self.label}"),
        )

    def _columns(self, header: list[str], path: Path) -> list[int]:
        features = self.features if self.features is not None else [c for c in header if c != self.label]
        for name in (self.label, *features):
            if name not in header:
                raise UserError(f"has no column {name!r}", str(path), nearest(name, header))
        if not features or self.label in features:
            right = "at least one column, and not the label"
            raise UserError(f"the features are {features}", "features", right)
        return [header.index(name) for name in features]

    def _checked(self, labels: list[str], lines: list[int], path: Path) -> np.ndarray:
        """The labels, refused if one is empty or if they look like measurements."""
        where = f"column {self.label!r}"
        if "" in labels:
            text = f"line {lines[labels.index('')]}, {where} is empty"
            raise UserError(text, str(path), "a class in every row")
        numbers = [_number(label) for label in labels]
        if None not in numbers and any(n is not None and n != math.floor(n) for n in numbers):
            right = "classes: names or whole numbers"
            raise UserError(f"{where} holds fractions such as {max(labels, key=len)}", str(path), right)
        return np.array(labels)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _numbers(row: list[str], line: int, columns: list[int], header: list[str], path: Path) -> list[float]:
    values = []
    for column in columns:
        value = _number(row[column])
        if value is None:
            what = f"line {line}, column {header[column]!r}: {row[column]!r} is not a finite number"
            raise UserError(what, str(path), "a number; leave the column out by the option features, or drop the row")
        values.append(value)
    return values
