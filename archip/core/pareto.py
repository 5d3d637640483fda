"""Pareto: domination, non-dominated sorting, crowding, exact hypervolume, the feasible front of a run.

All functions take losses (smaller is better) as float arrays. Axes: N points, M objectives. An infinite loss is
allowed and is worse than every finite one; a point with NaN dominates nothing and is never non-dominated.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from archip.core.objectives import Goals, Limit
from archip.core.record import Record, Status

__all__ = [
    "Binding",
    "Front",
    "binding",
    "crowding_distances",
    "dominates",
    "domination_ranks",
    "front",
    "hypervolume",
    "hypervolume_contributions",
    "non_dominated_mask",
]

_PAIRS = 1 << 14  # so many comparisons at once are quicker than another division


def dominates(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether `a` is nowhere worse than `b` and somewhere better; [..., M] each, broadcast against each other."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    nowhere_worse, somewhere_better = np.ones(shape[:-1], dtype=bool), np.zeros(shape[:-1], dtype=bool)
    for i in range(shape[-1]):  # one objective after the other: several times faster than a reduction over a short axis
        nowhere_worse &= a[..., i] <= b[..., i]
        somewhere_better |= a[..., i] < b[..., i]
    return nowhere_worse & somewhere_better


def non_dominated_mask(losses_NM: np.ndarray) -> np.ndarray:
    """[N] whether no other point dominates the point; equal points do not dominate each other.

    Divide and conquer over the lexicographic order, O(N log^(M-2) N) for M > 2 even if nothing is dominated: a point
    is dominated by earlier ones only, so each half is solved alone and then the second is filtered by the first, one
    objective less at a time. 100,000 points of 4 objectives take 0.4 s (uniform) to 2 s (none dominated).

    Source: Kung, Luccio, Preparata 1975, "On finding the maxima of a set of vectors".
    """
    mask_N = np.logical_not(np.isnan(losses_NM).any(1))
    if losses_NM.shape[1] == 0 or not mask_N.any():
        return mask_N
    rows = np.flatnonzero(mask_N)
    rows = rows[np.lexsort(losses_NM[rows, ::-1].T)]
    points = losses_NM[rows]
    is_new = np.append(True, (points[1:] != points[:-1]).any(1))
    distinct = points[is_new]
    keep = np.zeros(len(distinct), dtype=bool)
    keep[_maxima(distinct, np.arange(len(distinct)))] = True
    mask_N[rows] = keep[np.cumsum(is_new) - 1]
    return mask_N


def _maxima(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Those of `rows` (ascending) that no other of `rows` dominates; `points` are distinct, in lexicographic order."""
    if len(rows) ** 2 <= _PAIRS:
        weakly = np.ones((len(rows), len(rows)), dtype=bool)
        for objective in points[rows].T:
            weakly &= objective[:, None] <= objective[None, :]
        return rows[weakly.sum(0) == 1]  # weakly dominated by itself only
    half = len(rows) // 2
    first, second = _maxima(points, rows[:half]), _maxima(points, rows[half:])
    covered = _covered(points[first, 1:], points[second, 1:])  # objective 0: all of `first` <= all of `second`
    return np.concatenate([first, second[~covered]])


def _covered(by: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[P] whether some row of `by` is <= the row of `points` in every column."""
    if not len(by) or not len(points):
        return np.zeros(len(points), dtype=bool)
    n_columns = points.shape[1]
    if n_columns == 0:
        return np.ones(len(points), dtype=bool)
    if n_columns <= 2:
        return _covered_2d(by, points)
    if len(by) * len(points) <= _PAIRS:
        return np.any(np.all(by[:, None, :] <= points[None, :, :], axis=-1), axis=0)
    if by[:, 0].max() <= points[:, 0].min():
        return _covered(by[:, 1:], points[:, 1:])
    column = np.concatenate([by[:, 0], points[:, 0]])
    middle = np.partition(column, len(column) // 2)[len(column) // 2]
    low = np.less if column.min() < middle else np.less_equal
    by_low, low_P = low(by[:, 0], middle), low(points[:, 0], middle)
    covered_P = np.zeros(len(points), dtype=bool)
    covered_P[low_P] = _covered(by[by_low], points[low_P])
    covered_P[~low_P] = _covered(by[by_low, 1:], points[~low_P, 1:])
    rest = np.flatnonzero(~low_P & ~covered_P)
    covered_P[rest] = _covered(by[~by_low], points[rest])
    return covered_P


def _covered_2d(by: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The same for one or two columns: the least second column among those not larger in the first."""
    order = np.argsort(by[:, 0])
    least = np.concatenate([[np.inf], np.minimum.accumulate(by[order, -1])])
    found = np.searchsorted(by[order, 0], points[:, 0], side="right")
    return (found > 0) & (least[found] <= points[:, -1])


def domination_ranks(losses_NM: np.ndarray, violations_N: np.ndarray | None = None) -> np.ndarray:
    """[N] rank of each point under constraint domination, 0 for the best front.

    Feasible points (violation 0) come first, in fronts; then the infeasible ones by violation alone, equal violations
    sharing a rank. Points with NaN come last.

    Source: Deb et al. 2002, NSGA-II, section III-A (sorting) and definition 1 (constraint domination).
    """
    broken_N = np.zeros(len(losses_NM)) if violations_N is None else violations_N
    rank_N = np.zeros(len(losses_NM), dtype=np.int64)
    left = np.flatnonzero(broken_N == 0.0)
    n_fronts = 0
    while len(left):
        best = _best_front(losses_NM[left])
        rank_N[left[best]] = n_fronts
        left, n_fronts = left[~best], n_fronts + 1
    infeasible = np.flatnonzero(broken_N != 0.0)
    rank_N[infeasible] = n_fronts + np.unique(broken_N[infeasible], return_inverse=True)[1]
    return rank_N


def _best_front(losses: np.ndarray) -> np.ndarray:
    mask = non_dominated_mask(losses)
    return mask if mask.any() else np.ones(len(losses), dtype=bool)


def crowding_distances(losses_NM: np.ndarray) -> np.ndarray:
    """[N] crowding distance of points of one front: the larger, the lonelier; infinite at the ends.

    An objective in which all points agree, or which some point lacks (infinite), does not count.

    Source: Deb et al. 2002, NSGA-II, section III-B.
    """
    distance_N = np.zeros(len(losses_NM))
    for loss_N in losses_NM.T:
        order = np.argsort(loss_N, kind="stable")
        span = loss_N[order[-1]] - loss_N[order[0]] if np.isfinite(loss_N).all() and len(order) else 0.0
        if span > 0:
            distance_N[order[1:-1]] += (loss_N[order[2:]] - loss_N[order[:-2]]) / span
            distance_N[order[[0, -1]]] = np.inf
    return distance_N


def hypervolume(losses_NM: np.ndarray, reference_M: np.ndarray) -> float:
    """Exact volume that the points dominate within the box below `reference_M`; points outside count nothing.

    One to three objectives by a sweep, O(N log N); each further one multiplies by N in the worst case. 0.2 s for
    1,000 points of 4 or 0.02 s for 100 of 5 objectives on a sphere.

    Source: While, Bradstreet, Barone 2012, "A fast way of calculating exact hypervolumes" (exclusive volumes by
    limit sets, with the slicing of its section IV).
    """
    losses_NM, reference_M = np.asarray(losses_NM, dtype=float), np.asarray(reference_M, dtype=float)
    return _volume(losses_NM[(losses_NM < reference_M).all(1)], reference_M)


def hypervolume_contributions(losses_NM: np.ndarray, reference_M: np.ndarray) -> np.ndarray:
    """[N] volume that would be lost without the point; 0 for a dominated, repeated or outlying one."""
    losses_NM, reference_M = np.asarray(losses_NM, dtype=float), np.asarray(reference_M, dtype=float)
    inside = np.flatnonzero((losses_NM < reference_M).all(1))
    points = losses_NM[inside]
    share_N = np.zeros(len(losses_NM))
    for i, row in enumerate(inside):
        share_N[row] = _exclusive(points[i], np.delete(points, i, axis=0), reference_M)
    return share_N


def _exclusive(point: np.ndarray, others: np.ndarray, reference: np.ndarray) -> float:
    """Volume that `point` dominates and none of `others` does."""
    return float(np.prod(reference - point)) - _volume(np.maximum(others, point), reference)


def _volume(points: np.ndarray, reference: np.ndarray) -> float:
    if not len(points):
        return 0.0
    n_objectives = points.shape[1]
    if n_objectives == 1:
        return float(reference[0] - points.min())
    if n_objectives == 2:
        return _area(points, reference)
    if n_objectives == 3:
        return _volume_3d(points, reference)
    points = points[non_dominated_mask(points)]
    points = points[np.argsort(points[:, -1], kind="stable")]
    depths = reference[-1] - points[:, -1]  # a point reaches from its last objective to the reference …
    flat, floor = points[:, :-1], reference[:-1]  # … over the part that no point before it covers
    return float(sum(d * _exclusive(flat[i], flat[:i], floor) for i, d in enumerate(depths)))


def _area(points: np.ndarray, reference: np.ndarray) -> float:
    points = points[np.argsort(points[:, 0])]
    widths = np.diff(points[:, 0], append=reference[0])
    return float(widths @ (reference[1] - np.minimum.accumulate(points[:, 1])))


def _volume_3d(points: np.ndarray, reference: np.ndarray) -> float:
    """Sweep along the third objective over the staircase of the first two."""
    end_x, end_y, end_z = reference.tolist()
    xs, ys = [-np.inf, end_x], [end_y, -np.inf]  # corners of the staircase between two sentinels
    volume = area = 0.0
    last_z = end_z
    for x, y, z in points[np.argsort(points[:, 2])].tolist():
        volume += area * (z - last_z)
        last_z = z
        at = end = bisect_right(xs, x)
        if ys[at - 1] <= y:
            continue
        left, top = x, ys[at - 1]
        while ys[end] >= y:  # corners that the new one swallows
            area += (xs[end] - left) * (top - y)
            left, top = xs[end], ys[end]
            end += 1
        area += (xs[end] - left) * (top - y)
        xs[at:end], ys[at:end] = [x], [y]
    return volume + area * (end_z - last_z)


@dataclass(frozen=True)
class Front(Sequence[Record]):
    """The feasible records that no other feasible record dominates, in the order in which they were found."""

    records: tuple[Record, ...]
    goals: Goals

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        return self.records[index]

    @cached_property
    def losses(self) -> np.ndarray:
        """[records, objectives] values to minimise."""
        return self.goals.losses(self.records)


def front(records: Sequence[Record], goals: Goals) -> Front:
    """The feasible, non-dominated ones of `records`."""
    feasible = [r for r in records if goals.feasible(r)]
    mask = non_dominated_mask(goals.losses(feasible))
    return Front(tuple(r for r, keep in zip(feasible, mask, strict=True) if keep), goals)


@dataclass(frozen=True)
class Binding:
    """Why nothing is feasible.

    Attributes:
        limit: the limit that binds; None if there is no limit or nothing could be evaluated.
        least_violation: limit → least relative violation seen; without the limits whose metric no record has.
        n_broken: limit → number of records that break it.
        nearest: the record with the least total violation; None if all failed.
    """

    limit: Limit | None
    least_violation: Mapping[Limit, float]
    n_broken: Mapping[Limit, int]
    nearest: Record | None


def binding(records: Sequence[Record], goals: Goals) -> Binding:
    """Which limit keeps `records` from being feasible, and the nearest of them.

    A limit that no record keeps binds, the one that is missed by most if there are several. If each limit is kept by
    some record, but all together by none, the one that most records break binds.
    """
    known = [r for r in records if r.status is not Status.FAILED]
    missed = {limit: [limit.violation(r.metrics[limit.metric]) for r in known if limit.metric in r.metrics]
              for limit in goals.limits}  # fmt: skip
    least = {limit: min(values) for limit, values in missed.items() if values}
    n_broken = {limit: sum(v > 0 for v in missed[limit]) for limit in least}
    limit = max(least, key=lambda item: (least[item], n_broken[item]), default=None)
    return Binding(limit, least, n_broken, min(known, key=goals.key, default=None))
