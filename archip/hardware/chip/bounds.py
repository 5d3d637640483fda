"""Cheap bounds: all chips in one pass, against the limits; the survivors with their bounds.

* area: the sum of the cores' areas, exact;
* chain: a network takes at least the sum over its layers of the cycles on the fastest core;
* load: for weights w that add up to 1, all layers take at least the sum of min over cores of w t;
* energy: at least the sum over layers of the energy on the cheapest core.
"""

from __future__ import annotations

import time
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np

from archip.hardware.chip._kernels import survey
from archip.hardware.chip.branch import COUNTS_OF_SETS, PartialSurvey
from archip.hardware.chip.table import CostTable
from archip.hardware.schedule._label_dp import NEVER

__all__ = ["ChipLimits", "Survivors", "no_limits", "surveyed"]

_EIGHTHS = 8


class ChipLimits(NamedTuple):
    """Most cycles, most energy in units of the table, most um^2."""

    cycles: int
    energy: int
    area: int


class Survivors(NamedTuple):
    """Chips that no cheap bound excludes, in the order of area, bound on cycles, bound on energy.

    Attributes:
        chips_NK: rows of the table, the absent cores at the end as -1.
        bounds_N3: area, bound on cycles, bound on energy.
        counts: chips within the totals, and those excluded, by COUNTS_OF_SETS.
        least: lower bounds on (cycles, energy) of the chips that were not looked at; None where all were.
    """

    chips_NK: np.ndarray
    bounds_N3: np.ndarray
    counts: dict[str, int]
    least: tuple[int, int] | None


def no_limits(table: CostTable) -> ChipLimits:
    """Limits that every chip keeps: each layer on its slowest core, one after the other; on its dearest."""
    cycles_XL, energy_XL = table.cycles_DL, table.energy_DL
    if table.extras is not None:  # in the slowest and in the dearest way
        n_layers = len(table.layers)
        cycles_XL, energy_XL = (
            part.reshape(-1, n_layers) for part in (table.extras.cycles_MDL, table.extras.energy_MDL)
        )
    cycles = np.where(cycles_XL < NEVER, cycles_XL, 0).max(axis=0).sum()
    return ChipLimits(int(cycles), int(energy_XL.max(axis=0).sum()), int(table.cores * table.area_D.max()))


def surveyed(
    table: CostTable,
    limits: ChipLimits,
    deadline: float = np.inf,
    n_cores: int | None = None,
    partial: PartialSurvey | None = None,
) -> Survivors:
    """All chips of the table (sets of its cores), or those that were reached before the deadline.

    Args:
        n_cores: chips of this number of cores only.
        partial: bounds of sets that are not complete, used from three cores on.
    """
    counts = np.zeros(len(COUNTS_OF_SETS), np.int64)
    found: list[np.ndarray] = [np.zeros((0, table.cores + 3), np.int64)]
    is_complete = True
    for n in range(table.min_cores, table.cores + 1) if n_cores is None else (n_cores,):
        if n > 2 and PartialSurvey.suits(table):
            partial = PartialSurvey(table) if partial is None else partial
            bounds = (limits.cycles, limits.energy, limits.area)
            rows, is_complete = partial.of(n, bounds, _weights(n), counts, deadline)
            found.append(_placed(rows, n, table.cores))
        else:
            for first in range(len(table.area_D)):
                if time.monotonic() > deadline:
                    is_complete = False
                    break
                found.append(_of_first(table, limits, first, n, _weights(n), counts))
    rows = np.concatenate(found)
    rows = rows[np.lexsort(rows[:, table.cores :].T[::-1])]
    least = None if is_complete else _least_of_any_chip(table)
    chips_NK, bounds_N3 = (np.ascontiguousarray(part) for part in np.split(rows, [table.cores], axis=1))
    return Survivors(chips_NK, bounds_N3, dict(zip(COUNTS_OF_SETS, counts.tolist(), strict=True)), least)


def _placed(rows: np.ndarray, n_cores: int, cores: int) -> np.ndarray:
    """Rows of `n_cores` cores and three bounds with the absent cores as -1."""
    placed = np.full((len(rows), cores + 3), -1, np.int64)
    placed[:, :n_cores], placed[:, cores:] = rows[:, :n_cores], rows[:, n_cores:]
    return placed


def _of_first(
    table: CostTable, limits: ChipLimits, first: int, n_cores: int, weights_WK: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Survivors among the chips whose first core is `first`; rows as in Survivors: cores, area, bounds."""
    room = len(table.area_D) + 1
    while True:
        out, trial = np.empty((room, n_cores + 3), np.int64), counts.copy()
        n = survey(
            first,
            n_cores,
            table.cycles_DL,
            table.prices_DL,
            table.area_D,
            table.use_DR,
            table.totals_R,
            table.first_C,
            weights_WK,
            limits.area,
            limits.cycles,
            float(limits.energy),
            out,
            trial,
        )
        if n >= 0:
            break
        room *= 8
    counts[:] = trial
    return _placed(out[:n], n_cores, table.cores)


def _weights(n_cores: int) -> np.ndarray:
    """Positive weights in eighths that add up to 1, one row a way to divide them; of two cores 1/8 to 7/8."""
    cuts = combinations(range(1, _EIGHTHS), n_cores - 1)
    rows = [np.diff([0, *cut, _EIGHTHS]) for cut in cuts]
    return np.array(rows, dtype=float) / _EIGHTHS


def _least_of_any_chip(table: CostTable) -> tuple[int, int]:
    fastest = table.cycles_DL.min(axis=0)
    longest = max(int(fastest[a:b].sum()) for a, b in pairwise(table.first_C.tolist()))
    return longest, int(table.prices_DL.min(axis=0).sum())
