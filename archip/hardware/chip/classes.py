"""The best chip of each class: what unequal sizes, different dataflows, and more than one core are worth.

Four classes, each one answered exactly: one core; twins (two or more equal cores); one dataflow (any number of cores
and sizes); free (all chips of the space). One dataflow contains one core and twins, free contains them all, so the
optima can only improve in this order; by how much is the question, and it may be by nothing.

A core that is dominated in the whole space may be needed in a class: dominance is looked for inside each dataflow. One
core and twins need no such care, since another core may take the place of all of theirs at once.
Source: the comparison of Yang et al. 2020, arXiv:2002.04116, table II; there the sizes of the two equal cores are free.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from archip.hardware.chip._kernels import COUNTS
from archip.hardware.chip.bounds import ChipLimits, Survivors
from archip.hardware.chip.certificate import summed
from archip.hardware.chip.dominance import undominated_cores
from archip.hardware.chip.search import Best, Metric, best_chip, best_of_survivors, key_of
from archip.hardware.chip.table import CostTable

__all__ = ["CLASSES", "ChipClass", "best_of_class", "worth"]

ChipClass = Literal["one_core", "twins", "one_dataflow", "free"]
CLASSES: tuple[ChipClass, ...] = ("one_core", "twins", "one_dataflow", "free")


def best_of_class(
    table: CostTable, limits: ChipLimits, minimise: Metric, kind: ChipClass, time_limit_s: float = np.inf
) -> Best | None:
    """The chip of a class with least energy, latency or area; None where the space has no chip of this class."""
    if kind == "free":
        return best_chip(table, limits, minimise, time_limit_s)
    if kind == "one_core":
        return best_chip(replace(table, cores=1), limits, minimise, time_limit_s) if table.min_cores == 1 else None
    if kind == "twins":
        return _best_twins(table, limits, minimise, time_limit_s) if table.cores > 1 else None
    return _best_of_one_dataflow(table, limits, minimise, time_limit_s)


def worth(values: Mapping[ChipClass, float | None]) -> dict[str, float | None]:
    """How far above the better class each class is, as a share; None where one of the two has no chip.

    Args:
        values: what was minimised, of the best chip of each class.
    """
    pairs: dict[str, tuple[ChipClass, ChipClass]] = {
        "more_cores": ("one_core", "one_dataflow"),
        "unequal_sizes": ("twins", "one_dataflow"),
        "different_dataflows": ("one_dataflow", "free"),
    }
    told: dict[str, float | None] = {}
    for name, (narrow, wide) in pairs.items():
        worse, better = values.get(narrow), values.get(wide)
        told[name] = None if worse is None or better is None or better <= 0 else worse / better - 1
    return told


def _best_of_one_dataflow(table: CostTable, limits: ChipLimits, minimise: Metric, time_limit_s: float) -> Best:
    """Each dataflow by itself; the certificates add up, as every chip of the class has one of them."""
    deadline = time.monotonic() + time_limit_s
    names = np.array([design.dataflow for design in table.designs])
    found = [
        best_chip(table.select(np.flatnonzero(names == name)), limits, minimise, deadline - time.monotonic())
        for name in dict.fromkeys(names.tolist())
    ]
    keys = [(key_of(best.point, minimise), n) for n, best in enumerate(found) if best.point is not None]
    return found[min(keys)[1] if keys else 0]._replace(certificate=summed([best.certificate for best in found]))


def _best_twins(table: CostTable, limits: ChipLimits, minimise: Metric, time_limit_s: float) -> Best:
    cores = undominated_cores(table)
    enumerated = sum(int(_fits(table, n).sum()) for n in _numbers(table))
    return best_of_survivors(cores, lambda within: _twins(cores, within), enumerated, limits, minimise, time_limit_s)


def _numbers(table: CostTable) -> range:
    return range(max(2, table.min_cores), table.cores + 1)


def _fits(table: CostTable, n: int) -> np.ndarray:
    return np.all(n * table.use_DR <= table.totals_R, axis=1)


def _twins(table: CostTable, limits: ChipLimits) -> Survivors:
    """All chips of equal cores against the cheap bounds; layers that any core runs alike are best shared out evenly."""
    counts: dict[str, int] = dict.fromkeys(COUNTS, 0)
    found = [np.zeros((0, table.cores + 3), np.int64)]
    chain_D = np.max([table.cycles_DL[:, a:b].sum(axis=1) for a, b in pairwise(table.first_C.tolist())], axis=0)
    work_D, energy_D = table.cycles_DL.sum(axis=1), table.prices_DL.sum(axis=1)
    for n in _numbers(table):
        rows = np.flatnonzero(_fits(table, n))
        counts["within_totals"] += len(rows)
        bounds = ((n * table.area_D, limits.area), (chain_D, limits.cycles), (-(-work_D // n), limits.cycles))
        for name, (value_D, most) in zip(COUNTS[1:], (*bounds, (energy_D, limits.energy)), strict=True):
            stays = value_D[rows] <= most
            counts[name] += int((~stays).sum())
            rows = rows[stays]
        out = np.full((len(rows), table.cores + 3), -1, np.int64)
        out[:, :n] = rows[:, None]
        out[:, -3:] = np.column_stack([n * table.area_D, np.maximum(chain_D, -(-work_D // n)), _whole(energy_D)])[rows]
        found.append(out)
    rows_N = np.concatenate(found)
    rows_N = rows_N[np.lexsort(rows_N[:, table.cores :].T[::-1])]
    chips_NK, bounds_N3 = (np.ascontiguousarray(part) for part in np.split(rows_N, [table.cores], axis=1))
    return Survivors(chips_NK, bounds_N3, counts, None)


def _whole(energy_D: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(energy_D), energy_D, 0).astype(np.int64)
