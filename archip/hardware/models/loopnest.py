"""Loop nests on any memory hierarchy: the general analytical model, per layer and mapping.

Choose it for anything that the templates describe, and whenever a mapping is to be costed or searched. With `zigzag` it
agrees with ZigZag 3.9.1 on that tool's own mappings, number by number.

A layer is the loops B G K C OY OX FY FX. Some are unrolled over the array; the others make one temporal sequence,
which every operand (W weights, I inputs, O outputs) cuts at its own places: memory i holds what the loops inside its
cut sweep.

- Tiles: products of the relevant loops; for the input, the distinct rows and columns under the window, padding not
  stored. Unrollings are D / t, usually fractions.
- Transfers: a memory hands a tile to the next inner one each time an outer loop advances. Copies of the same data are
  multicast and partial sums of one output are added up free of charge. Partial sums go out and come back at their own
  width as long as a reduction loop is left outside.
- Words: pieces of the minimum port width, each the fraction minimum / maximum of an access.
- Stall: a port's transfers beyond their window (the period behind a double buffer; behind a single one the part in
  which the tile is not in use) add up; spare time of the others helps. Ports work in parallel, the worst one counts.
- On-load and off-load: the first and last transfers, as far as they cannot hide behind the array's work.
- Drain: the skew of a systolic array.

Zero operands: `active_L` is the share of multiplications whose operands are both non-zero; gated multipliers spend no
energy on the others, time and traffic stay dense.
Source: Mei et al., ZigZag, IEEE TC 70(8), 2021, and its public code, release 3.9.1; Mei et al., A uniform latency model
for DNN accelerators, DATE 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archip.core.errors import UserError
from archip.hardware.accelerator import OPERANDS, Accelerator
from archip.hardware.mapping import LOOPS, Mapping
from archip.hardware.models import _kernels as kernels

__all__ = ["Loopnest"]

_DIRECTIONS = ("rd_to_higher", "wr_from_higher", "rd_to_lower", "wr_from_lower")


@dataclass(frozen=True, eq=False)
class MappingCosts:
    """Costs of M mappings. Cycles of the array, of its stalls, of first and last transfers and of the drain; energy.

    `words_MOE4` are accesses of the maximum width per operand, level (inside out) and direction (to and from the next
    outer memory, to and from the next inner one); `worst_M` is the memory whose port stalls the array, or -1.
    """

    compute_M: np.ndarray
    stall_M: np.ndarray
    onload_M: np.ndarray
    offload_M: np.ndarray
    drain_M: np.ndarray
    energy_j_M: np.ndarray
    mac_energy_j_M: np.ndarray
    worst_M: np.ndarray
    words_MOE4: np.ndarray

    @property
    def cycles_M(self) -> np.ndarray:
        """Latency in whole cycles."""
        parts = self.compute_M + self.stall_M + self.onload_M + self.offload_M + self.drain_M
        return np.rint(parts).astype(np.int64)

    directions = _DIRECTIONS


@dataclass(frozen=True)
class Loopnest:
    """The general model.

    Attributes:
        zigzag: keep to three conventions of that tool: latency counts unrollings rounded down, so do the windows of
            the input, and first and last transfers of different operands may use one port at the same time. By default
            unrollings count as they are and a port carries one thing at a time, so that no layer is faster than any
            port can move its data; what is missing is added to the on-load.
    """

    zigzag: bool = False

    def costs(
        self,
        accelerators: Sequence[Accelerator],
        layers_L: np.ndarray,
        which_M2: np.ndarray,
        mappings: Sequence[Mapping],
    ) -> MappingCosts:
        """Costs of given mappings.

        Args:
            layers_L: records from `pack_layers`.
            which_M2: (accelerator, layer) of each mapping.

        Raises:
            UserError: a mapping that does not multiply to its layer, does not fit its array, or is cut wrongly.
        """
        n = len(mappings)
        asked_MDF = np.ones((n, kernels.MAX_ARRAY, 8), dtype=np.int64)
        loops_MT = np.zeros((n, kernels.MAX_LOOPS), dtype=np.int64)
        sizes_MT = np.ones((n, kernels.MAX_LOOPS), dtype=np.int64)
        cuts_MOE = np.zeros((n, 3, kernels.MAX_LEVELS + 1), dtype=np.int64)
        for m, mapping in enumerate(mappings):
            a, layer = which_M2[m]
            _check(mapping, accelerators[a], layers_L["dims_F"][layer], f"mapping {m}")
            for d, unrolled in enumerate(mapping.spatial):
                for loop, times in unrolled:
                    asked_MDF[m, d, LOOPS.index(loop)] = times
            for t, (loop, times) in enumerate(mapping.temporal):
                loops_MT[m, t], sizes_MT[m, t] = LOOPS.index(loop), times
            for o, operand in enumerate(OPERANDS):
                cuts_MOE[m, o, 1 : len(mapping.cuts[operand]) + 1] = mapping.cuts[operand]
        n_loops_M = np.array([len(mapping.temporal) for mapping in mappings], dtype=np.int64)
        results_MR = np.zeros((n, kernels.N_RESULTS))
        words_MOE4 = np.zeros((n, 3, kernels.MAX_LEVELS, 4))
        which_M2 = np.asarray(which_M2, dtype=np.int64)
        arrays = (
            asked_MDF,
            loops_MT,
            sizes_MT,
            n_loops_M,
            cuts_MOE,
            self.zigzag,
            kernels.scratch(),
            results_MR,
            words_MOE4,
        )
        kernels.evaluate_batch(pack_chips(accelerators), layers_L, which_M2, *arrays)
        return MappingCosts(*results_MR.T, words_MOE4=words_MOE4)


def pack_chips(accelerators: Sequence[Accelerator]) -> np.ndarray:
    """Accelerators as records."""
    chips_A = np.zeros(len(accelerators), kernels.CHIP)
    for accelerator, chip in zip(accelerators, chips_A, strict=True):
        _pack_chip(accelerator, chip)
    return chips_A


def _pack_chip(accelerator: Accelerator, chip: np.void) -> None:
    chip["array_D"][:] = 1
    chip["array_D"][: len(accelerator.array)] = list(accelerator.array.values())
    chip["serves_VD"][:] = 1
    for v, memory in enumerate(accelerator.memories):
        chip["bits_V"][v], chip["ports_V"][v] = memory.bits, memory.n_ports
        chip["narrow_V"][v], chip["wide_V"][v] = memory.width_bits
        chip["read_V"][v], chip["write_V"][v] = memory.read_j, memory.write_j
        if v + 1 < len(accelerator.memories):  # the last one serves everything
            chip["serves_VD"][v, : len(accelerator.array)] = [d in memory.serves for d in accelerator.array]
    chip["level_VO"][:] = chip["memory_OE"][:] = -1
    for o, operand in enumerate(OPERANDS):
        levels = accelerator.levels(operand)
        chip["levels_O"][o] = len(levels)
        chip["memory_OE"][o, : len(levels)] = levels
        chip["level_VO"][levels, o] = range(len(levels))
    chip["n_memories"] = len(accelerator.memories)
    for name in ("partial_bits", "multiply_j", "add_j", "multiplier_bits", "systolic"):
        chip[name] = getattr(accelerator, name)


def pack_layers(
    dims_LF: np.ndarray,
    stride_L2: np.ndarray,
    padding_L2: np.ndarray,
    dilation_L2: np.ndarray,
    bits_LO: np.ndarray,
    density_LO: np.ndarray | None = None,
) -> np.ndarray:
    """Layers as records; columns of `dims_LF` are B G K C OY OX FY FX, of the others (y, x) or (W, I, O)."""
    layers_L = np.zeros(len(dims_LF), kernels.LAYER)
    dims_LF, stride_L2, dilation_L2 = (np.asarray(x, dtype=np.int64) for x in (dims_LF, stride_L2, dilation_L2))
    outputs_L2, taps_L2 = dims_LF[:, 4:6], dims_LF[:, 6:8]
    common_L2 = np.gcd(stride_L2, dilation_L2)
    extent_L2 = (outputs_L2 - 1) * stride_L2 + (taps_L2 - 1) * dilation_L2 + 1 - 2 * np.asarray(padding_L2)
    layers_L["dims_F"], layers_L["bits_O"] = dims_LF, bits_LO
    layers_L["step_2"], layers_L["spread_2"] = stride_L2 // common_L2, dilation_L2 // common_L2
    layers_L["extent_2"] = np.maximum(extent_L2, 1)
    layers_L["active"] = 1.0 if density_LO is None else density_LO[:, 0] * density_LO[:, 1]
    return layers_L


def _check(mapping: Mapping, accelerator: Accelerator, dims_F: np.ndarray, where: str) -> None:
    unrolled_F, steps_F = np.ones(8, dtype=np.int64), np.ones(8, dtype=np.int64)
    for (dimension, size), loops in zip(accelerator.array.items(), mapping.spatial, strict=True):
        if (used := int(np.prod([times for _, times in loops], dtype=np.int64))) > size:
            raise UserError(f"{used} units asked for along {dimension}", where, f"at most {size}")
        for loop, times in loops:
            unrolled_F[LOOPS.index(loop)] *= times
    for loop, times in mapping.temporal:
        steps_F[LOOPS.index(loop)] *= times
    for loop, size, unrolled, steps in zip(LOOPS, dims_F, unrolled_F, steps_F, strict=True):
        if steps != -(-size // unrolled):
            right = f"ceil({size} / {unrolled}) iterations in time"
            raise UserError(f"loop {loop} of {size}: {unrolled} in space, {steps} in time", where, right)
    for operand in OPERANDS:
        cuts, levels = mapping.cuts[operand], accelerator.levels(operand)
        if len(cuts) != len(levels) or list(cuts) != sorted(cuts) or cuts[-1] != len(mapping.temporal):
            right = f"{len(levels)} rising numbers, the last {len(mapping.temporal)}"
            raise UserError(f"cuts {cuts} of operand {operand}", where, right)
