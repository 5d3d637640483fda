"""Timeloop's way to write a mapping, read into the arrays of the kernels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from archip.core.errors import UserError
from archip.hardware.mapping import LOOPS
from archip.ir.layer_table import LayerTable

__all__ = ["read_mapping"]

# Timeloop's letters of the loops: P and R go along a row, Q and S along a column.
_LOOP = {"N": "B", "G": "G", "K": "K", "C": "C", "Q": "OY", "P": "OX", "S": "FY", "R": "FX"}
_TOKEN = re.compile(
    r"(?P<level>\w+) \[(?!0:)"
    r"|for (?P<loop>\w+) in \[0:(?P<n>\d+)(?P<rest>,\d+)?\)\s*(?:\(Spatial-(?P<mesh>[XY])\))?"
)
_DIRECTIONS = ("", "X", "Y")  # in time, along the columns, along the rows
Loops = tuple[tuple[int, int, int, int], ...]  # dimension, iterations, mesh direction or 0, level; innermost first


def read_mapping(
    texts: Sequence[str], table: LayerTable, meshes: Mapping[str, tuple[int, int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The loops of every mapping: ([M, L, 4] fields as in the kernels, innermost first; [M] how many they are).

    Args:
        texts: [M] mappings.
        table: [M] layers.
        meshes: for each level by name, outermost first, columns and rows of its sub-units.

    Raises:
        UserError: a mapping of other levels, of more sub-units than there are, or of another layer.
    """
    mappings = []
    for m, text in enumerate(texts):
        try:
            mappings.append(_parsed(text, tuple(meshes.items())))
        except UserError as error:
            raise UserError(error.what, f"mapping {m + 1}", error.right) from None
    n_loops_M = np.array([len(loops) for loops in mappings])
    loops_MLF = np.zeros((len(mappings), n_loops_M.max(initial=1), 4), np.int64)
    loops_MLF[:, :, 1] = 1
    for m, loops in enumerate(mappings):
        loops_MLF[m, : len(loops)] = np.reshape(loops, (-1, 4))
    _check_sizes(loops_MLF, table)
    loops_MLF[:, :, 2] = loops_MLF[:, :, 2] > 0
    return loops_MLF, n_loops_M


@lru_cache(maxsize=1 << 14)
def _parsed(text: str, meshes: tuple[tuple[str, tuple[int, int]], ...]) -> Loops:
    """The loops of one mapping; those of one iteration are left out."""
    found: list[str] = []
    loops: list[tuple[int, int, int, int]] = []
    for token in _TOKEN.finditer(text):
        if token["level"]:
            found.append(token["level"])
            continue
        if token["loop"] not in _LOOP:
            raise UserError(f"unknown loop {token['loop']!r}", right=f"one of {', '.join(_LOOP)}")
        if token["rest"]:
            raise UserError(f"loop {token['loop']} has a shorter last round", right="factors without remainder")
        direction = _DIRECTIONS.index(token["mesh"] or "")
        loops.append((LOOPS.index(_LOOP[token["loop"]]), int(token["n"]), direction, len(meshes) - len(found)))
    names = [name for name, _ in meshes]
    if found != names:
        raise UserError(f"levels {' '.join(found) or 'missing'}", right=f"{' '.join(names)}, outermost first")
    for v, (name, mesh) in enumerate(meshes):
        for direction, size in enumerate(mesh, 1):
            used = math.prod(n for _, n, d, level in loops if (d, level) == (direction, len(meshes) - 1 - v))
            if used > size:
                raise UserError(f"{used} sub-units of {name} along {_DIRECTIONS[direction]}", right=f"at most {size}")
    return tuple(loop for loop in reversed(loops) if loop[1] != 1)


def _check_sizes(loops_MLF: NDArray[np.int64], table: LayerTable) -> None:
    sizes = dict(zip(LOOPS, table.dims_LD.T, strict=True))
    for d, loop in enumerate(LOOPS):
        got_M = np.where(loops_MLF[:, :, 0] == d, loops_MLF[:, :, 1], 1).prod(axis=1)
        wrong = got_M != sizes[loop]
        if wrong.any():
            m = int(np.argmax(wrong))
            letter = next(letter for letter, name in _LOOP.items() if name == loop)
            what, right = f"loops {letter} multiply to {got_M[m]}", f"{sizes[loop][m]} in the layer"
            raise UserError(what, f"mapping {m + 1}", right)
