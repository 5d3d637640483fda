"""Tables of measurements: columns that describe a network become features, declared so that they can be made again.

A column is a number, or a choice (few different values), or a text of several choices: names such as
``|nor_conv_3x3~0|+|none~0|…``, codes separated by anything, or one digit a choice. Choices of one kind (the parts of a
text, or columns whose names differ in their number only: ``op0 op1 …``) are first counted, whatever their place, and
then told place by place: counts make effects that add up linear in few features.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.errors import UserError, nearest

__all__ = ["Encoding", "Table", "column", "floats", "joined", "read_table"]

_MOST_CHOICES = 12  # a column of whole numbers with more different values counts as a number

_CODE = 5  # digits from which on a number is read digit by digit, if all rows have as many

Table = dict[str, list[str]]  # column → values, all of one length


def read_table(path: str | Path) -> Table:
    """A CSV file, compressed if its name ends in ``.gz``, as columns of text.

    Raises:
        UserError: it cannot be read, or a row has another number of values than the heading.
    """
    path = Path(path)
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        raise UserError("no such file", str(path)) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read: {error}", str(path), "a CSV file, or one compressed with gzip") from None
    if len(rows) < 2:
        raise UserError("has no rows", str(path), "a heading and a row for each network")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise UserError(f"line {number} has {len(row)} values, the heading {len(rows[0])}", str(path))
    return {name: list(values) for name, values in zip(rows[0], zip(*rows[1:], strict=True), strict=True)}


def column(table: Table, name: str, where: str) -> list[str]:
    """A column by name.

    Raises:
        UserError: there is none of this name.
    """
    if name not in table:
        raise UserError(f"there is no column {name!r}", where, nearest(name, table))
    return table[name]


@dataclass(frozen=True)
class _Choices:
    """Places of one kind: the columns, or the one text column, that they come from, and what may stand in them."""

    columns: tuple[str, ...]
    n_places: int
    known: tuple[str, ...]


@dataclass(frozen=True)
class Encoding:
    """How rows become features: counts of choices, then numbers, then choices place by place."""

    numbers: tuple[str, ...]
    choices: tuple[_Choices, ...]

    @classmethod
    def of(cls, table: Table, columns: Sequence[str]) -> Encoding:
        """The encoding that suits these columns.

        Raises:
            UserError: an unknown column, or one that is empty somewhere or has a text of varying length.
        """
        numbers: list[str] = []
        groups: dict[tuple[str, int], list[str]] = {}
        for name in columns:
            values = column(table, name, "features")
            if "" in values:
                raise UserError(f"row {values.index('') + 1} has no value", f"features.{name}")
            if _is_number(values):
                numbers.append(name)
                continue
            lengths = {len(_parts(value)) for value in values}
            if len(lengths) > 1:
                raise UserError(
                    f"has from {min(lengths)} to {max(lengths)} parts", f"features.{name}", "as many in all"
                )
            (n_parts,) = lengths
            groups.setdefault((re.sub(r"\d+$", "", name) if n_parts == 1 else name, n_parts), []).append(name)
        choices = []
        for (_, n_parts), names in groups.items():
            known = {part for name in names for value in table[name] for part in _parts(value)}
            choices.append(_Choices(tuple(names), n_parts * len(names), tuple(sorted(known))))
        return cls(tuple(numbers), tuple(choices))

    @property
    def prefixes(self) -> tuple[int, ...]:
        """Numbers of features: the counts and numbers, and everything."""
        few = len(self.numbers) + sum(len(c.known) for c in self.choices)
        return tuple(sorted({few, few + sum(len(c.known) * c.n_places for c in self.choices if c.n_places > 1)}))

    def __call__(self, table: Table) -> np.ndarray:
        """[N, F] features of the rows.

        Raises:
            UserError: a missing column, or a value that the encoding does not know.
        """
        places = [self._places(table, c) for c in self.choices]
        counts = [hot_NPC.sum(1) for hot_NPC in places]
        numbers = [floats(column(table, name, "features"), name)[:, None] for name in self.numbers]
        by_place = [hot_NPC.reshape(len(hot_NPC), -1) for hot_NPC in places if hot_NPC.shape[1] > 1]
        return np.hstack([*counts, *numbers, *by_place])

    def _places(self, table: Table, choices: _Choices) -> np.ndarray:
        """[N, P, C] 1 where place P has choice C."""
        columns = [column(table, name, "features") for name in choices.columns]
        texts = [[part for value in row for part in _parts(value)] for row in zip(*columns, strict=True)]
        index = {part: i for i, part in enumerate(choices.known)}
        where = "features." + "+".join(choices.columns)
        for row, parts in enumerate(texts, 1):
            unknown = [part for part in parts if part not in index]
            if unknown or len(parts) != choices.n_places:
                what = repr(unknown[0]) if unknown else f"{len(parts)} parts"
                raise UserError(f"row {row} has {what}", where, f"{choices.n_places} of {', '.join(choices.known)}")
        return np.eye(len(index))[np.array([[index[part] for part in parts] for parts in texts])]

    def to_json(self) -> dict[str, Any]:
        return {"numbers": list(self.numbers), "choices": [_listed(asdict(c)) for c in self.choices]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Encoding:
        choices = [_Choices(tuple(c["columns"]), c["n_places"], tuple(c["known"])) for c in value["choices"]]
        return cls(tuple(value["numbers"]), tuple(choices))


def _listed(value: Mapping[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in value.items()}


def _is_number(values: Sequence[str]) -> bool:
    try:
        numbers = {float(v) for v in values}
    except ValueError:
        return False
    return len(numbers) > _MOST_CHOICES and not _is_code(values)


def _is_code(values: Sequence[str]) -> bool:
    """Digits of which each stands for a choice: texts of one length, from five on."""
    lengths = {len(v) for v in values}
    return len(lengths) == 1 and min(lengths) >= _CODE and "".join(values).isdigit()


def _parts(value: str) -> list[str]:
    """The choices in a text: names; else what stands between separators; else every digit."""
    names = re.findall(r"[A-Za-z]\w*", value)
    parts = names or re.findall(r"[0-9]+", value)
    return list(value) if value.isdigit() and len(value) >= _CODE else parts


def floats(values: Sequence[str], name: str) -> np.ndarray:
    """[N] numbers.

    Raises:
        UserError: a value that is no finite number.
    """
    for row, value in enumerate(values, 1):
        if not _is_finite(value):
            raise UserError(f"row {row} has {value!r}", name, "a finite number")
    return np.array([float(v) for v in values])


def _is_finite(value: str) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except ValueError:
        return False


def joined(table: Table, other: Table, key: str) -> Table:
    """`table` with the columns of `other` that it lacks, row by row where the key is the same.

    Raises:
        UserError: one of them has no such column, or `other` has a key twice or not at all.
    """
    at: dict[str, int] = {}
    for row, value in enumerate(column(other, key, "networks")):
        if value in at:
            raise UserError(f"rows {at[value] + 1} and {row + 1} have the same {key} {value!r}", "networks")
        at[value] = row
    missing = [value for value in column(table, key, "table") if value not in at]
    if missing:
        raise UserError(f"no network has {key} {missing[0]!r}", "networks", "a row for each key of the table")
    rows = [at[value] for value in table[key]]
    return table | {name: [values[i] for i in rows] for name, values in other.items() if name not in table}
