"""Row-stationary passes: time, traffic and power of an Eyeriss chip, pass by pass.

Choose it to ask what the Eyeriss chip would do; `eyeriss_folding` is lighter, `loopnest` with ``eyeriss_168`` searches
mappings on the same hardware as general loop nests. A pass keeps p filters x q channels of weights in every PE, on r
sets of PEs with different channels and t sets with different filters, for n images:

    compute  = p q S F + p F      each product a cycle, and a cycle to add a PE's sum to its neighbour's
    sums     = p t h F / 4        in and out of the buffer, 64 bits each way
    inputs   = q r ((h - 1) stride + R) W    16 bits a cycle
    pass     = n max(compute, sums, inputs) + p q r t R S / 4    weights come first, 64 bits a cycle

with h output rows in the array (the folding rule of `eyeriss_folding`), F outputs and W inputs a row; padding is
neither stored nor sent. Of all p, q, r, t, n whose sums and twice whose inputs fit the buffer, the one with the fewest
cycles is taken, of equals the one that moves the fewest words.
Latency adds the inputs' way from DRAM, which the first pass waits for. Power is that of the components (65 nm table;
an input that is zero gates weight, multiplier and sum) with two numbers that no table has: `idle_w` for clock, control
and leakage, and `product_scale`, what a product takes in the chip's own PE (pipeline registers, control, its memories)
above the table's parts. Both are solved from the chip's one dense layer, AlexNet's first (332 mW), and VGG-16's total
(236 mW), at the measured times of both; AlexNet's other layers and its total are not used. DRAM is not in it, nor in
the chip's figures.
Source: Chen et al., Eyeriss, ISCA 2016 and IEEE JSSC 52(1), 2017; widths of the buses and the adder's cycle recalled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archip.hardware.models._light import Count, Positive, Table
from archip.hardware.models.eyeriss_folding import EyerissFolding
from archip.hardware.technology.nm65 import NM65
from archip.ir.workload import Workload

__all__ = ["RowStationary"]

_WORD = 2  # bytes


class Pass(NamedTuple):
    """The best pass of a layer: cycles of the whole layer, sums and inputs through the buffer in words, its sizes."""

    cycles: float
    buffer_words: float
    hops: float
    sizes: tuple[int, ...]  # p, q, r, t, n


@dataclass(frozen=True)
class RowStationary:
    """An Eyeriss chip; defaults are the chip."""

    array: EyerissFolding = field(default_factory=EyerissFolding)
    bus_words: Count = 4  # of weights and of sums, a cycle
    input_bus_words: Count = 1
    link_bytes_per_s: Positive = 480e6  # 64 bits at 60 MHz
    idle_w: Positive = 0.1834
    product_scale: Positive = 1.842
    wire_mm: Positive = 1.75  # between buffer and PEs: half the side of the core

    def evaluate(self, workload: Workload) -> Table:
        """Every layer with a loop nest; the others are 0 throughout.

        Returns:
            Column → [L]: `active_pes`, `processing_s`, `latency_s`, `buffer_words`, `dram_words` of 16 bits, `power_w`
            of the chip; NaN where no pass fits.
        """
        light = self.array.evaluate(workload)
        passes = [self.best_pass(workload, i) for i in range(len(workload))]
        processing_L = np.array([found.cycles for found in passes]) / self.array.clock_hz
        inputs_L = workload.moved_LO[:, 1] * workload.density_LO[:, 1] * (workload.macs_L > 0)
        latency_L = processing_L + inputs_L * _WORD / self.link_bytes_per_s
        buffer_L = np.array([found.buffer_words for found in passes])
        energy_L = self._energy_j(workload, buffer_L, np.array([found.hops for found in passes]))
        power_L = np.divide(energy_L, latency_L, out=np.zeros(len(workload)), where=latency_L != 0)
        return {
            "active_pes": light["active_pes"],
            "processing_s": processing_L,
            "latency_s": latency_L,
            "buffer_words": buffer_L,
            "dram_words": light["dram_words"],
            "power_w": np.where(latency_L == 0, 0.0, power_L + self.idle_w),
        }

    def best_pass(self, workload: Workload, layer: int) -> Pass:
        """The pass with the fewest cycles of all that the scratchpads and the buffer hold."""
        if not workload.macs_L[layer]:
            return Pass(0.0, 0.0, 0.0, ())
        B, G, K, C, E, F, FY, S = workload.dims_LD[layer].tolist()
        pieces, height, sets = self._folded(E, FY)
        R, (stride_y, stride_x) = -(-FY // pieces), workload.stride_L2[layer]
        filters, inputs, sums = self.array.pe_words
        sizes = (min(sums, K), max(1, min(inputs // S, C)), sets, B)
        p, q, r, n = (a.ravel() for a in np.meshgrid(*(np.arange(1, size + 1) for size in sizes), indexing="ij"))
        t = sets // r
        pad_y, pad_x = workload.padding_L2[layer]
        in_rows = min((height - 1) * stride_y + R, (E - 1) * stride_y + FY - 2 * pad_y)
        in_words = q * r * in_rows * ((F - 1) * stride_x + S - 2 * pad_x)
        out_words = p * t * height * F
        compute = p * F * (q * S + 1)
        busy = np.maximum(compute, np.maximum(out_words / self.bus_words, in_words / self.input_bus_words))
        one = n * busy + p * q * r * t * R * S / self.bus_words
        rounds_C = -(-C // (q * r)) * pieces
        rounds = G * -(-B // n) * -(-E // height) * -(-K // (p * t)) * rounds_C
        fits = (n * (out_words + 2 * in_words) <= self.array.buffer_words) & (p * q * S <= filters)
        if not fits.any():
            return Pass(np.nan, np.nan, np.nan, ())
        moved = n * rounds * (out_words * (2 - 1 / rounds_C) + in_words)
        best = int(np.lexsort((moved, np.where(fits, one * rounds, np.inf)))[0])
        hops = (n * rounds * out_words * r)[best] * R
        cycles, chosen = float(one[best] * rounds[best]), tuple(int(a[best]) for a in (p, q, r, t, n))
        return Pass(cycles, float(moved[best]), float(hops), chosen)

    def _folded(self, E: int, FY: int) -> tuple[int, int, int]:
        """(pieces of a filter that is too high, output rows in the array, sets of PEs that hold as many)."""
        rows, columns = self.array.rows, self.array.columns
        pieces = -(-FY // rows)
        stacked = rows // -(-FY // pieces)
        strips = -(-E // columns)
        if strips > stacked:
            return pieces, -(-E // strips) * stacked, 1
        return pieces, E, stacked // strips * max(columns // E, 1)

    def _energy_j(self, workload: Workload, buffer_L: NDArray[np.float64], hops_L: NDArray[np.float64]) -> np.ndarray:
        """Energy of multipliers, scratchpads, buffer and wires, in J."""
        filters, inputs, sums = (NM65.register_j(_WORD * words) for words in self.array.pe_words)
        operations = NM65.operations_j
        product = operations["int16 multiply"] + operations["int16 add"] + filters[0] + sum(sums)
        buffer_j = sum(NM65.sram_j(_WORD * self.array.buffer_words)) / 2 / 4  # a quarter of 64 bits
        wire_j = 8 * _WORD * NM65.wire_j_per_bit_mm
        pitch_mm = 2 * self.wire_mm / self.array.columns
        active_L = workload.macs_L * workload.density_LO[:, 0] * workload.density_LO[:, 1]
        words = buffer_j + wire_j * self.wire_mm
        return (
            active_L * product * self.product_scale
            + workload.macs_L * inputs[0]
            + buffer_L * words
            + hops_L * wire_j * pitch_mm
        )
