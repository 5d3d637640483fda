"""Joint fronts: every network of a table on every chip of a space, and what nothing beats in four metrics at once.

Accuracy, latency, energy and area of all (network, chip, schedule), exactly: profiles of networks
(`search/joint_table.py`) are taken in falling order of accuracy; the chips of each in the order of their areas, against
a staircase (cycles, energy) of all that is known of no larger chips with networks at least as accurate. A chip whose
least cycles and least energy are met already is dropped, then one whose relaxed trade of cycles against energy lies
above the staircase; of any other the missing points are found one by one by branch and bound (`_joint_kernels.py`).
A network is one chain, a layer at a time, as in NASAIC: two cores share its layers out, they do not work at once.

Legend: N points, K most cores of a chip.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.candidate import digest
from archip.core.errors import UserError
from archip.core.files import make_folder, replacing
from archip.core.registry import validate
from archip.hardware.chip._kernels import lasting, undominated
from archip.hardware.chip.space import ChipSpec, CoreDesign, n_chips
from archip.hardware.schedule._label_dp import NEVER
from archip.search._joint_kernels import chips_of, stair_volume, sweep
from archip.search.chip import cache_folder
from archip.search.joint_table import Prices, Profiles, prices_of, profiles_of
from archip.spaces.tabular import Tabular

__all__ = [
    "JointFront",
    "JointPoint",
    "front_file",
    "joint_front",
    "lasting_cores",
    "load_joint",
    "merged",
    "swept",
    "volume",
]

_FORMAT = 1
_ROOM = 1 << 16
_MOST_NODES = 1 << 22  # of one branch and bound; a run that needs more says so in its counts
_COUNTS = ("corner", "relaxation", "solved", "unproven")
_COLUMNS = ("score_N", "cycles_N", "energy_N", "area_N", "row_N", "profile_N", "designs_N2")


@dataclass(frozen=True)
class JointPoint:
    """One network on one chip; `row` is the network's in the table."""

    score: float
    latency_cycles: int
    energy_j: float
    area_mm2: float
    row: int
    cores: tuple[CoreDesign, ...]


@dataclass(frozen=True, eq=False)
class JointFront:
    """The front: rows in falling order of accuracy, then by area, cycles, energy.

    Attributes:
        score_N: the test metric, signed: more is better. cycles_N. energy_N: in units of `energy_unit_j`. area_N: um^2.
        row_N: of the table. profile_N: number of the network's profile. designs_N2: of the spec, -1 absent.
        about: table, search, spec, tolerance, seconds and what became of the chips, as JSON.
    """

    score_N: np.ndarray
    cycles_N: np.ndarray
    energy_N: np.ndarray
    area_N: np.ndarray
    row_N: np.ndarray
    profile_N: np.ndarray
    designs_N2: np.ndarray
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.score_N)

    @property
    def spec(self) -> ChipSpec:
        return validate(ChipSpec, self.about["spec"])

    @property
    def energy_unit_j(self) -> float:
        return self.spec.mac_j / 100

    def point(self, n: int) -> JointPoint:
        designs = self.spec.designs
        cores = tuple(designs[d] for d in self.designs_N2[n].tolist() if d >= 0)
        energy_j, area_mm2 = float(self.energy_N[n]) * self.energy_unit_j, int(self.area_N[n]) / 1e6
        return JointPoint(float(self.score_N[n]), int(self.cycles_N[n]), energy_j, area_mm2, int(self.row_N[n]), cores)

    def within(self, limits: Mapping[str, float]) -> np.ndarray:
        """[N] which points keep limits ``latency_cycles``, ``latency_s``, ``energy_j``, ``area_mm2``."""
        values = {
            "latency_cycles": self.cycles_N,
            "latency_s": self.cycles_N / self.spec.clock_hz,
            "energy_j": self.energy_N * self.energy_unit_j,
            "area_mm2": self.area_N / 1e6,
        }
        kept_N = np.ones(len(self), bool)
        for name, bound in limits.items():
            if name not in values:
                raise UserError(f"unknown metric {name!r}", "limits", f"one of {', '.join(values)}")
            kept_N &= values[name] <= bound * (1 + 1e-12)
        return kept_N

    def best(self, limits: Mapping[str, float]) -> JointPoint | None:
        """The most accurate network that has a chip within the limits, proven; None where there is none."""
        rows = np.flatnonzero(self.within(limits))
        return self.point(int(rows[0])) if len(rows) else None

    def answers(self, space: Tabular, search: str | None, spec: ChipSpec | None, tolerance: float) -> bool:
        """Whether this is the front of these, built from the same files."""
        return self.about["question"] == _question(space, search, spec, tolerance)

    def save(self, path: Path) -> None:
        make_folder(path.parent)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            columns = {name: getattr(self, name) for name in _COLUMNS}
            np.savez_compressed(file, about=np.array(json.dumps(self.about)), format=np.array(_FORMAT), **columns)


def load_joint(path: Path) -> JointFront:
    """A front that was saved.

    Raises:
        UserError: no such file, or no joint front.
    """
    try:
        with np.load(path) as saved:
            if int(saved["format"]) != _FORMAT:
                raise UserError("was written by another version", str(path), "build it again")
            return JointFront(*(saved[name] for name in _COLUMNS), about=json.loads(str(saved["about"])))
    except (OSError, ValueError, KeyError):
        raise UserError("is no joint front", str(path), "a file that `archip joint` wrote") from None


def volume(points_N4: np.ndarray, reference_4: np.ndarray) -> float:
    """Volume that points (score, cycles, energy, area) dominate down to a reference score and up to the limits.

    A sum of slabs: between two scores, what all points of the higher one or more dominate in three metrics.
    """
    inside = (points_N4[:, 0] > reference_4[0]) & (points_N4[:, 1:] <= reference_4[1:]).all(axis=1)
    if not inside.any():
        return 0.0
    points_N4 = points_N4[inside]
    order = np.lexsort((points_N4[:, 2], points_N4[:, 1], points_N4[:, 3]))
    points_N4 = points_N4[order]
    total = 0.0
    levels = np.unique(points_N4[:, 0])[::-1]
    floors = np.append(levels[1:], reference_4[0])
    for level, floor in zip(levels, floors, strict=True):
        some = points_N4[points_N4[:, 0] >= level]
        corners = np.ascontiguousarray(some[:, [3, 1, 2]])
        total += (level - floor) * stair_volume(corners, reference_4[[3, 1, 2]])
    return total


def _question(space: Tabular, search: str | None, spec: ChipSpec | None, tolerance: float) -> str:
    """16 hex digits of all that a front depends on: the accuracies and genes of the rows, the networks, the chips."""
    table = space.rows
    name, asked = table.search(search)
    rows = hashlib.sha256(table.metric(asked.test[0]).tobytes() + table.keys.codes_NG.tobytes()).hexdigest()
    networks = None if table.spec.networks is None else asdict(table.spec.networks)
    spec = spec or ChipSpec()
    return digest([name, asked.test, rows, networks, list(table.knobs), asdict(spec), tolerance, space.merge, _FORMAT])


def front_file(space: Tabular, search: str | None, spec: ChipSpec | None, tolerance: float = 0.0) -> Path:
    """Where the command keeps this front."""
    name = f"{space.rows.name}_{space.rows.search(search)[0]}_{_question(space, search, spec, tolerance)}.npz"
    return cache_folder().parent / "joint" / name


def joint_front(
    space: Tabular,
    search: str | None = None,
    spec: ChipSpec | None = None,
    tolerance: float = 0.0,
    advanced: Callable[[int, int, int], None] = lambda done, total, points: None,
) -> JointFront:
    """The front of a table and a space of chips.

    Args:
        space: the table.
        search: of the table, by default its first; the networks' inputs and the metric that counts follow from it.
        spec: chips with one or two cores, priced by `maestro`; by default NASAIC's.
        tolerance: 0 for the exact front; with q, every point of it is met by one that is returned with at most (1 + q)
            times its energy and no worse in anything else.
        advanced: told how many profiles of how many are done, and how many points there are.
    """
    began = time.perf_counter()
    spec = spec or ChipSpec()
    name, asked = space.rows.search(search)
    profiles = profiles_of(space, name)
    prices = prices_of(profiles.layers, spec)
    relevant = profiles.relevant
    known, found = np.zeros((0, 3), np.int64), []
    counts = np.zeros(len(_COUNTS), np.int64)
    n_priced = 0
    for done, profile in enumerate(relevant.tolist()):
        points, n_pairs = _of_profile(prices, profiles.counts_NL[profile], known, tolerance, counts)
        n_priced += n_pairs
        found.append(np.column_stack([np.full(len(points), profile), points]))
        known = merged(known, points[:, [2, 0, 1]])
        advanced(done + 1, len(relevant), sum(map(len, found)))
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
    prices: Prices, count_L: np.ndarray, known_P3: np.ndarray, tolerance: float, counts: np.ndarray
) -> tuple[np.ndarray, int]:
    """Points (cycles, energy, area, two designs) of one profile below the known (area, cycles, energy)."""
    on, spec = count_L > 0, prices.spec
    cycles_DL, energy_DL = (np.ascontiguousarray(table[:, on]) for table in (prices.cycles_DL, prices.energy_DL))
    area_D, use_DR = prices.area_D(count_L), prices.use_DR
    cores = lasting_cores(cycles_DL, energy_DL, area_D, use_DR)
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
