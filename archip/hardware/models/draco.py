"""DRACO: how many channels a group of a depthwise convolution should get so that a systolic array fills up.

Choose it for MobileNet-like networks on a large array: `choose` turns each depthwise layer into a group convolution
of g channels a group, as many as the latency gains from within a budget of work. The network has to be trained again.
Source: Jha et al. 2020, DRACO, ISVLSI, arXiv:2006.15103. A group of g channels on a weight-stationary H x W array takes
R^2 g rows and g columns, one group at a time:

    utilisation = R^2 g g / (ceil(R^2 g / H) H ceil(g / W) W)
    latency = max(MACs / (utilisation PEs), bytes / bandwidth)

Differs: the paper has one g for the whole network (`uniform`); by default every layer has its own, and together they
have the least latency within the budgets (an integer program). Among equal latencies the smallest g is taken. On a
row-stationary array the utilisation is that of the folding rule (`eyeriss_folding`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import Bounds, LinearConstraint, milp

from archip.hardware.models._light import Count, Floats, Positive, Table, tensor_bytes
from archip.hardware.models.eyeriss_folding import EyerissFolding
from archip.ir.workload import DIMS, Workload

__all__ = ["Draco"]

Ints = NDArray[np.int64]

_G, _K, _C = (DIMS.index(loop) for loop in "GKC")


@dataclass(frozen=True)
class Draco:
    """An array with a link to memory, and how much a network may grow."""

    rows: Count = 64
    columns: Count = 64
    array: Literal["weight_stationary", "row_stationary"] = "weight_stationary"
    bytes_per_cycle: Positive = 64.0
    mac_budget: Annotated[float, Field(ge=1)] = 1.3  # multiply-accumulates of the new network over the old one's
    param_budget: Annotated[float, Field(ge=1)] = 2.0  # and weights
    uniform: bool = False  # one g for all layers, as in the paper

    def evaluate(self, workload: Workload) -> Table:
        """Column → [L]: `utilisation` of the array, `compute_cycles`, `memory_cycles` and their maximum `cycles`."""
        util_L = self._utilisation(workload)
        compute_L = np.where(workload.macs_L > 0, workload.macs_L / (util_L * self.rows * self.columns), 0.0)
        memory_L = tensor_bytes(workload).sum(1) / self.bytes_per_cycle
        return {
            "utilisation": util_L,
            "compute_cycles": compute_L,
            "memory_cycles": memory_L,
            "cycles": np.maximum(compute_L, memory_L),
        }

    def choose(self, workload: Workload) -> tuple[Workload, Table]:
        """The workload with its depthwise layers widened, and column → [L]: `group`, `cycles_before`, `cycles`.

        `group` is 0 where a layer is not depthwise.
        """
        layers, before = np.flatnonzero(_is_depthwise(workload)), self.evaluate(workload)["cycles"]
        group_L = np.zeros(len(workload), np.int64)
        if len(layers):
            pick = self._uniform if self.uniform else self._each
            group_L[layers] = pick(workload, layers)
        widened = _widened(workload, np.maximum(group_L, 1))
        return widened, {"group": group_L, "cycles_before": before, "cycles": self.evaluate(widened)["cycles"]}

    def _uniform(self, workload: Workload, layers: Ints) -> int:
        """The one g for all layers."""
        best, least = 1, np.inf
        for g in _divisors(int(np.gcd.reduce(workload.dims_LD[layers, _G]))):
            group_L = np.ones(len(workload), np.int64)
            group_L[layers] = g
            wide = _widened(workload, group_L)
            is_small = _params(wide) <= self.param_budget * _params(workload)
            if (
                wide.macs <= self.mac_budget * workload.macs
                and is_small
                and (cycles := self.evaluate(wide)["cycles"].sum()) < least
            ):
                best, least = g, cycles
        return best

    def _each(self, workload: Workload, layers: Ints) -> Ints:
        """The g of each layer: least latency within the budgets, exactly one g a layer."""
        cells = np.array([(i, g) for i in layers.tolist() for g in _divisors(int(workload.dims_LD[i, _G]))])
        wide = _widened(workload.select(cells[:, 0].tolist()), cells[:, 1])
        cycles = self.evaluate(wide)["cycles"]
        smaller = (cells[:, :1] == cells[:, 0]) & (cells[:, 1:] > cells[:, 1])  # [cell, cell of the same layer]
        keep = ~(smaller & (cycles[:, None] >= cycles)).any(1)  # as slow as a smaller g: never taken
        cells, cycles, wide = cells[keep], cycles[keep], wide.select(np.flatnonzero(keep).tolist())
        once = (cells[:, 0] == layers[:, None]).astype(np.float64)
        work = np.stack([wide.macs_L, wide.moved_LO[:, 0]]).astype(np.float64)
        budgets = np.array([self.mac_budget * workload.macs, self.param_budget * _params(workload)])
        room = budgets - np.array([workload.macs, _params(workload)]) + work[:, cells[:, 1] == 1].sum(1)
        found = milp(
            cycles,
            integrality=np.ones(len(cells)),
            bounds=Bounds(0, 1),
            constraints=[LinearConstraint(once, 1, 1), LinearConstraint(work / room[:, None], -np.inf, 1)],
        )
        return cells[found.x > 0.5, 1]

    def _utilisation(self, workload: Workload) -> Floats:
        if self.array == "row_stationary":
            active = EyerissFolding(rows=self.rows, columns=self.columns).active_pes(workload)
            return np.maximum(active, 1) / (self.rows * self.columns)
        filter_L = workload.dims_LD[:, 6] * workload.dims_LD[:, 7] * workload.dims_LD[:, _C]
        return _fill(filter_L, self.rows) * _fill(workload.dims_LD[:, _K], self.columns)


def _fill(size: Ints, room: int) -> Floats:
    """Share of the places that are used when `size` is cut into pieces of at most `room`."""
    return size / (-(-size // room) * room)


def _is_depthwise(workload: Workload) -> NDArray[np.bool_]:
    is_conv = np.array([kind == "conv" for kind in workload.kinds])
    return is_conv & (workload.dims_LD[:, _G] > 1) & (workload.dims_LD[:, [_K, _C]] == 1).all(1)


def _divisors(channels: int) -> list[int]:
    """1, 2, 4, … as far as they divide the channels, and all channels."""
    powers = [2**i for i in range(channels.bit_length()) if channels % 2**i == 0]
    return sorted({*powers, channels})


def _params(workload: Workload) -> int:
    return int(workload.moved_LO[:, 0].sum())


def _widened(workload: Workload, group_L: Ints) -> Workload:
    """Groups of `group_L` channels in depthwise layers; the others have 1."""
    dims, moved, params = workload.dims_LD.copy(), workload.moved_LO.copy(), workload.params_L.copy()
    dims[:, _G] //= group_L
    dims[:, _K] *= group_L
    dims[:, _C] *= group_L
    params += moved[:, 0] * (group_L - 1)
    moved[:, 0] *= group_L
    return replace(workload, dims_LD=dims, moved_LO=moved, params_L=params)
