"""DataSet: what a task is trained and measured on, and the one way from raw arrays to it.

Adapters (the method files of this folder) only read: they give a `Raw`. Checks, splits, normalisation and digest
stand here once, so that every data set means the same thing.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.core.rng import generator
from archip.data._raw import Axes, Raw, TaskKind, check_samples
from archip.data._split import draw, share_of

__all__ = ["Adapter", "Count", "DataSet", "Share", "make_dataset"]

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
_CHUNK_BYTES = 2**25  # of float64, so that statistics need no second copy of the data


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples in three splits, ready for training.

    Attributes:
        axes: ``NCHW`` images, ``NCL`` series or ``NT`` token numbers.
        splits: ``train``, ``val`` and ``test`` → (x, y). x is float32, every channel with mean 0 and deviation 1 over
            the train split, or int64 token numbers; y is int64 [N] class numbers, or uint8 [N, H, W] masks of 0 and 1.
        augment: which random changes keep the meaning of a sample: subset of ``flip``, ``crop``, ``dihedral``.
        digest: 16 hex digits of the contents: equal data and splits give equal digests.
        source: where the data come from.
        split_note: how the splits were made.
        mean, std: per channel, in the units of the source; deployed networks expect (raw - mean) / std. Empty for
            tokens.
        n_tokens: token numbers are below it; 0 where there are no tokens.
    """

    name: str
    task: TaskKind
    axes: Axes
    n_classes: int
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    augment: tuple[str, ...] = ()
    digest: str = ""
    source: str = ""
    split_note: str = ""
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    n_tokens: int = 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample: (C, H, W), (C, L) or (T,)."""
        return self.splits["train"][0].shape[1:]

    @property
    def n_outputs(self) -> int:
        """Outputs that a network needs: one a class, or one map for binary segmentation."""
        return self.n_classes if self.task == "classification" else 1

    def describe(self) -> str:
        """A few lines for people: shape, splits with class counts, origin."""
        shape = " x ".join(map(str, self.input_shape)) + (f" of {self.n_tokens}" if self.n_tokens else "")
        lines = [f"{self.name}: {self.task}, input {shape} ({self.axes[1:]}), digest {self.digest}"]
        for split, (x, y) in self.splits.items():
            if self.task == "classification":
                counts = np.bincount(y, minlength=self.n_classes)
                detail = ", ".join(f"{c} {n}" for c, n in zip(self.classes, counts, strict=False))
            else:
                detail = f"{100 * y.mean():.1f} % foreground"
            lines.append(f"  {split:5} {len(x):6}  ({detail})")
        return "\n".join([*lines, f"  splits: {self.split_note}", f"  source: {self.source}"])


@dataclass(kw_only=True)
class Adapter(ABC):
    """What all data sets share: options for the splits, and where the data can be had."""

    val: Share = 0.2  # share of the samples outside the test split
    limit: Count | None = None  # number of training samples, all classes in proportion; None: all
    seed: Annotated[int, Field(ge=0)] = 0  # of the splits

    how: ClassVar[str] = ""  # how a user gets the data

    @classmethod
    def place(cls) -> str:
        """Where the data were found on this machine; empty if they are missing."""
        return "your own file"

    @abstractmethod
    def read(self) -> Raw:
        """The raw arrays.

        Raises:
            UserError: files are missing or not what they should be.
        """

    def load(self) -> DataSet:
        """The data set, checked, split and normalised."""
        return make_dataset(self.read(), self.val, self.limit, self.seed)


def make_dataset(raw: Raw, val: float = 0.2, limit: int | None = None, seed: int = 0) -> DataSet:
    """The data set of `raw`, with a validation split of share `val` taken from what is not test.

    Raises:
        UserError: data that no training could use; the message names file, array and first bad index.
    """
    separate = isinstance(raw.test, tuple)
    y = check_samples(raw.x, raw.y, raw, raw.names[:2])
    x_test, y_test = raw.x, y
    if isinstance(raw.test, tuple):
        x_test, y_test = raw.test[0], check_samples(*raw.test, raw, raw.names[2:])
        if x_test.shape[1:] != raw.x.shape[1:]:
            text = f"{raw.names[2]} has samples of shape {x_test.shape[1:]}, {raw.names[0]} of {raw.x.shape[1:]}"
            raise UserError(text, raw.where, "training and test samples of one shape")
    rows = _rows(raw, y, val, limit, seed)
    if separate:
        rows["test"] = np.arange(len(y_test))
    _check_splits(rows, y, raw)

    data = {s: ((x_test, y_test) if s == "test" else (raw.x, y)) for s in rows}
    mean, scale = _scaling(raw, rows["train"])
    return DataSet(
        name=raw.name,
        task=raw.task,
        axes=raw.axes,
        n_classes=len(raw.classes),
        splits={s: (_inputs(raw, data[s][0], i, mean, scale), data[s][1][i]) for s, i in rows.items()},
        augment=raw.augment,
        digest=_digest(raw, data, rows),
        source=raw.source,
        split_note=_split_note(raw, val, limit, seed),
        classes=raw.classes,
        mean=tuple(mean.tolist()),
        std=tuple(scale.tolist()),
        n_tokens=raw.n_tokens,
    )


def _scaling(raw: Raw, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of every channel; none for tokens.

    Raises:
        UserError: all inputs are equal.
    """
    if raw.axes == "NT":
        return np.zeros(0), np.zeros(0)
    mean, std = channel_statistics(raw.x, rows)
    if not std.any():
        raise UserError(f"{raw.names[0]} has the same value everywhere", raw.where, "inputs that differ")
    return mean, np.where(std == 0, 1.0, std)  # a constant channel becomes 0, not infinite


def _inputs(raw: Raw, x: np.ndarray, rows: np.ndarray, mean_C: np.ndarray, std_C: np.ndarray) -> np.ndarray:
    return x[rows].astype(np.int64) if raw.axes == "NT" else normalised(x, rows, mean_C, std_C)


def _rows(raw: Raw, y: np.ndarray, val: float, limit: int | None, seed: int) -> dict[str, np.ndarray]:
    """Sorted row numbers of train, val and test (test empty if its samples are arrays of their own)."""
    strata = raw.strata if raw.strata is not None else y if y.ndim == 1 else np.zeros(len(y), np.int64)
    pool = np.arange(len(y))
    test = pool[:0]
    if isinstance(raw.test, np.ndarray):
        pool, test = np.flatnonzero(~raw.test), np.flatnonzero(raw.test)
    elif isinstance(raw.test, float):
        test = draw(strata, pool, share_of(raw.test, pool), generator(seed, "test"))
        pool = np.setdiff1d(pool, test)
    chosen = draw(strata, pool, share_of(val, pool), generator(seed, "val"))
    train = np.setdiff1d(pool, chosen)
    if limit is not None:
        n_groups = len(np.unique(strata[train]))
        if not n_groups <= limit <= len(train):
            right = f"from {n_groups} (one a class) to {len(train)} (all training samples)"
            raise UserError(f"{limit} training samples are not possible for {raw.name}", "limit", right)
        train = draw(strata, train, limit, generator(seed, "limit"), keep_one=False)
    return {"train": train, "val": chosen, "test": test}


def _check_splits(rows: Mapping[str, np.ndarray], y: np.ndarray, raw: Raw) -> None:
    for split, index in rows.items():
        if len(index) == 0:
            right = "more samples, or another share for the split"
            raise UserError(f"the {split} split is empty ({len(y)} samples in all)", raw.where, right)
    if raw.task == "classification":
        missing = np.setdiff1d(np.arange(len(raw.classes)), y[rows["train"]])
        if len(missing):
            names = ", ".join(repr(raw.classes[c]) for c in missing[:5]) + (", …" if len(missing) > 5 else "")
            right = "at least one training sample of every class, classes numbered from 0 without gaps"
            raise UserError(f"no training sample of class {names} (array {raw.names[1]})", raw.where, right)
    elif not y[rows["train"]].any():
        raise UserError(f"no mask of {raw.names[1]} has any foreground", raw.where, "masks with ones")


def _chunks(x: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """(position, samples) in pieces that stay below `_CHUNK_BYTES` as float64."""
    step = max(1, _CHUNK_BYTES // (8 * int(np.prod(x.shape[1:]))))
    for start in range(0, len(rows), step):
        at = slice(start, start + step)
        yield at, x[rows[at]]


def channel_statistics(x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [C] of the given rows of x [N, C, …], in float64."""
    others = (0, *range(2, x.ndim))
    n = len(rows) * int(np.prod(x.shape[2:]))
    mean, variance = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for _, part in _chunks(x, rows):
        mean += part.sum(others, dtype=np.float64) / n
    for _, part in _chunks(x, rows):
        variance += ((part - _per_channel(mean, x)) ** 2).sum(others) / n
    return mean, np.sqrt(variance)


def _per_channel(values_C: np.ndarray, x: np.ndarray) -> np.ndarray:
    return values_C.reshape(-1, *(1,) * (x.ndim - 2))


def normalised(x: np.ndarray, rows: np.ndarray, mean_C: np.ndarray, std_C: np.ndarray) -> np.ndarray:
    """(x[rows] - mean) / std per channel, as float32."""
    mean, std = _per_channel(mean_C, x), _per_channel(std_C, x)
    out = np.empty((len(rows), *x.shape[1:]), np.float32)
    for at, part in _chunks(x, rows):
        out[at] = (part - mean) / std
    return out


def _digest(raw: Raw, data: Mapping[str, tuple[np.ndarray, np.ndarray]], rows: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the raw samples of every split, their labels and what they mean; shortened to 16 hex digits."""
    header = {"task": raw.task, "axes": raw.axes, "n_classes": len(raw.classes), "augment": list(raw.augment)}
    header |= {"n_tokens": raw.n_tokens} if raw.n_tokens else {}
    shapes = {s: [str(x.dtype), len(rows[s]), *x.shape[1:]] for s, (x, _) in data.items()}
    sha = hashlib.sha256(canonical_json([header, shapes]).encode())
    for split, (x, y) in data.items():
        for _, part in _chunks(x, rows[split]):
            sha.update(np.ascontiguousarray(part).data)
        sha.update(np.ascontiguousarray(y[rows[split]]).data)
    return sha.hexdigest()[:16]


def _split_note(raw: Raw, val: float, limit: int | None, seed: int) -> str:
    drawn = isinstance(raw.test, float)
    note = f"test: {raw.test:.0%} of all" if drawn else "test: the official split"
    note += f"; validation: {val:.0%} of the rest, stratified, seed {seed}"
    return note if limit is None else f"{note}; training cut to {limit} samples"
