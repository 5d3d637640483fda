"""What a plain cost table leaves out: networks as graphs, DRAM that the cores share, several mappings of a layer.

* Graph: a layer waits for the layers whose results it reads, through operators without MACs, too; branches of a network
  may run side by side. A relaxation cuts the graph into paths that wait for nothing but themselves: the bounds for
  chains then hold for graphs.
* DRAM: a layer moves its weights, inputs and outputs once, at an even rate while it runs; layers run side by side only
  while their rates fit into the bandwidth together (the model of `archip/hardware/schedule/_jobs.py`). A layer that
  alone needs more takes as long as its bytes take.
* Mappings: the cluster of every layer is chosen with its core.

Legend: D core designs, L layers, M mappings, C paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from archip.hardware.chip.space import ChipSpec
from archip.hardware.chip.totals import quantity
from archip.hardware.schedule._jobs import FULL
from archip.hardware.schedule._label_dp import NEVER
from archip.ir.workload import Workload

__all__ = ["Extras", "extras_of", "graph_rows", "needs_extras", "paths", "shares", "traffic", "unit_rows"]


@dataclass(frozen=True, eq=False)
class Extras:
    """Precedence, traffic and mappings of all layers.

    Attributes:
        before: rows that must end before each row begins; they stand before it.
        alone_L: cycles that DRAM alone takes for each layer; None where it is not shared.
        cycles_MDL: int64, stretched where DRAM is slower; NEVER where the core cannot run the layer so.
        energy_MDL: int64.
    """

    before: tuple[tuple[int, ...], ...]
    alone_L: np.ndarray | None
    cycles_MDL: np.ndarray
    energy_MDL: np.ndarray

    def select(self, rows: np.ndarray) -> Extras:
        """Of these core designs."""
        return replace(self, cycles_MDL=self.cycles_MDL[:, rows], energy_MDL=self.energy_MDL[:, rows])

    @cached_property
    def prices_MDL(self) -> np.ndarray:
        """Energies as floats; inf where the core cannot run the layer so."""
        return np.where(self.cycles_MDL < NEVER, self.energy_MDL.astype(np.float64), np.inf)

    @cached_property
    def shares_MDL(self) -> np.ndarray:
        """Thousandths of the DRAM bandwidth, rounded up; 0 where it is not shared."""
        return shares(self.cycles_MDL, self.alone_L)


def shares(cycles: np.ndarray, alone_L: np.ndarray | None) -> np.ndarray:
    """Thousandths of the bandwidth that each layer takes while it runs; `cycles` has layers on its last axis."""
    if alone_L is None:
        return np.zeros_like(cycles)
    share = np.ceil(FULL * alone_L / np.maximum(1, cycles) - 1e-9).astype(np.int64)
    return np.where(cycles < NEVER, np.minimum(share, FULL), 0)


def graph_rows(work: Workload, first_U: np.ndarray | None) -> list[tuple[int, ...]]:
    """For each row of the cost table of one network the rows that it waits for.

    Args:
        first_U: first row of each unit of a network that is priced unit by unit; None where the rows are the layers
            with MACs.
    """
    if first_U is not None:
        unit_L = np.searchsorted(first_U, np.arange(len(work)), side="right") - 1
        found: list[set[int]] = [set() for _ in first_U]
        for row, before in enumerate(work.predecessors):
            found[unit_L[row]] |= {int(unit_L[p]) for p in before}
        return [tuple(sorted(units - {unit})) for unit, units in enumerate(found)]
    place, sources, rows = 0, [], []
    for kind, before in zip(work.kinds, work.predecessors, strict=True):
        reads = set().union(*(sources[p] for p in before))
        if kind == "vector":
            sources.append(reads)
        else:
            sources.append({place})
            rows.append(tuple(sorted(reads)))
            place += 1
    return rows


def traffic(work: Workload, first_U: np.ndarray | None) -> np.ndarray:
    """Bytes of weights, inputs and outputs of each row of the cost table of one network; arguments as `graph_rows`."""
    bytes_L = np.ceil((work.moved_LO * work.bits_LO).sum(axis=1) / 8)
    if first_U is not None:
        return np.add.reduceat(bytes_L, first_U)
    return bytes_L[np.array([kind != "vector" for kind in work.kinds])]


def paths(before: Sequence[Sequence[int]], weight_L: Sequence[float]) -> list[list[int]]:
    """Every layer in one path of layers that wait for each other, directly or not; the longest path first.

    Greedy: of the layers that are left the path of most weight, again and again. One path a network means that its
    layers can only run one after the other.
    """
    above: list[set[int]] = []
    for layers in before:
        above.append(set(layers).union(*(above[p] for p in layers)))
    left, found = set(range(len(before))), []
    while left:
        best: dict[int, tuple[float, int]] = {}
        for layer in sorted(left):
            longest = max(((best[p][0], p) for p in above[layer] & left), default=(0.0, -1))
            best[layer] = (longest[0] + max(weight_L[layer], 1e-9), longest[1])
        layer, path = max(best, key=lambda i: best[i][0]), []
        while layer >= 0:
            path.append(layer)
            layer = best[layer][1]
        found.append(path[::-1])
        left -= set(path)
    return found


def unit_rows(work: Workload) -> np.ndarray:
    """First row of each unit: each layer with loops and the vector rows after it; the first unit has those before."""
    rows = np.flatnonzero([kind != "vector" for kind in work.kinds])
    return np.concatenate(([0], rows[1:])).astype(np.int64)


def extras_of(
    networks: Mapping[str, Workload], spec: ChipSpec, cycles_MDL: np.ndarray, energy_MDL: np.ndarray
) -> Extras:
    """What the spec asks for beyond a plain table, for costs in every mapping."""
    before: list[tuple[int, ...]] = []
    bytes_L = []
    for work in networks.values():
        first_U = unit_rows(work) if spec.cost_model == "loopnest" else None
        rows = graph_rows(work, first_U)
        if spec.graph == "chain":
            rows = [(row - 1,) if row else () for row in range(len(rows))]
        start = len(before)
        before += [tuple(start + row for row in waits) for waits in rows]
        bytes_L.append(traffic(work, first_U))
    alone_L = None
    if spec.dram is not None:
        alone_L = np.concatenate(bytes_L) * spec.clock_hz / quantity(spec.dram, "dram", "bandwidth")
    return Extras(tuple(before), alone_L, _stretched(cycles_MDL, alone_L), energy_MDL)


def needs_extras(extras: Extras) -> bool:
    """Whether there is anything that a plain table of chains does not say."""
    is_chain = all(waits in ((), (row - 1,)) for row, waits in enumerate(extras.before))
    return not is_chain or extras.alone_L is not None or len(extras.cycles_MDL) > 1


def _stretched(cycles_MDL: np.ndarray, alone_L: np.ndarray | None) -> np.ndarray:
    """Cycles of layers that run at least as long as their bytes take."""
    if alone_L is None:
        return cycles_MDL
    least_L = np.ceil(alone_L - 1e-9).astype(np.int64)
    return np.where(cycles_MDL < NEVER, np.maximum(cycles_MDL, least_L), NEVER)
