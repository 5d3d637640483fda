"""Eyeriss-like core: rows stand still, filter rows x output rows in parallel.

Choose it where energy counts and channels are few; its scratchpads take most of its area. A PE slides one filter row
over one input row; partial sums are added up along the filter rows. Rows of the array that the filter leaves free are
folded with input channels, output channels or groups, and free columns likewise.

Sizes: rows x columns nearly square, columns the larger (168 PEs make 12 x 14). Per PE 24 bytes for inputs, 384 for
weights, 16 partial sums of 32 bits. Buffer for inputs and outputs 640 bytes per PE, at least 64 KiB (the chip: 108 KiB
for 168 PEs), two bytes per column and cycle. Weights go from off-chip memory straight to the PEs.
Source: Chen et al., Eyeriss, IEEE JSSC 52(1), 2017; scratchpads as in Accelergy's example eyeriss_like. Differs: 8-bit
operands and 32-bit partial sums; the window's overlap is used within a strip of outputs, not along the whole row.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.hardware.accelerator import Dataflow
from archip.hardware.templates._spatial import PARTIAL_BITS, PARTIAL_BYTES, Part, Spatial, grid

__all__ = ["Eyeriss"]


@dataclass(frozen=True)
class Eyeriss(Spatial):
    """Row-stationary core."""

    @property
    def array(self) -> dict[str, int]:
        rows, columns = grid(self.pes)
        return {"row": rows, "column": columns}

    @property
    def parts(self) -> list[Part]:
        return [
            self.register("input scratchpad", "I", 24, (8, 16)),
            self.register("weight scratchpad", "W", 384, (8, 16)),
            self.register("sum scratchpad", "O", 16 * PARTIAL_BYTES, (PARTIAL_BITS, PARTIAL_BITS)),
            self.sram("global buffer", "IO", self.buffer_bytes(per_pe=640, least_kib=64), 16 * self.array["column"]),
        ]

    @property
    def dataflow(self) -> Dataflow:
        return Dataflow(
            unrollings=((("FY", "C"), ("OY", "K")), (("FY", "K"), ("OY", "C")), (("FY", "G"), ("OY", "G"))),
            orders=("K' FX OX' C FY K\" OX OY K G B", "K' FX OX' C FY OX OY\" K OY G B"),
        )
