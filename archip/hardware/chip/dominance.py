"""Dominance of cores: a core that another one meets or beats in everything is in no chip that matters.

A core is dropped if another one has at most its area, PEs and bandwidth and at most its cycles and energy in every
layer; of equal ones the first stays. Exact: in any chip the other core can take its place, and nothing gets worse.
"""

from __future__ import annotations

import numpy as np

from archip.hardware.chip._kernels import undominated
from archip.hardware.chip.table import CostTable

__all__ = ["undominated_cores"]


def undominated_cores(table: CostTable) -> CostTable:
    """The table of the cores that matter, in the order of their areas."""
    keys = (table.prices_DL.sum(axis=1), table.cycles_DL.sum(axis=1), *table.use_DR.T[::-1], table.area_D)
    ordered = table.select(np.lexsort(keys))  # what beats a core now stands before it
    return ordered.select(undominated(ordered.cycles_DL, ordered.prices_DL, ordered.area_D, ordered.use_DR))
