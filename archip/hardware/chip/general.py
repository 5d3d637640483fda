"""The best chip, or the Pareto set, where a plain table does not say it all: graphs, shared DRAM, free mappings.

The order of work is that of `search.py` and `front.py`: dominance of cores, cheap bounds for all chips in one pass, a
relaxation for each chip that is left, and an exact answer for the rest, here by a constraint model. The bounds stay
valid: a graph is cut into paths that do not wait for each other, DRAM only adds one more sum (the layers' time on it),
and a layer's cycles and energy are the least over its mappings. What is minimised is proven; of its ties the chip that
was found first stays, with the least of the other metric on this chip.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from archip.hardware.chip._kernels import widest_gap
from archip.hardware.chip._relaxed import energy_bound_of_ways
from archip.hardware.chip.bounds import ChipLimits, Survivors, surveyed
from archip.hardware.chip.certificate import Certificate
from archip.hardware.chip.dominance import undominated_cores
from archip.hardware.chip.extras import Extras, paths
from archip.hardware.chip.model import Answer, Quantity, Question
from archip.hardware.chip.search import Best, Metric, Point, best_chip, key_of
from archip.hardware.chip.space import n_chips
from archip.hardware.chip.table import CostTable
from archip.hardware.schedule._exact import SLACK
from archip.hardware.schedule._jobs import FULL
from archip.hardware.schedule._label_dp import time_bound

__all__ = ["GeneralFront", "best_general", "pareto_general"]

_COLUMN: dict[Metric, int] = {"area": 0, "latency": 1, "energy": 2}


class GeneralFront(NamedTuple):
    """Points sorted by area, cycles, energy; `table` has their designs."""

    points: list[Point]
    certificate: Certificate
    table: CostTable


class Chips(NamedTuple):
    """Chips of a table with extras: the undominated cores, their relaxation to chains, what the cheap bounds leave."""

    cores: CostTable
    relaxed: CostTable
    extras: Extras
    survivors: Survivors
    order_L: np.ndarray

    @classmethod
    def of(cls, table: CostTable, limits: ChipLimits, deadline: float) -> Chips:
        assert table.extras is not None
        cores = undominated_cores(table)
        extras = cores.extras
        assert extras is not None
        found = paths(extras.before, cores.cycles_DL.min(axis=0).tolist())
        order_L = np.array([layer for path in found for layer in path])
        relaxed = replace(
            cores,
            cycles_DL=np.ascontiguousarray(cores.cycles_DL[:, order_L]),
            energy_DL=np.ascontiguousarray(cores.energy_DL[:, order_L]),
            first_C=np.cumsum([0, *map(len, found)]),
            extras=None,
        )
        chips = surveyed(relaxed, limits, deadline)
        if extras.alone_L is not None:  # all chips share the same bandwidth
            work_MDL = extras.shares_MDL * np.where(extras.shares_MDL > 0, extras.cycles_MDL, 0)
            work_L = np.where(np.isfinite(extras.prices_MDL), work_MDL, np.iinfo(np.int64).max).min(axis=(0, 1))
            chips.bounds_N3[:, 1] = np.maximum(chips.bounds_N3[:, 1], -(-int(work_L.sum()) // FULL))
        return cls(cores, relaxed, extras, chips, order_L)

    def designs(self, n: int) -> list[int]:
        return [core for core in self.survivors.chips_NK[n].tolist() if core >= 0]

    def question(self, n: int) -> Question:
        rows, extras = self.designs(n), self.extras
        return Question(
            extras.cycles_MDL[:, rows], extras.energy_MDL[:, rows], extras.shares_MDL[:, rows], extras.before
        )

    def least_cycles(self, n: int, enough: float) -> int:
        """A bound on a chip's cycles, by the relaxation to chains."""
        cycles_KL, first_C = self.relaxed.cycles_DL[self.designs(n)], self.relaxed.first_C
        n_sums = len(first_C) - 1 + len(cycles_KL)
        if len(cycles_KL) == 1:
            return max(int(self.survivors.bounds_N3[n, 1]), int(cycles_KL.sum()))
        bound = time_bound(cycles_KL, first_C, enough, np.full(n_sums, 1.0 / n_sums))
        return max(int(self.survivors.bounds_N3[n, 1]), math.ceil(bound - 1e-3))

    def least_energy(self, n: int, limit: int, enough: float) -> float:
        """A bound on a chip's energy within `limit` cycles, stopped once it exceeds `enough`."""
        rows, extras = self.designs(n), self.extras
        n_ways, n_layers, first_C = len(extras.cycles_MDL), len(self.order_L), self.relaxed.first_C
        cycles_OL, prices_OL, shares_OL = (
            np.ascontiguousarray(part[:, rows][:, :, self.order_L].reshape(n_ways * len(rows), n_layers))
            for part in (extras.cycles_MDL, extras.prices_MDL, extras.shares_MDL)
        )
        core_O, dram_OL = np.tile(np.arange(len(rows)), n_ways), shares_OL * cycles_OL / FULL
        multipliers = np.zeros(len(first_C) + len(rows))
        return energy_bound_of_ways(
            cycles_OL, prices_OL, dram_OL, core_O, len(rows), first_C, limit, enough, multipliers
        )

    def point(self, n: int, answer: Answer) -> Point:
        assert answer.core_L is not None
        area = int(self.survivors.bounds_N3[n, 0])
        designs = tuple(self.designs(n))
        return Point(answer.cycles, answer.energy, area, designs, answer.core_L, answer.start_L, answer.way_L)


def best_general(table: CostTable, limits: ChipLimits, minimise: Metric, time_limit_s: float = np.inf) -> Best:
    """The chip of least energy, latency or area within the limits."""
    deadline = time.monotonic() + time_limit_s
    chips = Chips.of(table, limits, deadline)
    bounds_N3, column = chips.survivors.bounds_N3, _COLUMN[minimise]
    order = np.lexsort((*(bounds_N3[:, c] for c in (0, 1, 2) if c != column), bounds_N3[:, column]))
    best, found_at = _of_chains(table, chips, limits, minimise, deadline)
    most = limits
    counts, lower = {"relaxation": 0, "solved": 0, "open": 0}, []
    place = 0
    for place, n in enumerate([*order.tolist(), -1]):
        if best is not None:
            most = _below(limits, best, minimise)
        if n < 0 or (best is not None and bounds_N3[n, column] > most[_FIELD[minimise]]):
            break
        if time.monotonic() > deadline:
            break
        what, point, bound = _look(chips, n, minimise, most, deadline)
        counts[what] += 1
        if what == "open":
            lower.append(bound)
        if point is not None:
            best, found_at = point, n
            if minimise == "area":
                place += 1
                break
    left = bounds_N3[order[place:], column] if time.monotonic() > deadline else np.zeros(0, np.int64)
    if len(left) and best is not None:
        left = left[left <= _below(limits, best, minimise)[_FIELD[minimise]]]
    gap = _gap(chips, best, minimise, [*lower, *left[:1].tolist()])
    certificate = _certificate(table, chips, minimise, counts, len(left), gap)
    if best is not None and found_at >= 0 and gap == 0:
        best = _polished(chips, found_at, best, minimise, limits, deadline)
    return Best(best, certificate, chips.cores)


_FIELD: dict[Metric, int] = {"latency": 0, "energy": 1, "area": 2}  # of ChipLimits


def _below(limits: ChipLimits, best: Point, minimise: Metric) -> ChipLimits:
    """Limits that only a better chip keeps."""
    fields: dict[Metric, str] = {"latency": "cycles", "energy": "energy", "area": "area"}
    return limits._replace(**{fields[minimise]: key_of(best, minimise)[0] - 1})


def _of_chains(
    table: CostTable, chips: Chips, limits: ChipLimits, minimise: Metric, deadline: float
) -> tuple[Point | None, int]:
    """Where only graphs were added: the best chip of chains with its number; as a chip of graphs it is as good."""
    extras = chips.extras
    if extras.alone_L is not None or len(extras.cycles_MDL) > 1 or len(table.first_C) > 3:
        return None, -1
    plain = best_chip(replace(table, extras=None), limits, minimise, deadline - time.monotonic())
    if plain.point is None:
        return None, -1
    rows = {design: row for row, design in enumerate(chips.cores.designs)}
    designs = [rows.get(plain.table.designs[core], -1) for core in plain.point.designs]
    padded = [*designs, *[-1] * (table.cores - len(designs))]
    same = np.flatnonzero((chips.survivors.chips_NK == padded).all(axis=1))
    return (plain.point._replace(designs=tuple(designs)), int(same[0])) if same.size else (None, -1)


def _look(chips: Chips, n: int, minimise: Metric, most: ChipLimits, deadline: float) -> tuple[str, Point | None, float]:
    """(relaxation, solved or open; the best of the chip within `most`; where it is open, a bound on its best)."""
    shortest = chips.least_cycles(n, most.cycles + SLACK)
    if shortest > most.cycles:
        return "relaxation", None, 0.0
    least = chips.least_energy(n, most.cycles, most.energy + SLACK)
    if least > most.energy + SLACK:
        return "relaxation", None, 0.0
    quantity: Quantity = "cycles" if minimise == "latency" else "energy"
    caps: dict[Quantity, int] = {"cycles": most.cycles, "energy": most.energy}
    answer = chips.question(n).minimise(quantity, caps, deadline - time.monotonic())
    point = None if answer.core_L is None else chips.point(n, answer)
    bound = {"latency": max(shortest, answer.bound), "energy": max(least, answer.bound), "area": 0.0}[minimise]
    if minimise == "area":
        bound = float(chips.survivors.bounds_N3[n, 0])
        return ("solved" if answer.is_decided or point is not None else "open"), point, bound
    return ("solved" if answer.is_decided else "open"), point, bound


def _polished(chips: Chips, n: int, best: Point, minimise: Metric, limits: ChipLimits, deadline: float) -> Point:
    """The same chip with the least of the other metric at the same value of what was minimised."""
    orders: dict[Metric, tuple[Quantity, ...]] = {
        "energy": ("cycles",),
        "latency": ("energy",),
        "area": ("energy", "cycles"),
    }
    caps: dict[Quantity, int] = {"cycles": limits.cycles, "energy": limits.energy}
    if minimise != "area":
        caps["cycles" if minimise == "latency" else "energy"] = best.cycles if minimise == "latency" else best.energy
    for quantity in orders[minimise]:
        answer = chips.question(n).minimise(quantity, caps, deadline - time.monotonic())
        if answer.core_L is None or not answer.is_decided:
            break
        best = chips.point(n, answer)
        caps[quantity] = best.cycles if quantity == "cycles" else best.energy
    return best


def _gap(chips: Chips, best: Point | None, minimise: Metric, lower: list[float]) -> float | None:
    if chips.survivors.least is not None:
        lower = [*lower, 0.0 if minimise == "area" else chips.survivors.least[_COLUMN[minimise] - 1]]
    if not lower:
        return 0.0
    if best is None or min(lower) <= 0:
        return None
    return max(0.0, key_of(best, minimise)[0] / min(lower) - 1)


def _certificate(
    table: CostTable, chips: Chips, minimise: Metric, counts: dict[str, int], n_left: int, gap: float | None
) -> Certificate:
    """Counts of all chips; those that need not be looked at, as none can be better, count for their bound."""
    enumerated = n_chips(table.use_DR, table.totals_R, table.min_cores, table.cores)
    survivors = chips.survivors
    reached = survivors.counts["within_totals"] if survivors.least is None else enumerated
    pruned = {
        "dominance": enumerated - reached,
        **{name: survivors.counts[name] for name in ("area", "chain", "load", "energy")},
        "relaxation": counts["relaxation"],
    }
    n_seen = sum(counts.values())
    skipped: dict[Metric, str] = {"energy": "energy", "latency": "load", "area": "area"}
    pruned[skipped[minimise]] += len(survivors.bounds_N3) - n_seen - n_left
    return Certificate(enumerated, pruned, counts["solved"], enumerated - sum(pruned.values()) - counts["solved"], gap)


def pareto_general(
    table: CostTable,
    limits: ChipLimits,
    time_limit_s: float = np.inf,
    tolerance: float = 0.0,
    advanced: Callable[[int, int], None] = lambda done, total: None,
) -> GeneralFront:
    """The Pareto set of all chips within the limits.

    Args:
        tolerance: every chip of the space is met by a point within this share in cycles and in energy.
    """
    deadline = time.monotonic() + time_limit_s
    chips = Chips.of(table, limits, deadline)
    walk = _Walk(chips, limits, tolerance, deadline)
    n = len(chips.survivors.bounds_N3)
    n_done = 0
    while n_done < n and time.monotonic() <= deadline:
        walk.chip(n_done)
        n_done += 1
        advanced(n_done, n)
    return GeneralFront(walk.front(), walk.certificate(table, n_done), chips.cores)


class _Walk:
    """Chips from the smallest on; a staircase (cycles, energy) of what is known."""

    def __init__(self, chips: Chips, limits: ChipLimits, tolerance: float, deadline: float) -> None:
        self.chips, self.limits, self.scale, self.deadline = chips, limits, 1 + tolerance, deadline
        self.points: list[Point] = []
        self.stairs: list[tuple[int, int]] = []  # cycles rising, energy falling
        self.counts = {"corner": 0, "relaxation": 0, "solved": 0, "open": 0}

    def chip(self, n: int) -> None:
        """All points of a chip that no step covers, from right to left."""
        _, shortest, least = self.chips.survivors.bounds_N3[n].tolist()
        limit, what = self.limits.cycles, "corner"
        while limit >= shortest:
            step = self._covering(limit)
            most = self.limits.energy if step is None else math.ceil(step[1] / self.scale) - 1
            left = shortest - 1 if step is None else math.ceil(step[0] / self.scale) - 1
            answer = None
            if most >= least:
                what = "relaxation" if what == "corner" else what
                answer, what = self._ask(n, limit, min(most, self.limits.energy), what)
            if answer is None:
                limit = left
                continue
            self.points.append(self.chips.point(n, answer))
            self._insert(answer.cycles, answer.energy)
            limit = answer.cycles - 1
        self.counts[what] += 1

    def _covering(self, limit: int) -> tuple[int, int] | None:
        """The step of least energy that covers `limit` cycles within the tolerance."""
        inside = [step for step in self.stairs if step[0] <= limit * self.scale]
        return inside[-1] if inside else None

    def _ask(self, n: int, limit: int, most: int, what: str) -> tuple[Answer | None, str]:
        """The least energy within `limit`, then the least cycles at this energy; None where there is nothing."""
        if self.chips.least_cycles(n, limit + SLACK) > limit:
            return None, what
        if self.chips.least_energy(n, limit, most + SLACK) > most + SLACK:
            return None, what
        question = self.chips.question(n)
        caps: dict[Quantity, int] = {"cycles": limit, "energy": most}
        answer = question.minimise("energy", caps, self.deadline - time.monotonic())
        if answer.core_L is None:
            return None, "solved" if answer.is_decided and what != "open" else "open"
        caps["energy"] = answer.energy
        shorter = question.minimise("cycles", caps, self.deadline - time.monotonic())
        is_decided = answer.is_decided and shorter.is_decided and what != "open"
        return (answer if shorter.core_L is None else shorter), "solved" if is_decided else "open"

    def _insert(self, cycles: int, energy: int) -> None:
        stays = [step for step in self.stairs if step[0] < cycles or step[1] < energy]
        self.stairs = sorted([*stays, (cycles, energy)])

    def front(self) -> list[Point]:
        """The points that no other one meets or beats."""
        kept: list[Point] = []
        for point in sorted(self.points, key=lambda p: (p.area, p.cycles, p.energy, p.designs)):
            if not any(k.cycles <= point.cycles and k.energy <= point.energy for k in kept):
                kept.append(point)
        return kept

    def certificate(self, table: CostTable, n_done: int) -> Certificate:
        survivors, counts = self.chips.survivors, self.counts
        enumerated = n_chips(table.use_DR, table.totals_R, table.min_cores, table.cores)
        reached = survivors.counts["within_totals"] if survivors.least is None else enumerated
        pruned = {
            "dominance": enumerated - reached,
            **{name: survivors.counts[name] for name in ("area", "chain", "load", "energy")},
            "corner": counts["corner"],
            "relaxation": counts["relaxation"],
        }
        n_open = enumerated - sum(pruned.values()) - counts["solved"]
        gap: float | None = self.scale - 1
        if n_open:
            rest_N3 = survivors.bounds_N3[n_done:]
            is_known = counts["open"] == 0 and survivors.least is None and self.stairs
            stair_S2 = np.array(self.stairs or [(0, 0)], np.int64)
            gap = max(gap, float(widest_gap(stair_S2, len(stair_S2), rest_N3))) if is_known else None
        return Certificate(enumerated, pruned, counts["solved"], n_open, gap)
