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

Zero operands: gated multipliers spend no energy on multiplications of which an operand is zero; time and traffic stay
dense. Structured sparsity: where the accelerator skips (`Accelerator.skipping`, n of m) and the layer's weights are
that sparse, C shrinks to ceil(C / m) n; a weight is stored with its index of ceil(log2 m) bits; and each step along C
takes the inputs of m / n channels, of which the index selects one, so that input traffic stays dense.
Source: Mei et al., ZigZag, IEEE TC 70(8), 2021, and its public code, release 3.9.1; Mei et al., A uniform latency model
for DNN accelerators, DATE 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archip.core.errors import UserError
from archip.hardware import cold_start
from archip.hardware.accelerator import OPERANDS, Accelerator, Skipping
from archip.hardware.mapping import LOOPS, Mapping
from archip.hardware.models import _kernels as kernels

__all__ = ["Loopnest"]

_PARTS = ("compute_M", "stall_M", "onload_M", "offload_M", "drain_M", "energy_j_M", "mac_energy_j_M", "worst_M")
_DIRECTIONS = ("rd_to_higher", "wr_from_higher", "rd_to_lower", "wr_from_lower")


@dataclass(frozen=True, eq=False)
class MappingCosts:
    """Costs of M mappings. Cycles of the array, of its stalls, of first and last transfers and of the drain; energy.

    `words_MOE4` are accesses of the maximum width per operand, level (inside out) and direction (`directions`: to and
    from the next outer memory, to and from the next inner one), `bits_MOE4` the same in bits and `energy_j_MOE` in J;
    `worst_M` is the memory whose port stalls the array, or -1.
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
    bits_MOE4: np.ndarray
    energy_j_MOE: np.ndarray
    accelerators: Sequence[Accelerator]
    which_M2: np.ndarray

    directions = _DIRECTIONS

    @property
    def cycles_M(self) -> np.ndarray:
        """Latency in whole cycles."""
        parts = self.compute_M + self.stall_M + self.onload_M + self.offload_M + self.drain_M
        return np.rint(parts).astype(np.int64)

    def bottleneck(self, m: int) -> str:
        """``compute``, or the name of the memory that the array waits for longest."""
        memories = self.accelerators[self.which_M2[m, 0]].memories
        worst = memories[int(self.worst_M[m])].name
        waits = {"compute": self.compute_M[m] + self.drain_M[m], worst: self.stall_M[m]}
        waits[memories[-1].name] = waits.get(memories[-1].name, 0.0) + self.onload_M[m] + self.offload_M[m]
        return max(waits, key=lambda name: waits[name])

    def breakdown(self, m: int) -> list[dict[str, str | float]]:
        """One row for each operand at each of its memories: accesses, bytes read and written, energy in J."""
        accelerator, rows = self.accelerators[self.which_M2[m, 0]], []
        for o, operand in enumerate(OPERANDS):
            for e, v in enumerate(accelerator.levels(operand)):
                words = dict(zip(_DIRECTIONS, self.words_MOE4[m, o, e].tolist(), strict=True))
                reads, writes = self.bits_MOE4[m, o, e, ::2].sum() / 8, self.bits_MOE4[m, o, e, 1::2].sum() / 8
                totals = {"read_bytes": reads, "written_bytes": writes, "energy_j": float(self.energy_j_MOE[m, o, e])}
                rows.append({"operand": operand, "memory": accelerator.memories[v].name, **words, **totals})
        return rows


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
            layers_L: records from `pack_layers`; what an accelerator skips is left out of them here.
            which_M2: (accelerator, layer) of each mapping.

        Raises:
            UserError: a mapping that does not multiply to its layer, does not fit its array, or is cut wrongly.
        """
        cold_start.listen()
        n, given_M2 = len(mappings), np.asarray(which_M2, dtype=np.int64)
        layers_L, which_M2 = fit_to_accelerators(accelerators, layers_L, given_M2)
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
        chips_A = pack_chips(accelerators)
        kernels.evaluate_batch(chips_A, layers_L, which_M2, *arrays)
        parts = dict(zip(_PARTS, results_MR.T, strict=True))
        bits_MOE4, energy_j_MOE = _totals(chips_A[given_M2[:, 0]], words_MOE4)
        return MappingCosts(
            **parts,
            words_MOE4=words_MOE4,
            bits_MOE4=bits_MOE4,
            energy_j_MOE=energy_j_MOE,
            accelerators=accelerators,
            which_M2=given_M2,
        )


def _totals(chips_M: np.ndarray, words_MOE4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bits and energy in J of the accesses."""
    memory_MOE = chips_M["memory_OE"]
    at = np.arange(len(chips_M))[:, None, None], memory_MOE
    read_MOE, write_MOE = chips_M["read_V"][at], chips_M["write_V"][at]
    j_MOE4 = np.stack([read_MOE, write_MOE, read_MOE, write_MOE], -1)
    return words_MOE4 * chips_M["wide_V"][at][..., None], (words_MOE4 * j_MOE4).sum(-1)


def pack_chips(accelerators: Sequence[Accelerator]) -> np.ndarray:
    """Accelerators as records."""
    chips_A = np.zeros(len(accelerators), kernels.CHIP)
    for accelerator, chip in zip(accelerators, chips_A, strict=True):
        _pack_chip(accelerator, chip)
    kernels.connect(chips_A)
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
    layers_L["product_bits"] = layers_L["bits_O"][:, 0] * layers_L["bits_O"][:, 1]
    layers_L["density_O"] = 1.0 if density_LO is None else density_LO
    layers_L["active"] = layers_L["density_O"][:, 0] * layers_L["density_O"][:, 1]
    return layers_L


def fit_to_accelerators(
    accelerators: Sequence[Accelerator], layers_L: np.ndarray, which_P2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The layers as the accelerators run them, and which of these each pair means: zeros that are skipped left out."""
    which_P2 = np.array(which_P2, dtype=np.int64)
    rules = {a.skipping for a in accelerators if a.skipping is not None}
    parts = [layers_L]
    for k, skipping in enumerate(sorted(rules, key=lambda s: (s.m, s.n))):
        parts.append(_without_zeros(layers_L, skipping))
        skips_A = np.array([a.skipping == skipping for a in accelerators])
        which_P2[skips_A[which_P2[:, 0]], 1] += (k + 1) * len(layers_L)
    return np.concatenate(parts) if rules else layers_L, which_P2


def _without_zeros(layers_L: np.ndarray, skipping: Skipping) -> np.ndarray:
    """Layers with n of every m weights along C; those that are not that sparse, or have fewer channels, as they are."""
    fitted_L, share = layers_L.copy(), skipping.n / skipping.m
    channels_L, density_L = layers_L["dims_F"][:, 3], layers_L["density_O"][:, 0]
    skipped_L = (density_L <= share + 1e-9) & (channels_L >= skipping.m)
    fitted_L["dims_F"][skipped_L, 3] = -(-channels_L[skipped_L] // skipping.m) * skipping.n
    fitted_L["bits_O"][skipped_L, 0] += skipping.index_bits
    fitted_L["bits_O"][skipped_L, 1] /= share
    fitted_L["density_O"][skipped_L, 0] /= share
    fitted_L["active"][skipped_L] /= share
    return fitted_L


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
