"""Readers of npz, CSV, idx (MNIST) and CIFAR binary files. None of them runs code that a file brings along."""

from __future__ import annotations

import contextlib
import csv
import gzip
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from archip.core.errors import UserError, nearest

__all__ = ["npz_names", "read_cifar_batch", "read_csv", "read_idx", "read_npz"]


@contextlib.contextmanager
def _opened_npz(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    right = "an npz file of numeric arrays, as numpy.savez makes it"
    try:
        with open(path, "rb") as handle:  # numpy itself leaves damaged files open
            file = np.load(handle, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UserError("is a single array", str(path), right)
            with file:
                yield file
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"cannot be read: {error}", str(path), right) from None


def npz_names(path: Path) -> list[str]:
    """Names of the arrays in an npz file."""
    with _opened_npz(path) as file:
        return list(file.files)


def read_npz(path: Path, keys: Sequence[str]) -> list[np.ndarray]:
    """The arrays called `keys`.

    Raises:
        UserError: no npz file, a damaged one, a missing key, or an array of Python objects.
    """
    with _opened_npz(path) as file:
        for key in keys:
            if key not in file.files:
                raise UserError(f"has no array {key!r}", str(path), nearest(key, file.files))
        return [file[key] for key in keys]


def read_idx(path: Path) -> np.ndarray:
    """The array of bytes in an idx file, gzipped or not.

    Source: the format as described with MNIST: 0 0 8 (unsigned byte), number of axes, lengths as big-endian int32.
    """
    right = "an idx file of unsigned bytes"
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot be read: {error}", str(path), right) from None
    if content[:3] != b"\0\0\x08" or len(content) < 4 or len(content) < (start := 4 + 4 * content[3]):
        raise UserError(f"has no idx header, it starts with {content[:4].hex(' ') or 'nothing'}", str(path), right)
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4).tolist()
    if len(content) - start != math.prod(shape):
        text = f"has {len(content) - start} bytes of data where its header says {math.prod(shape)}"
        raise UserError(text, str(path), right)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 3, 32, 32] and labels [N] of a CIFAR-10 binary file: a record is a label and 3 planes of 1024 bytes.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", str(path), "CIFAR-10's binary version") from None
    record = 1 + 3 * 32 * 32
    if len(content) == 0 or len(content) % record:
        raise UserError(f"has {len(content)} bytes", str(path), f"a multiple of {record}, CIFAR-10's binary version")
    rows = content.reshape(-1, record)
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]


def read_csv(path: Path, delimiter: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header and (line number, cells) of all rows of a CSV file that are not empty.

    Raises:
        UserError: no CSV file, two columns of one name, or a row of another length.
    """
    if len(delimiter) != 1:
        raise UserError(f"{delimiter!r} is not a delimiter", "delimiter", "one character")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read: {error}", str(path), "a CSV file in UTF-8") from None
    if not header or not rows:
        raise UserError("has no rows", str(path), "a header and at least one row of every class")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise UserError(f"has two columns called {twice!r}", str(path), "one name for each column in the first line")
    for line, row in rows:
        if len(row) != len(header):
            raise UserError(f"line {line} has {len(row)} cells", str(path), f"{len(header)}, as in the header")
    return header, rows
