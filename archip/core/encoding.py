"""Encoding: genotypes as rows of numbers, for predictors and controllers.

Legend: N genotypes, G knobs, F features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archip.core.knobs import Knob

__all__ = ["INACTIVE", "encode_codes", "knob_codes"]

INACTIVE = -1  # code of a gene that a genotype does not have
_ONE_HOT_UP_TO = 16  # ordered knobs with more values are a position only
_NAMES_FROM = 1000  # unordered knobs with so many values are names, from which nothing can be learnt


def knob_codes(knobs: Mapping[str, Knob], genotypes: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """[N, G] index of each gene's value among the values of its knob; `INACTIVE` where a genotype lacks the gene."""
    rows = [
        [knob.values.index(genes[name]) if name in genes else INACTIVE for name, knob in knobs.items()]
        for genes in genotypes
    ]
    return np.array(rows, dtype=np.int64).reshape(len(genotypes), len(knobs))


def encode_codes(codes_NG: np.ndarray, knobs: Sequence[Knob]) -> np.ndarray:
    """[N, F] features: of an ordered knob its position in [0, 1]; of a knob of few values a 0/1 column for each.

    Inactive genes are all zeros. A knob of one value says nothing and has no column, nor has one of 1000 names.
    """
    columns = [np.zeros((len(codes_NG), 0))]
    for codes_N, knob in zip(codes_NG.T, knobs, strict=True):
        n = len(knob.values)
        if n == 1 or (n >= _NAMES_FROM and not knob.ordered):
            continue
        if knob.ordered:
            columns.append(np.maximum(codes_N, 0)[:, None] / (n - 1))
        if not knob.ordered or n <= _ONE_HOT_UP_TO:
            columns.append((codes_N[:, None] == np.arange(n)).astype(float))
    return np.concatenate(columns, axis=1)
