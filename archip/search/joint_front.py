"""Joint front: the points (accuracy, cycles, energy, area) that nothing beats, as a file that answers questions.

`search/joint.py` computes it.

Legend: N points.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from archip.core.errors import UserError
from archip.core.files import make_folder, replacing
from archip.core.registry import validate
from archip.hardware.chip.space import ChipSpec, CoreDesign
from archip.search._joint_kernels import stair_volume

__all__ = ["FORMAT", "JointFront", "JointPoint", "load_joint", "volume"]

FORMAT = 1
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

    def save(self, path: Path) -> None:
        make_folder(path.parent)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            columns = {name: getattr(self, name) for name in _COLUMNS}
            np.savez_compressed(file, about=np.array(json.dumps(self.about)), format=np.array(FORMAT), **columns)


def load_joint(path: Path) -> JointFront:
    """A front that was saved.

    Raises:
        UserError: no such file, or no joint front.
    """
    try:
        with open(path, "rb") as file, np.load(file) as saved:
            if int(saved["format"]) != FORMAT:
                raise UserError("was written by another version", str(path), "build it again")
            return JointFront(*(saved[name] for name in _COLUMNS), about=json.loads(str(saved["about"])))
    except (OSError, ValueError, KeyError, BadZipFile):
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
