"""The best chip within limits: least energy, latency or area, with its certificate.

Chips are taken in the order of their bound on what is minimised, until no later one can be better; a relaxation
excludes most, the others are scheduled exactly. Of equal chips the one with least energy, then cycles, then area wins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from archip.hardware.chip._kernels import best_of
from archip.hardware.chip.bounds import ChipLimits, Survivors, surveyed
from archip.hardware.chip.branch import PartialSurvey
from archip.hardware.chip.certificate import Certificate, summed
from archip.hardware.chip.dominance import undominated_cores
from archip.hardware.chip.space import n_chips
from archip.hardware.chip.table import CostTable

__all__ = ["Best", "Metric", "Point", "best_chip", "best_of_survivors", "key_of"]

Metric = Literal["latency", "energy", "area"]
_CHUNK = 32  # chips between two looks at the clock


class Point(NamedTuple):
    """A chip with a schedule: energy in units of the table, area in um^2.

    Attributes:
        designs: rows of the table, one for each core.
        core_L: the core of each layer. start_L: its first cycle; None in a front of chains, which has too many.
        way_L: its mapping, where the mappings are free.
    """

    cycles: int
    energy: int
    area: int
    designs: tuple[int, ...]
    core_L: np.ndarray
    start_L: np.ndarray | None = None
    way_L: np.ndarray | None = None


class Best(NamedTuple):
    """The best chip, None where none is feasible (or found), with its certificate; `table` has its designs."""

    point: Point | None
    certificate: Certificate
    table: CostTable


class _Search(NamedTuple):
    """State of a search through chips."""

    table: CostTable
    chips: Survivors
    limits: ChipLimits
    best: np.ndarray  # [cycles, energy, area, chip]
    core_L: np.ndarray
    start_L: np.ndarray
    counts: np.ndarray  # [relaxation, solved, open, least bound of the open ones]

    @classmethod
    def of(cls, table: CostTable, chips: Survivors, limits: ChipLimits) -> _Search:
        n_layers = len(table.layers)
        counts = np.array([0, 0, 0, np.iinfo(np.int64).max])
        best = np.array([0, 0, 0, -1], np.int64)
        return cls(table, chips, limits, best, np.zeros(n_layers, np.int64), np.zeros(n_layers, np.int64), counts)

    def advance(self, begin: int, end: int, order: np.ndarray, for_time: bool) -> int:
        table, limits = self.table, self.limits
        return best_of(
            begin,
            end,
            order,
            self.chips.chips_NK,
            self.chips.bounds_N3,
            table.cycles_DL,
            table.prices_DL,
            table.first_C,
            limits.cycles,
            float(limits.energy),
            for_time,
            self.best,
            self.core_L,
            self.start_L,
            self.counts,
        )

    @property
    def point(self) -> Point | None:
        cycles, energy, area, n = self.best.tolist()
        if n < 0:
            return None
        designs = tuple(core for core in self.chips.chips_NK[n].tolist() if core >= 0)
        return Point(cycles, energy, area, designs, self.core_L, self.start_L)


def best_chip(table: CostTable, limits: ChipLimits, minimise: Metric = "energy", time_limit_s: float = np.inf) -> Best:
    """The chip of least energy, latency or area within the limits."""
    deadline = time.monotonic() + time_limit_s
    cores = undominated_cores(table)
    if table.cores > 2 and PartialSurvey.suits(cores):
        return _by_numbers(table, cores, limits, minimise, deadline)
    enumerated = n_chips(table.use_DR, table.totals_R, table.min_cores, table.cores)
    survey = partial(surveyed, cores, deadline=deadline)
    return best_of_survivors(cores, survey, enumerated, limits, minimise, deadline - time.monotonic())


def _by_numbers(table: CostTable, cores: CostTable, limits: ChipLimits, minimise: Metric, deadline: float) -> Best:
    """One number of cores at a time: what is found tightens the limits of the next one."""
    sets, best = PartialSurvey(cores), None
    parts: list[Certificate] = []
    for n in range(table.min_cores, table.cores + 1):
        if best is not None:
            limits = tightened(limits, best, minimise)
        enumerated = n_chips(table.use_DR, table.totals_R, n, n)
        survey = partial(surveyed, cores, deadline=deadline, n_cores=n, partial=sets)
        found = best_of_survivors(cores, survey, enumerated, limits, minimise, deadline - time.monotonic(), best)
        parts.append(found.certificate)
        if found.point is not None and (best is None or key_of(found.point, minimise) < key_of(best, minimise)):
            best = found.point
    return Best(best, summed(parts), cores)


def tightened(limits: ChipLimits, best: Point, minimise: Metric) -> ChipLimits:
    """Limits that only a chip at least as good keeps."""
    fields: dict[Metric, str] = {"latency": "cycles", "energy": "energy", "area": "area"}
    return limits._replace(**{fields[minimise]: key_of(best, minimise)[0]})


def best_of_survivors(
    cores: CostTable,
    survey: Callable[[ChipLimits], Survivors],
    enumerated: int,
    limits: ChipLimits,
    minimise: Metric,
    time_limit_s: float = np.inf,
    known: Point | None = None,
) -> Best:
    """The best of the chips that a survey leaves.

    Args:
        cores: the table of the cores that matter.
        survey: limits → the chips that the cheap bounds leave; looked at once more to settle ties.
        enumerated: all chips of the space, before dominance.
        known: the best chip so far, for the gap where time runs out.
    """
    deadline = time.monotonic() + time_limit_s
    search = _Search.of(cores, survey(limits), limits)
    run = {"energy": _by_energy, "latency": _by_time, "area": _by_area}[minimise]
    n_seen = run(search, deadline)
    certificate = _certificate(enumerated, search, minimise, n_seen, known)
    point = search.point
    if point is not None and certificate.gap == 0 and minimise != "energy":
        fixed = {"latency": {"cycles": point.cycles}, "area": {"area": point.area}}[minimise]
        polish = limits._replace(**fixed)
        again = _Search.of(cores, survey(polish), polish)
        _by_energy(again, np.inf)
        point = again.point or point
    return Best(point, certificate, cores)


def key_of(point: Point, minimise: Metric) -> tuple[int, int, int]:
    """What makes one point better than another: what is minimised, then the others."""
    cycles, energy, area = point[:3]
    orders = {
        "energy": (energy, cycles, area),
        "latency": (cycles, energy, area),
        "area": (area, energy, cycles),
    }
    return orders[minimise]


def _by_energy(search: _Search, deadline: float) -> int:
    """Chips in the order of their bound on energy; returns how many were looked at."""
    area_N, cycles_N, energy_N = search.chips.bounds_N3.T
    return _in_order(search, np.lexsort((area_N, cycles_N, energy_N)), False, deadline)


def _by_time(search: _Search, deadline: float) -> int:
    """Chips in the order of their bound on cycles; returns how many were looked at."""
    area_N, cycles_N, energy_N = search.chips.bounds_N3.T
    return _in_order(search, np.lexsort((area_N, energy_N, cycles_N)), True, deadline)


def _in_order(search: _Search, order: np.ndarray, for_time: bool, deadline: float) -> int:
    place = 0
    while place < len(order) and time.monotonic() <= deadline:
        place = search.advance(place, min(place + _CHUNK, len(order)), order, for_time)
    return place


def _by_area(search: _Search, deadline: float) -> int:
    """Chips from the smallest on, until one is feasible; those of its area are looked at, too."""
    order = np.arange(len(search.chips.bounds_N3))
    for begin, end in _groups(search.chips.bounds_N3[:, 0]):
        if search.best[3] >= 0:
            return len(order)
        if time.monotonic() > deadline:
            return begin
        place = begin
        while place < end:
            place = search.advance(place, end, order, False)
    return len(order)


def _groups(area_N: np.ndarray) -> Iterator[tuple[int, int]]:
    """(begin, end) of the chips of equal area."""
    cuts = [0, *(np.flatnonzero(np.diff(area_N)) + 1).tolist(), len(area_N)]
    return pairwise(cuts) if len(area_N) else iter(())


def _certificate(enumerated: int, search: _Search, minimise: Metric, n_seen: int, known: Point | None) -> Certificate:
    """Counts of all chips. Those that need not be looked at, as no later one can be better, count for their bound."""
    chips, (relaxed, solved, n_open, open_bound) = search.chips, search.counts.tolist()
    n = len(chips.bounds_N3)
    n_left = n - n_seen
    reached = chips.counts["within_totals"] if chips.least is None else enumerated
    pruned = {
        "dominance": enumerated - reached,
        **{name: chips.counts[name] for name in ("area", "chain", "load", "energy")},
        "relaxation": relaxed,
    }
    n_skipped = n - n_left - relaxed - solved - n_open
    pruned[{"energy": "energy", "latency": "load", "area": "area"}[minimise]] += n_skipped
    n_open = enumerated - sum(pruned.values()) - solved
    gap = _gap(search, minimise, n_seen, open_bound, known)
    return Certificate(enumerated, pruned, solved, n_open, gap)


def _gap(search: _Search, minimise: Metric, n_seen: int, open_bound: int, known: Point | None) -> float | None:
    """0 where nothing was left; otherwise from the least bound of what was left."""
    column = {"area": 0, "latency": 1, "energy": 2}[minimise]
    values = search.chips.bounds_N3[:, column]
    left = [open_bound] if search.counts[2] else []
    if n_seen < len(values):
        rest = np.sort(values)[n_seen:] if minimise != "area" else values[n_seen:]
        left.append(int(rest[0]))
    if search.chips.least is not None:
        left.append(0 if minimise == "area" else search.chips.least[column - 1])
    if not left:
        return 0.0
    best = search.point or known
    if best is None:
        return None
    value = key_of(best, minimise)[0]
    return max(0.0, value / min(left) - 1) if min(left) > 0 else None
