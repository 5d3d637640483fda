"""A training step as matrix products: forward, gradient of the inputs, gradient of the weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archip.ir.workload import Workload

__all__ = ["PRODUCTS", "needed", "products"]

PRODUCTS = ("forward", "input_gradient", "weight_gradient")
Ints = NDArray[np.int64]


def products(workload: Workload) -> list[tuple[Ints, Ints, Ints, Ints]]:
    """For each of `PRODUCTS` [L] (groups, rows and columns of the result, depth of the sum)."""
    B, G, K, C, OY, OX, FY, FX = workload.dims_LD.T
    outputs, window = B * OY * OX, C * FY * FX
    return [(G, K, outputs, window), (G, window, outputs, K), (G, K, window, outputs)]


def needed(workload: Workload) -> NDArray[np.bool_]:
    """[L, 3] which of `PRODUCTS` a step does; the first layers' inputs need no gradient."""
    is_nest = workload.macs_L > 0
    is_first = np.array([not before for before in workload.predecessors])
    return np.stack([is_nest, is_nest & ~is_first, is_nest], 1)
