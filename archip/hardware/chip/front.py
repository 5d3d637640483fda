"""The whole Pareto set (cycles, energy, area) of the chips within limits, exact, with its certificate.

Chips are taken from the smallest on. One staircase (cycles, energy) holds what the chips so far can do; a chip whose
bounds lie above it is dropped, any other one is asked for its points below it, step by step from right to left. As
areas only grow, a point that is found stays, unless a chip of the same area beats it: that is filtered at the end.

Several threads each take a share of a block of chips, with a copy of the staircase; what they find is merged after the
block. Blocks grow, so that the staircase is good before they are large.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from archip.hardware.chip._kernels import lasting, merge, walk, widest_gap
from archip.hardware.chip.bounds import ChipLimits, Survivors, surveyed
from archip.hardware.chip.branch import PartialSurvey, known_points
from archip.hardware.chip.certificate import Certificate, summed
from archip.hardware.chip.dominance import undominated_cores
from archip.hardware.chip.search import Point
from archip.hardware.chip.space import n_chips
from archip.hardware.chip.table import CostTable

__all__ = ["ChipFront", "pareto_chips"]

_ROOM = 1 << 14  # points that a thread may find at a time
_SMALLEST, _LARGEST = 8, 512  # chips of a thread's share of a block
_Points = tuple[np.ndarray, np.ndarray, np.ndarray]  # points, designs, core of each layer
_GAP_SAMPLE = 4096  # smallest open chips whose distance to the front is computed


@dataclass(frozen=True, eq=False)
class ChipFront:
    """The Pareto set: one row a point, sorted by area, cycles, energy; one witness for each.

    Attributes:
        points_N3: cycles, energy in units of the table, um^2.
        designs_NK: rows of `table`, absent cores as -1.
        core_NL: the core of each layer.
    """

    points_N3: np.ndarray
    designs_NK: np.ndarray
    core_NL: np.ndarray
    certificate: Certificate
    table: CostTable

    def __len__(self) -> int:
        return len(self.points_N3)

    def __getitem__(self, n: int) -> Point:
        cycles, energy, area = self.points_N3[n].tolist()
        designs = tuple(core for core in self.designs_NK[n].tolist() if core >= 0)
        return Point(cycles, energy, area, designs, self.core_NL[n])


class _Walk:
    """The walk through all chips: staircase, points found, counts."""

    def __init__(self, table: CostTable, chips: Survivors, limits: ChipLimits) -> None:
        self.table, self.chips, self.limits = table, chips, limits
        self.stair_S2, self.n_steps = np.empty((1 << 15, 2), np.int64), 0
        self.points: list[np.ndarray] = []  # chip, cycles, energy
        self.cores: list[np.ndarray] = []
        self.counts = np.zeros(5, np.int64)  # corner, relaxation, solved, open chips; solutions

    def share(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points, cores and counts of some chips, against the staircase as it is."""
        counts = np.zeros_like(self.counts)
        stair_S2, n_steps = self.stair_S2.copy(), self.n_steps
        points: list[np.ndarray] = []
        cores: list[np.ndarray] = []
        while True:
            if n_steps + _ROOM > len(stair_S2):
                stair_S2 = np.concatenate([stair_S2, np.empty_like(stair_S2)])
            found = np.empty((_ROOM, 3), np.int64)
            core_PL = np.empty((_ROOM, len(self.table.layers)), np.int64)
            done, n, n_steps = walk(
                members,
                self.chips.chips_NK,
                self.chips.bounds_N3,
                self.table.cycles_DL,
                self.table.prices_DL,
                self.table.first_C,
                self.limits.cycles,
                float(self.limits.energy),
                stair_S2,
                n_steps,
                found,
                core_PL,
                counts,
            )
            points.append(found[:n])
            cores.append(core_PL[:n].astype(np.int8))
            members = members[done:]
            if not len(members):
                return np.concatenate(points), np.concatenate(cores), counts

    def know(self, points_N3: np.ndarray, area: int) -> None:
        """Steps of other points (cycles, energy, area) of at most this area."""
        small_N3 = points_N3[points_N3[:, 2] <= area]
        while self.n_steps + len(small_N3) >= len(self.stair_S2):
            self.stair_S2 = np.concatenate([self.stair_S2, np.empty_like(self.stair_S2)])
        rows = np.column_stack([np.zeros(len(small_N3), np.int64), small_N3[:, :2]])
        self.n_steps = merge(self.stair_S2, self.n_steps, np.ascontiguousarray(rows))

    def merge(self, points: np.ndarray, cores: np.ndarray, counts: np.ndarray) -> None:
        while self.n_steps + len(points) >= len(self.stair_S2):
            self.stair_S2 = np.concatenate([self.stair_S2, np.empty_like(self.stair_S2)])
        self.n_steps = merge(self.stair_S2, self.n_steps, points)
        self.points.append(points)
        self.cores.append(cores)
        self.counts += counts

    def front(self) -> _Points:
        """(points, designs, cores) that nothing beats."""
        n_layers = len(self.table.layers)
        points = np.concatenate([np.zeros((0, 3), np.int64), *self.points])
        cores = np.concatenate([np.zeros((0, n_layers), np.int8), *self.cores])
        told_N3 = np.column_stack([self.chips.bounds_N3[points[:, 0], 0], points[:, 1:]])
        order = np.lexsort((points[:, 0], *told_N3.T[::-1]))
        order = order[lasting(told_N3[order])]
        return told_N3[order][:, [1, 2, 0]], self.chips.chips_NK[points[order, 0]], cores[order]


def pareto_chips(
    table: CostTable,
    limits: ChipLimits,
    time_limit_s: float = np.inf,
    threads: int = 2,
    advanced: Callable[[int, int], None] = lambda done, total: None,
) -> ChipFront:
    """The Pareto set of all chips within the limits.

    Args:
        table: of all core designs.
        limits: see `no_limits`.
        time_limit_s: where it ends first, the certificate has the gap.
        threads: at once.
        advanced: told how many chips of how many are done.
    """
    deadline = time.monotonic() + time_limit_s
    cores = undominated_cores(table)
    fewer = None
    if table.cores > max(2, table.min_cores) and PartialSurvey.suits(cores):
        fewer = pareto_chips(replace(table, cores=table.cores - 1), limits, time_limit_s, threads, advanced)
        sets = PartialSurvey(cores, known_points(fewer.points_N3))
        chips = surveyed(cores, limits, deadline, table.cores, sets)
    else:
        chips = surveyed(cores, limits, deadline)
    walked = _Walk(cores, chips, limits)
    n, begin, size = len(chips.bounds_N3), 0, _SMALLEST
    with ThreadPoolExecutor(threads) as pool:
        while begin < n and time.monotonic() <= deadline:
            block = np.arange(begin, min(n, begin + threads * size))
            if fewer is not None:
                walked.know(fewer.points_N3, int(chips.bounds_N3[begin, 0]))
            for found in list(pool.map(walked.share, [block[i::threads] for i in range(threads)])):
                walked.merge(*found)
            begin, size = begin + len(block), min(_LARGEST, 2 * size)
            advanced(begin, n)
    points = walked.front() if fewer is None else _joined(walked.front(), fewer)
    return ChipFront(*points, _certificate(table, walked, begin, fewer), cores)


def _joined(found: _Points, fewer: ChipFront) -> _Points:
    """(points, designs, cores) of both that nothing beats; of equal points that of fewer cores stays."""
    n_absent = found[1].shape[1] - fewer.designs_NK.shape[1]
    padded_NK = np.pad(fewer.designs_NK, ((0, 0), (0, n_absent)), constant_values=-1)
    points, designs, cores = (
        np.concatenate(parts) for parts in zip((fewer.points_N3, padded_NK, fewer.core_NL), found, strict=True)
    )
    told_N3 = points[:, [2, 0, 1]]
    order = np.lexsort(told_N3.T[::-1])
    order = order[lasting(np.ascontiguousarray(told_N3[order]))]
    return points[order], designs[order], cores[order]


def _certificate(table: CostTable, walked: _Walk, n_walked: int, fewer: ChipFront | None) -> Certificate:
    """Counts of all chips, and the gap where some are open."""
    if fewer is not None:
        more = _certificate(replace(table, min_cores=table.cores), walked, n_walked, None)
        return summed([fewer.certificate, more])
    chips, (corner, relaxed, solved, n_unsolved, _) = walked.chips, walked.counts.tolist()
    enumerated = n_chips(table.use_DR, table.totals_R, table.min_cores, table.cores)
    reached = chips.counts["within_totals"] if chips.least is None else enumerated
    pruned = {
        "dominance": enumerated - reached,
        **{name: chips.counts[name] for name in ("area", "chain", "load", "energy")},
        "corner": corner + chips.counts["corner"],
        "relaxation": relaxed,
    }
    n_open = enumerated - sum(pruned.values()) - solved
    gap: float | None = 0.0
    if n_open:
        rest_N3 = chips.bounds_N3[n_walked:]
        is_known = n_unsolved == 0 and chips.least is None and walked.n_steps > 0
        if is_known and len(rest_N3) > _GAP_SAMPLE:  # the least bounds of all stand for those beyond the sample
            rest_N3 = np.vstack([rest_N3[:_GAP_SAMPLE], rest_N3[_GAP_SAMPLE:].min(axis=0)])
        gap = float(widest_gap(walked.stair_S2, walked.n_steps, rest_N3)) if is_known else None
    return Certificate(enumerated, pruned, solved, n_open, gap)
