"""Your own texts: a CSV file with a column of texts and a column with the class; as rows of token numbers.

Choose it for networks over tokens (`bert`). Words become numbers by a hash (`archip/data/_tokens.py`), so a deployed
network needs no vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from archip.core.errors import UserError, nearest
from archip.data._cache import user_file
from archip.data._dataset import Adapter, Share
from archip.data._formats import read_csv
from archip.data._raw import Raw, encode_labels
from archip.data._tokens import token_numbers, tokens

__all__ = ["TextCsv"]


@dataclass
class TextCsv(Adapter):
    """A row is a start token and the first tokens of the text."""

    path: str  # the file
    text: str  # name of the column with the text
    label: str  # name of the column with the class
    delimiter: str = ","  # between columns
    length: Annotated[int, Field(ge=2)] = 64  # tokens a text; longer ones are cut, shorter ones padded
    vocabulary: Annotated[int, Field(ge=3)] = 4096  # numbers for tokens
    test: Share = 0.2  # share of all texts

    how: ClassVar[str] = "option path: your file"

    def read(self) -> Raw:
        path = user_file(self.path)
        header, rows = read_csv(path, self.delimiter)
        for name in (self.text, self.label):
            if name not in header:
                raise UserError(f"has no column {name!r}", str(path), nearest(name, header))
        texts, labels = ([row[header.index(name)] for _, row in rows] for name in (self.text, self.label))
        for (line, _), text, label in zip(rows, texts, labels, strict=True):
            if not label.strip() or not tokens(text):
                raise UserError(f"line {line} has no {'words' if label.strip() else 'class'}", str(path),
                                "a text and a class in every row")  # fmt: skip
        y, classes = encode_labels(np.array([label.strip() for label in labels]))
        return Raw(
            name=path.stem,
            task="classification",
            axes="NT",
            x=token_numbers(texts, self.length, self.vocabulary),
            y=y,
            classes=classes,
            where=str(path),
            source=str(path),
            test=self.test,
            names=(f"column {self.text}", f"column {self.label}"),
            n_tokens=self.vocabulary,
        )
