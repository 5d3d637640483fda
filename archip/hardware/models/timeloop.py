"""Timeloop: tiles as boxes of elements, on a given mapping of a hierarchy in which every level has sub-units.

Choose it to compare with work that used Timeloop: it takes the mapping as that tool prints it and gives its numbers.
`loopnest` is the better model of a chip (fill, drain, ports, partial sums at their own width) and has mappers.

A model of its own rather than a mode of `loopnest`, since little is common: tiles are what a box moves by, not products
of loops; loops are cut at the same place for all operands; units share data with their neighbours; cycles are loops
and bandwidth only. How accesses are counted: `_timeloop_kernels.py`. Then

    cycles = product of the temporal loops / the smallest of 1 and (words a cycle of a level / words that it has to
             move, once for reading and once for fills and updates)
    energy = (reads + fills + updates) in accesses of a level's block, each count rounded up * energy of an access

without fill, drain, wires, latency of DRAM, or area.
Source: Parashar et al. 2019, Timeloop: A Systematic Approach to DNN Accelerator Evaluation, ISPASS, and the behaviour
of its tool at git 905ba95 with its energy tables (PAT). Differs: closed forms instead of a recursion through the loops;
a mapping that does not fit a level is reported in the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from archip.hardware.models import _timeloop_kernels as kernels
from archip.hardware.models._timeloop_mapping import read_mapping
from archip.ir.layer_table import LayerTable

__all__ = ["Timeloop"]

Table = dict[str, NDArray[Any]]
Count = Annotated[int, Field(ge=1)]

_OPERANDS = {"W": "Weights", "I": "Inputs", "O": "Outputs"}
_WORD_BITS = 16
_MULTIPLY_PJ, _DRAM_WORD_PJ = 1.0, 200.0  # of 16 bits; Source: PAT, Timeloop's built-in table (relative to a MAC)


@dataclass(frozen=True)
class Level:
    """A memory of 16-bit words, or with no words at all only the wires from one unit to several."""

    name: str
    keeps: str  # letters of W, I, O
    words: Annotated[int, Field(ge=0)] | None = None  # None: off-chip
    block: Count = 1  # words in one access
    bandwidth: Annotated[float, Field(gt=0)] | None = None  # words a cycle to read, and as many to write
    mesh: tuple[Count, Count] = (1, 1)  # columns and rows of the next inner level below one instance

    @property
    def access_pj(self) -> float:
        """Energy of one access. Source: PAT; an SRAM of x KB costs 1 + (x - 0.5) 5 / 99.5 for 16 bits."""
        if self.words is None:
            return _DRAM_WORD_PJ * self.block
        kilobytes = self.words * _WORD_BITS / 8192
        return (1 + (kilobytes - 0.5) * 5 / 99.5) * self.block


# Outermost first. Source: configs/mapper/eyeriss-256.yaml of the tool.
EYERISS_256 = (
    Level("DRAM", "WIO"),
    Level("GlobalBuffer", "IO", words=65536, block=4, bandwidth=16, mesh=(16, 1)),
    Level("DummyBuffer", "", words=0, mesh=(1, 16)),
    Level("InputRegFile", "I", words=12, bandwidth=2),
    Level("WeightRegFile", "W", words=192, bandwidth=2),
    Level("PsumRegFile", "O", words=16, bandwidth=2),
)


@dataclass
class Timeloop:
    """Timeloop's cost of layers on one hierarchy."""

    levels: tuple[Level, ...] = EYERISS_256  # outermost first

    def evaluate(self, layers: LayerTable | Mapping[str, ArrayLike], mappings: str | Sequence[str]) -> Table:
        """The tool's numbers for every layer on its mapping (one row is paired with all of the other side).

        Args:
            layers: one row a layer.
            mappings: as the tool prints them, e.g. `DRAM [ ] ; | for K in [0:4) ; Buffer [ ] ; | for C in [0:8)
                (Spatial-X) ...`: levels and loops from the outside in.

        Returns:
            Column → array [M], named as in the tool: `cycles`, `utilization`, `active_pes`, `energy_uj`,
            `mac_energy_pj`, and for each level and operand kept there `_reads`, `_updates`, `_fills` (words of all
            instances), `_energy_pj` and `_cap` (words in use of one instance). Energies are in MACs, in pJ by name
            only. `mapped` is False where a tile does not fit a level: the other columns are then -1 or NaN, and
            `reason` names the level.

        Raises:
            UserError: a mapping that does not have these levels, asks for more sub-units than there are, or whose
                loops do not multiply to the layer.
        """
        table = layers if isinstance(layers, LayerTable) else LayerTable.of(layers)
        texts = [mappings] if isinstance(mappings, str) else list(mappings)
        n = max(len(table), len(texts))
        table = table.select(np.broadcast_to(np.arange(len(table)), n))
        texts = texts * (n if len(texts) == 1 else 1)
        loops_MLF, n_loops_M = read_mapping(texts, table, {level.name: level.mesh for level in self.levels})
        counts_M4VO = np.empty((n, 4, len(self.levels), 3))
        keeps_VO = np.array([[operand in level.keeps for operand in _OPERANDS] for level in reversed(self.levels)])
        mesh_V2 = np.array([level.mesh for level in reversed(self.levels)])
        kernels.count_accesses(loops_MLF, n_loops_M, table.stride, keeps_VO, mesh_V2, counts_M4VO)
        return self._numbers(loops_MLF, table.macs, counts_M4VO[:, :, ::-1])

    def _numbers(self, loops_MLF: NDArray[np.int64], macs_M: NDArray[np.int64], counts_M4VO: NDArray[Any]) -> Table:
        """All columns; the levels of `counts_M4VO` are outermost first, as ours."""
        is_spatial_ML = loops_MLF[:, :, kernels.SPATIAL] == 1
        iterations_ML, level_ML = loops_MLF[:, :, kernels.ITERATIONS], loops_MLF[:, :, kernels.LEVEL]
        units_M = np.where(is_spatial_ML, iterations_ML, 1).prod(axis=1)
        steps_M = np.where(is_spatial_ML, 1, iterations_ML).prod(axis=1)
        result: Table = {"mac_energy_pj": _MULTIPLY_PJ * macs_M}
        energy_M, slowest_M = result["mac_energy_pj"].copy(), np.ones(len(macs_M))
        for v, level in enumerate(self.levels):
            outside_ML = is_spatial_ML & (level_ML >= len(self.levels) - v)
            instances_M = np.where(outside_ML, iterations_ML, 1).prod(axis=1)
            energy_M += self._add_level(result, level, instances_M, counts_M4VO[:, :, v])
            slowest_M = np.minimum(slowest_M, _share_of_demand(level, counts_M4VO[:, :, v], steps_M))
        cycles_M = np.ceil(steps_M / slowest_M).astype(np.int64)
        n_units = np.prod([level.mesh for level in self.levels])
        result |= {
            "cycles": cycles_M,
            "utilization": macs_M / (cycles_M * n_units),
            "active_pes": units_M,
            "energy_uj": energy_M / 1e6,
        }
        return self._with_reasons(result, counts_M4VO[:, kernels.CAP].sum(axis=2))

    def _add_level(self, result: Table, level: Level, instances_M: NDArray[np.int64], counts_M4O: NDArray[Any]) -> Any:
        """Columns of one level; returns its energy."""
        energy_M = np.zeros(len(instances_M))
        for o, (operand, name) in enumerate(_OPERANDS.items()):
            if operand in level.keeps:
                counts_M4 = counts_M4O[:, :, o]
                accesses_M = np.ceil(counts_M4[:, kernels.READS :] / level.block).sum(axis=1)
                result[f"{level.name}_{name}_energy_pj"] = accesses_M * level.access_pj * instances_M
                energy_M += result[f"{level.name}_{name}_energy_pj"]
                result[f"{level.name}_{name}_cap"] = counts_M4[:, kernels.CAP].astype(np.int64)
                for quantity, column in (
                    ("reads", kernels.READS),
                    ("fills", kernels.FILLS),
                    ("updates", kernels.UPDATES),
                ):
                    result[f"{level.name}_{name}_{quantity}"] = counts_M4[:, column].astype(np.int64) * instances_M
        return energy_M

    def _with_reasons(self, result: Table, words_MV: NDArray[Any]) -> Table:
        """Marks the mappings of which a tile does not fit."""
        reason_M = np.full(len(words_MV), "", dtype=object)
        for level, words_M in zip(self.levels, words_MV.T, strict=True):
            for m in np.flatnonzero(words_M > (np.inf if level.words is None else level.words)):
                reason_M[m] = f"{level.name} holds {level.words} of {words_M[m]:.0f} words"
        mapped_M = reason_M == ""
        for column in result.values():
            column[~mapped_M] = -1 if column.dtype == np.int64 else np.nan
        return result | {"mapped": mapped_M, "reason": reason_M}


def _share_of_demand(level: Level, counts_M4O: NDArray[Any], steps_M: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much of what the array asks for in a cycle the level can move, [M]; more than 1 where that is enough."""
    if level.bandwidth is None:
        return np.ones(len(steps_M))
    reads_MO, writes_MO = counts_M4O[:, kernels.READS], counts_M4O[:, [kernels.FILLS, kernels.UPDATES]].sum(axis=1)
    demand_M2 = np.stack([reads_MO, writes_MO], axis=1) / steps_M[:, None, None]
    return level.bandwidth / np.maximum(demand_M2.sum(axis=2).max(axis=1), 1e-300)
