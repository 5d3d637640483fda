"""Workloads of single rows, by hand."""

from __future__ import annotations

import numpy as np

from archip.hardware.mapping import LOOPS
from archip.ir.workload import Workload


def workload(*rows, bits=8):
    """Rows are dicts: loops by letter, ``stride``, ``padding``, ``dilation``; or ``op`` and ``moved`` of a vector."""
    n = len(rows)
    pair = lambda key, default: np.array([[row.get(key, default)] * 2 for row in rows])  # noqa: E731
    return Workload(
        names=tuple(f"row{i}" for i in range(n)),
        kinds=tuple("vector" if "moved" in row else "conv" for row in rows),
        ops=tuple(row.get("op", "conv") for row in rows),
        dims_LD=np.array([[row.get(loop, 1) for loop in LOOPS] for row in rows]),
        stride_L2=pair("stride", 1),
        padding_L2=pair("padding", 0),
        dilation_L2=pair("dilation", 1),
        bits_LO=np.array([[*(np.ones(3, int) * row.get("bits", bits))] for row in rows]),
        density_LO=np.array([row.get("density", (1.0, 1.0, 1.0)) for row in rows]),
        params_L=np.zeros(n, int),
        moved_LO=np.array([row.get("moved", (0, 0, 0)) for row in rows]),
        predecessors=tuple(row.get("after", () if i == 0 else (i - 1,)) for i, row in enumerate(rows)),
    )


def random_row(rng):
    """A convolution, a depthwise one, or a matrix product."""
    kind = rng.integers(3)
    if kind == 2:
        return {"OY": int(rng.choice([1, 1, 4, 50])), "K": int(rng.integers(1, 300)), "C": int(rng.integers(1, 300))}
    filters = int(rng.choice([1, 3, 5, 7]))
    out = int(rng.choice([1, 4, 7, 8, 14, 16, 28, 55]))
    row = {
        "OY": out,
        "OX": out,
        "FY": filters,
        "FX": filters,
        "stride": int(rng.integers(1, 3)),
        "padding": filters // 2,
    }
    if out == 1:
        row["padding"] = 0
    if kind == 1:
        return row | {"G": int(rng.choice([8, 32, 96]))}
    return row | {"K": int(rng.choice([3, 16, 64, 100, 256])), "C": int(rng.choice([1, 3, 16, 64, 128]))}
