"""Dominance of cores: a core that another one meets or beats in everything is in no chip that matters.

A core is dropped if another one has at most its area, PEs and bandwidth and at most its cycles and energy in every
layer; of equal ones the first stays. Exact: in any chip the other core can take its place, and nothing gets worse.
"""

from __future__ import annotations

import numpy as np

from archip.hardware.chip._kernels import undominated
from archip.hardware.chip.extras import Extras
from archip.hardware.chip.table import CostTable

__all__ = ["undominated_cores"]


def undominated_cores(table: CostTable) -> CostTable:
    """The table of the cores that matter, in the order of their areas."""
    keys = (table.prices_DL.sum(axis=1), table.cycles_DL.sum(axis=1), *table.use_DR.T[::-1], table.area_D)
    if table.extras is not None:
        cycles_DX, prices_DX = _columns(table.extras)
        keys = (prices_DX.sum(axis=1), cycles_DX.sum(axis=1), *keys[2:])
    ordered = table.select(np.lexsort(keys))  # what beats a core now stands before it
    columns = (ordered.cycles_DL, ordered.prices_DL) if ordered.extras is None else _columns(ordered.extras)
    return ordered.select(undominated(*columns, ordered.area_D, ordered.use_DR))


def _columns(extras: Extras) -> tuple[np.ndarray, np.ndarray]:
    """What must not be worse: cycles and energy in every mapping; where DRAM is shared, also the rate of each layer.

    A shorter run of the same bytes takes more of the bandwidth while it lasts, so that it need not be better.
    """
    n_ways, n_designs, n_layers = extras.cycles_MDL.shape
    cycles_DX, prices_DX, shares_DX = (
        np.moveaxis(part, 1, 0).reshape(n_designs, n_ways * n_layers)
        for part in (extras.cycles_MDL, extras.prices_MDL, extras.shares_MDL)
    )
    if extras.alone_L is not None:
        cycles_DX, prices_DX = np.hstack([cycles_DX, shares_DX]), np.hstack([prices_DX, np.zeros(shares_DX.shape)])
    return np.ascontiguousarray(cycles_DX), np.ascontiguousarray(prices_DX)
