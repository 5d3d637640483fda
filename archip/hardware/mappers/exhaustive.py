"""Exhaustive search: the best of all mappings of a space, with bounds that rule out most of them unseen.

Choose it wherever it is fast enough; it answers tens of thousands of (accelerator, layer) pairs a second for the
templates. The answer is the best of a space, not of all mappings that exist; `Found.n_covered_P` counts what was
covered. Spaces:

- ``dataflow``: what the accelerator's dataflow prescribes: every alternative of unrolling, every loop order, up to five
  sizes each of the part of a loop whose results stay in the innermost memory and of the part that a buffer is offered.
- ``orders``: every order of the loops, which are split into `n_factors` factors (or one a loop), for the unrollings of
  the dataflow or, without one, the `n_unrollings` that take the fewest steps of the array.
- ``cuts``: the same orders, and every way to cut them for each operand and memory. For small layers and studies.
- ``auto``: ``dataflow`` where the accelerator has one, else ``orders``.

In the first two the memories cut the loops, inside out: of all ways to fill one, the one that moves the fewest bits
over its outer side; with all of each memory, with half of it, so that it is double-buffered, and with as little as
moves no more, so that the array waits less for its first data. For templates the best of 180 random orders of the loops
is about 0.5 % faster on average than ``dataflow``.

Pruning is provable: energy is known before the ports are looked at, and no mapping is faster than its array, its first
and last transfers and its off-chip bits.
Source: the cutting of loops into memories and their factors are those of ZigZag's LOMA engine (Symons et al., AICAS
2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from archip.hardware.mappers._dataflow import search_dataflow
from archip.hardware.mappers._mapper import Mapper, Work
from archip.hardware.mappers._orders import search_orders
from archip.hardware.mappers._ways import WAYS

__all__ = ["Exhaustive"]


@dataclass(frozen=True)
class Exhaustive(Mapper):
    """The best mapping of a space.

    Attributes:
        space: see above.
        n_factors: into which the loops are split at most, but one for each loop.
        n_unrollings: alternatives to try where the accelerator prescribes none.
        prunes: off, every mapping is costed in full: to check the bounds, or to measure.
    """

    space: Literal["auto", "dataflow", "orders", "cuts"] = "auto"
    n_factors: Annotated[int, Field(ge=1, le=8)] = 6
    n_unrollings: Annotated[int, Field(ge=1, le=7)] = 3
    prunes: bool = True

    def aim(self) -> np.ndarray:
        aim = super().aim()
        aim["n_factors"], aim["n_unrollings"], aim["prunes"] = self.n_factors, self.n_unrollings, self.prunes
        return aim

    def run(self, work: Work) -> None:
        has_orders_A = work.habits_A["order_QS"][:, 0, 0] >= 0
        by_dataflow_P = has_orders_A[work.which_P2[:, 0]] & (self.space == "auto")
        if self.space == "dataflow":
            by_dataflow_P[:] = True
        for chosen_P, is_dataflow in ((by_dataflow_P, True), (~by_dataflow_P, False)):
            if not chosen_P.any():
                continue
            found_P = work.found_P[chosen_P]
            part = work._replace(which_P2=work.which_P2[chosen_P], found_P=found_P)
            if is_dataflow:
                search_dataflow(*part)
            else:
                search_orders(*part, np.zeros(1, WAYS), self.space == "cuts")
            work.found_P[chosen_P] = found_P
