"""Joint fronts: every network of a table on every chip of a space, and what nothing beats in four metrics at once.

Accuracy, latency, energy and area of all (network, chip, schedule), exactly: profiles of networks
(`search/joint_table.py`) are taken in falling order of accuracy; the chips of each in the order of their areas, against
a staircase (cycles, energy) of all that is known of no larger chips with networks at least as accurate. A chip whose
least cycles and least energy are met already is dropped, then one whose relaxed trade of cycles against energy lies
above the staircase; of any other the missing points are found one by one by branch and bound (`_joint_kernels.py`).
A network is one chain, a layer at a time, as in NASAIC: two cores share its layers out, they do not work at once.

Legend: N points, L distinct layers, P known points, D core designs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.candidate import digest
from archip.core.protocols import Progress
from archip.hardware.chip._kernels import lasting, undominated
from archip.hardware.chip.space import ChipSpec, n_chips
from archip.hardware.schedule._label_dp import NEVER
from archip.search._joint_kernels import chips_of, sweep
from archip.search.chip import cache_folder
from archip.search.joint_front import FORMAT, JointFront
from archip.search.joint_table import Prices, Profiles, prices_of, profiles_of, refuse_unknown
from archip.spaces.tabular import Tabular

__all__ = ["answers", "front_file", "joint_front", "lasting_cores", "merged", "swept"]

_ROOM = 1 << 16
_MOST_NODES = 1 << 22  # of one branch and bound; a run that needs more says so in its counts
_COUNTS = ("corner", "relaxation", "solved", "unproven")


def answers(front: JointFront, space: Tabular, search: str | None, spec: ChipSpec | None, tolerance: float) -> bool:
    """Whether this is the front of these, built from the same files."""
    return front.about["question"] == _question(space, search, spec, tolerance)


def _question(space: Tabular, search: str | None, spec: ChipSpec | None, tolerance: float) -> str:
    """16 hex digits of all that a front depends on: the accuracies and genes of the rows, the networks, the chips."""
    table = space.rows
    name, asked = table.search(search)
    rows = hashlib.sha256(table.metric(asked.test[0]).tobytes() + table.keys.codes_NG.tobytes()).hexdigest()
    networks = None if table.spec.networks is None else asdict(table.spec.networks)
    spec = spec or ChipSpec()
    return digest([name, asked.test, rows, networks, list(table.knobs), asdict(spec), tolerance, space.merge, FORMAT])


def front_file(space: Tabular, search: str | None, spec: ChipSpec | None, tolerance: float = 0.0) -> Path:
    """Where the command keeps this front."""
    name = f"{space.rows.name}_{space.rows.search(search)[0]}_{_question(space, search, spec, tolerance)}.npz"
    return cache_folder().parent / "joint" / name


def joint_front(
    space: Tabular,
    search: str | None = None,
    spec: ChipSpec | None = None,
    tolerance: float = 0.0,
    progress: Progress | None = None,
) -> JointFront:
    """The front of a table and a space of chips.

    Args:
        space: the table.
        search: of the table, by default its first; the networks' inputs and the metric that counts follow from it.
        spec: chips with one or two cores, priced by `maestro`; by default NASAIC's.
        tolerance: 0 for the exact front; with q, every point of it is met by one that is returned with at most (1 + q)
            times its energy and no worse in anything else.
        progress: shows networks read, layers of their kinds, and kinds done.

    Raises:
        UserError: a table whose networks cannot be built, or a space of chips that is not known here.
    """
    began = time.perf_counter()
    spec = spec or ChipSpec()
    refuse_unknown(spec)
    name, asked = space.rows.search(search)
    profiles = profiles_of(space, name, progress)
    prices = prices_of(profiles.layers, spec)
    relevant = profiles.relevant
    known, found = np.zeros((0, 3), np.int64), []
    counts, cores_of, n_priced = np.zeros(len(_COUNTS), np.int64), {}, 0
    handle = None if progress is None else progress.start("kinds of networks", len(relevant))
    for profile in relevant.tolist():
        points, n_pairs = _of_profile(prices, profiles.counts_NL[profile], known, tolerance, counts, cores_of)
        n_priced += n_pairs
        found.append(np.column_stack([np.full(len(points), profile), points]))
        known = merged(known, points[:, [2, 0, 1]])
        if progress is not None:
            progress.advance(handle, points=sum(map(len, found)))
    if progress is not None:
        progress.finish(handle)
    about = {
        "table": space.rows.name,
        "search": name,
        "metric": asked.test[0],
        "spec": asdict(spec),
        "tolerance": tolerance,
        "question": _question(space, search, spec, tolerance),
        "networks": len(profiles.profile_of),
        "profiles": len(profiles),
        "relevant": len(relevant),
        "chips": n_chips(prices.use_DR, spec.totals_R, spec.min_cores, spec.cores),
        "chips_priced": n_priced,
        **dict(zip(_COUNTS, counts.tolist(), strict=True)),
        "seconds": 0.0,
    }
    front = _final(profiles, np.concatenate(found), about)
    return replace(front, about=about | {"points": len(front), "seconds": round(time.perf_counter() - began, 1)})


def _of_profile(
    prices: Prices,
    count_L: np.ndarray,
    known_P3: np.ndarray,
    tolerance: float,
    counts: np.ndarray,
    cores_of: dict[bytes, np.ndarray],
) -> tuple[np.ndarray, int]:
    """Points (cycles, energy, area, two designs) of one profile below the known (area, cycles, energy).

    `cores_of` keeps the cores that matter, which depend on what layers there are, not on how many of each.
    """
    on, spec = count_L > 0, prices.spec
    cycles_DL, energy_DL = (np.ascontiguousarray(table[:, on]) for table in (prices.cycles_DL, prices.energy_DL))
    area_D, use_DR = prices.area_D(count_L), prices.use_DR
    key = on.tobytes()
    if key not in cores_of:
        cores_of[key] = lasting_cores(cycles_DL, energy_DL, area_D, use_DR)
    cores = cores_of[key]
    cycles_DL, energy_DL, area_D, use_DR = cycles_DL[cores], energy_DL[cores], area_D[cores], use_DR[cores]
    chips = chips_of(cycles_DL, energy_DL, area_D, use_DR, spec.totals_R, count_L[on], spec.min_cores, spec.cores)
    points = swept(chips, cycles_DL, energy_DL, count_L[on], known_P3, tolerance, counts)
    pairs = points[:, 3:]
    return np.column_stack([points[:, :3], np.where(pairs >= 0, cores[pairs], -1)]), len(chips)


def lasting_cores(cycles_DL: np.ndarray, energy_DL: np.ndarray, area_D: np.ndarray, use_DR: np.ndarray) -> np.ndarray:
    """Designs that no other one meets or beats in area, PEs, bandwidth and every layer."""
    price_DL = np.where(cycles_DL < NEVER, energy_DL.astype(np.float64), np.inf)
    order = np.lexsort((price_DL.sum(axis=1), cycles_DL.sum(axis=1), *use_DR.T[::-1], area_D))
    return order[undominated(cycles_DL[order], price_DL[order], area_D[order], use_DR[order])]


def swept(
    chips_N5: np.ndarray,
    cycles_DL: np.ndarray,
    energy_DL: np.ndarray,
    count_L: np.ndarray,
    known_P3: np.ndarray,
    tolerance: float,
    counts: np.ndarray,
) -> np.ndarray:
    """Points (cycles, energy, area, two designs) of one network on some chips, below those that are known.

    Args:
        chips_N5: as `chips_of` gives them, in any order.
        known_P3: (area, cycles, energy), by area.
    """
    chips = chips_N5[np.lexsort((chips_N5[:, 4], chips_N5[:, 3], chips_N5[:, 2]))]
    room = min(_ROOM, 8192 + 256 * len(chips))
    stair_S2, points_P4 = np.empty((2 * room, 2), np.int64), np.empty((room, 4), np.int64)
    begin, n_known, n_steps, found = 0, 0, 0, []
    while begin < len(chips):
        if n_steps + 8192 + 2 > len(stair_S2):
            stair_S2 = np.concatenate([stair_S2, np.empty_like(stair_S2)])
        begin, n_known, n_steps, n = sweep(
            begin, chips, cycles_DL, energy_DL, count_L, known_P3, n_known, stair_S2, n_steps, 1.0 + tolerance,
            _MOST_NODES, points_P4, counts
        )  # fmt: skip
        found.append(points_P4[:n].copy())
    points = np.concatenate([np.zeros((0, 4), np.int64), *found])
    return np.column_stack([points[:, 1:], chips[points[:, 0], :2]])


def merged(known_P3: np.ndarray, new_P3: np.ndarray) -> np.ndarray:
    """Points (area, cycles, energy) of both that nothing beats, by area."""
    if not len(new_P3):
        return known_P3
    points = np.concatenate([known_P3, new_P3])
    points = points[np.lexsort(points.T[::-1])]
    return points[lasting(points)]


def _final(profiles: Profiles, found: np.ndarray, about: Mapping[str, Any]) -> JointFront:
    """What lasts: chips of one area, and networks of one accuracy, may still beat each other."""
    profile_N, cycles_N, energy_N, area_N = found[:, :4].T
    score_N = profiles.score_N[profile_N]
    order = np.lexsort((profile_N, energy_N, cycles_N, area_N, -score_N))
    score_N = score_N[order]
    keep = []
    cuts = [0, *(np.flatnonzero(np.diff(score_N)) + 1).tolist(), len(order)]
    for begin, end in pairwise(cuts):
        some = order[begin:end]
        stays = lasting(np.ascontiguousarray(np.stack([area_N[some], cycles_N[some], energy_N[some]], axis=1)))
        keep.append(some[stays])
    rows = np.concatenate([np.zeros(0, np.int64), *keep])
    profile_N = profile_N[rows]
    columns = (profiles.score_N[profile_N], cycles_N[rows], energy_N[rows], area_N[rows])
    return JointFront(*columns, profiles.row_N[profile_N], profile_N, found[rows, 4:6], about)
