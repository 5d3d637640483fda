"""Chips of three and more cores: survey by branch and bound, and searches that take one number of cores at a time.

A search first asks the chips of fewer cores; what it finds tightens the limits for those of more cores, so that most of
their sets are cut before they are complete (`_partial.py`). Exact: nothing that could be better is cut.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from archip.hardware.chip._kernels import COUNTS, insert_step, step_at
from archip.hardware.chip._partial import completions, ideals, survey_partial
from archip.hardware.chip.table import CostTable

__all__ = ["COUNTS_OF_SETS", "Known", "PartialSurvey", "known_points"]

COUNTS_OF_SETS = (*COUNTS, "corner")
_LEVELS = 48
_MOST_ROOM = 60_000_000  # entries of the table of completions


class Known(NamedTuple):
    """Points that are known: staircases (cycles, energy) of all chips up to each of some areas, rising."""

    levels_Q: np.ndarray
    stairs_QS2: np.ndarray
    n_steps_Q: np.ndarray


def known_points(points_N3: np.ndarray) -> Known:
    """Staircases of (cycles, energy, area) points."""
    if not len(points_N3):
        return Known(np.zeros(0, np.int64), np.zeros((0, 1, 2), np.int64), np.zeros(0, np.int64))
    points_N3 = points_N3[np.lexsort(points_N3.T)]  # by area
    ends = np.unique(np.linspace(0, len(points_N3) - 1, _LEVELS).astype(int))
    stairs = np.zeros((len(ends), len(points_N3) + 1, 2), np.int64)
    n_steps_Q, stair_S2, n_steps, begin = np.zeros(len(ends), np.int64), stairs[0].copy(), 0, 0
    for level, end in enumerate(ends.tolist()):
        for cycles, energy, _ in points_N3[begin : end + 1].tolist():
            step = step_at(stair_S2, n_steps, cycles)
            if step < 0 or stair_S2[step, 1] > energy:
                n_steps = insert_step(stair_S2, n_steps, cycles, energy)
        begin = end + 1
        stairs[level, :n_steps], n_steps_Q[level] = stair_S2[:n_steps], n_steps
    stairs = np.ascontiguousarray(stairs[:, : n_steps_Q.max()])
    return Known(np.ascontiguousarray(points_N3[ends, 2]), stairs, n_steps_Q)


class PartialSurvey:
    """What the surveys of one table share; its designs in the order of falling PEs."""

    def __init__(self, table: CostTable, known: Known | None = None) -> None:
        self.known = known_points(np.zeros((0, 3), np.int64)) if known is None else known
        self.order_D = np.lexsort((table.area_D, *table.use_DR.T[:0:-1], -table.use_DR[:, 0]))
        self.table = table.select(self.order_D)
        unit_R = np.gcd.reduce(np.vstack([table.use_DR, table.totals_R]), axis=0)
        self.sizes_2, self.spots_D2 = table.totals_R // unit_R + 1, self.table.use_DR // unit_R
        self.ideal_t, self.ideal_e = ideals(self.table.cycles_DL, self.table.prices_DL, self.spots_D2, self.sizes_2)
        self.n_completions = completions(self.spots_D2, self.sizes_2, table.cores - 1)

    @classmethod
    def suits(cls, table: CostTable) -> bool:
        """Whether the tables fit: not where PEs or bandwidth have very fine steps."""
        unit_R = np.gcd.reduce(np.vstack([table.use_DR, table.totals_R]), axis=0)
        return table.cores * (len(table.area_D) + 1) * int(np.prod(table.totals_R // unit_R + 1)) <= _MOST_ROOM

    def of(
        self, n_cores: int, limits: tuple[int, int, int], weights_WK: np.ndarray, counts: np.ndarray, deadline: float
    ) -> tuple[np.ndarray, bool]:
        """Survivors [N, n_cores + 3] of all chips of `n_cores` cores, and whether all were looked at.

        Args:
            limits: most cycles, energy, um^2.
            counts: added to, in the order of COUNTS_OF_SETS.
        """
        found, cycles, energy, area = [np.zeros((0, n_cores + 3), np.int64)], *limits
        for first in range(len(self.order_D)):
            if time.monotonic() > deadline:
                return np.concatenate(found), False
            room = 1 << 10
            while True:
                out, trial = np.empty((room, n_cores + 3), np.int64), counts.copy()
                n = survey_partial(
                    first, n_cores, self.table.cycles_DL, self.table.prices_DL, self.table.area_D, self.spots_D2,
                    self.sizes_2, self.table.first_C, weights_WK, np.array([cycles, area]), float(energy),
                    self.ideal_t, self.ideal_e, self.n_completions, *self.known, out, trial
                )  # fmt: skip
                if n >= 0:
                    break
                room *= 8
            counts[:] = trial
            out[:n, :n_cores] = np.sort(self.order_D[out[:n, :n_cores]], axis=1)
            found.append(out[:n].copy())
        return np.concatenate(found), True
