"""Raw: what an adapter read, and the checks it has to pass.

Each refusal names the file, the array, the first bad index, and what would be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from archip.core.errors import UserError

__all__ = ["Axes", "Raw", "TaskKind", "check_samples", "encode_labels"]

TaskKind = Literal["classification", "segmentation"]
Axes = Literal["NCHW", "NCL", "NT"]

_ROWS = 1024  # looked at in one go, so that masks of bad values stay small
_AXES = {
    "NCHW": "(samples, channels, height, width)",
    "NCL": "(samples, channels, length)",
    "NT": "(samples, tokens)",
}


@dataclass(frozen=True, eq=False)
class Raw:
    """What an adapter read, before it is checked, split and normalised.

    Attributes:
        where: file or package, for messages.
        x: [N, C, H, W] or [N, C, L], any type of number; [N, T] token numbers from 0.
        y: [N] class numbers, or [N, H, W] masks.
        test: the official test samples, as (x, y) or as a boolean array [N] that marks rows; or the share to draw.
        strata: [N] groups to be spread evenly over the splits; default the classes.
        names: what the arrays are called in the file: x, y and, if they are separate, those of the test samples.
        n_tokens: numbers of tokens are below it; 0 where there are no tokens.
    """

    name: str
    task: TaskKind
    axes: Axes
    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    where: str
    source: str
    test: tuple[np.ndarray, np.ndarray] | np.ndarray | float
    augment: tuple[str, ...] = ()
    strata: np.ndarray | None = None
    names: tuple[str, ...] = ("x", "y", "x_test", "y_test")
    n_tokens: int = 0


def _first_index(bad: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first true element."""
    flat = int(bad.argmax()) if bad.size else 0
    return tuple(map(int, np.unravel_index(flat, bad.shape))) if bad.size and bad.flat[flat] else None


def _refuse_first(bad: np.ndarray, array: np.ndarray, name: str, what: str, where: str, right: str) -> None:
    index = _first_index(bad)
    if index is not None:
        raise UserError(f"{name}[{', '.join(map(str, index))}] = {array[index]} {what}", where, right)


def check_samples(x: np.ndarray, y: np.ndarray, raw: Raw, names: tuple[str, ...]) -> np.ndarray:
    """Refuse samples that no training could use; gives back the labels in their final type.

    Raises:
        UserError: wrong number of axes, no samples, x and y that do not fit, values that are no finite numbers, or
            labels that are no class numbers.
    """
    where, (x_name, y_name) = raw.where, names
    if x.ndim != len(raw.axes):
        raise UserError(f"{x_name} has shape {x.shape}", where, f"{len(raw.axes)} axes {_AXES[raw.axes]}")
    if 0 in x.shape:
        raise UserError(f"{x_name} is empty, its shape is {x.shape}", where, "at least one sample of every class")
    if len(x) != len(y):
        raise UserError(f"{x_name} has {len(x)} samples, {y_name} has {len(y)}", where, "one label for each sample")
    if x.dtype.kind not in "biuf":
        raise UserError(f"{x_name} has type {x.dtype}", where, "real numbers")
    if x.dtype.kind == "f":
        _check_finite(x, x_name, where)
    if raw.axes == "NT":
        wrong = (x < 0) | (x >= raw.n_tokens) | (x % 1 != 0)
        _refuse_first(wrong, x, x_name, "is no token", where, f"token numbers from 0 to {raw.n_tokens - 1}")
    return _masks(x, y, y_name, where) if raw.task == "segmentation" else _labels(y, y_name, where, len(raw.classes))


def _check_finite(x: np.ndarray, name: str, where: str) -> None:
    for start in range(0, len(x), _ROWS):
        index = _first_index(~np.isfinite(x[start : start + _ROWS]))
        if index is not None:
            at = (start + index[0], *index[1:])
            text = f"{name}[{', '.join(map(str, at))}] = {x[at]} is not a finite number"
            raise UserError(text, where, "replace or drop samples with missing values")


def _labels(y: np.ndarray, name: str, where: str, n_classes: int) -> np.ndarray:
    if y.ndim != 1:
        right = "one class number a sample" + ("; argmax(axis=1) turns one-hot rows into them" if y.ndim == 2 else "")
        raise UserError(f"{name} has shape {y.shape}", where, right)
    if y.dtype.kind not in "biuf":
        raise UserError(f"{name} has type {y.dtype}", where, "class numbers")
    if y.dtype.kind == "f":
        _refuse_first(~(np.floor(y) == y), y, name, "is not an integer", where, "class numbers 0, 1, 2, …")
    wrong = (y < 0) | (y >= n_classes)
    _refuse_first(wrong, y, name, "is out of range", where, f"class numbers from 0 to {n_classes - 1}")
    return y.astype(np.int64)


def _masks(x: np.ndarray, y: np.ndarray, name: str, where: str) -> np.ndarray:
    expected = (len(x), *x.shape[2:])
    if y.shape != expected:
        raise UserError(f"{name} has shape {y.shape}", where, f"{expected}: one mask of the image's size a sample")
    if y.dtype.kind not in "biuf":
        raise UserError(f"{name} has type {y.dtype}", where, "masks of 0 and 1")
    _refuse_first((y != 0) & (y != 1), y, name, "is neither 0 nor 1", where, "masks of 0 and 1")
    return y.astype(np.uint8)


def encode_labels(labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers and class names of labels given as text; numbers in text are ordered as numbers."""
    names, y = np.unique(labels.astype(str), return_inverse=True)
    if all(name.lstrip("+-").isdecimal() for name in names):
        order = sorted(range(len(names)), key=lambda i: int(names[i]))
        y, names = np.argsort(order)[y], names[order]
    return y.astype(np.int64), tuple(map(str, names))
