"""ShiDianNao-like core: outputs stand still, rows x columns of the output in parallel.

Choose it for large images and for depthwise convolutions; small feature maps leave PEs idle. Each PE accumulates its
own output; one weight a cycle is broadcast; inputs come in once and are handed from PE to PE while the window moves.
A loop of size 1 (a vector, a matrix product, a 1-D convolution) gives its place to output channels.

Sizes: Y x X nearly square, X the larger. Per PE two 32-bit accumulators, 8 bytes of input and 2 of weight registers.
Activation buffer 512 bytes per PE, at least 64 KiB, four bytes per column and cycle; weight buffer 256 bytes per PE, at
least 32 KiB, one byte per column and cycle. (The chip has 64 PEs and 288 KiB for whole networks.)
Source: Du et al., ShiDianNao, ISCA 2015. Differs: the shared input registers stand for its FIFOs between PEs.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.hardware.accelerator import Dataflow
from archip.hardware.templates._spatial import PARTIAL_BITS, PARTIAL_BYTES, Part, Spatial, grid

__all__ = ["ShiDianNao"]


@dataclass(frozen=True)
class ShiDianNao(Spatial):
    """Output-stationary core."""

    @property
    def array(self) -> dict[str, int]:
        rows, columns = grid(self.pes)
        return {"Y": rows, "X": columns}

    @property
    def parts(self) -> list[Part]:
        columns = self.array["X"]
        return [
            self.register("weight", "W", 2, (8, 8 * columns), serves=("Y", "X"), n_files=self.pes),
            self.register("input", "I", 8, (8, 8 * self.pes), serves=("Y", "X"), n_files=self.pes),
            self.register("accumulator", "O", 2 * PARTIAL_BYTES, (PARTIAL_BITS, PARTIAL_BITS)),
            self.sram("weight buffer", "W", self.buffer_bytes(per_pe=256, least_kib=32), 8 * columns),
            self.sram("activation buffer", "IO", self.buffer_bytes(per_pe=512, least_kib=64), 32 * columns),
        ]

    @property
    def dataflow(self) -> Dataflow:
        return Dataflow(
            unrollings=((("OY|K",), ("OX|K",)),),
            orders=("FX FY K' C K\" OX OY K G B", "FX FY K' C OX OY\" K OY G B"),
        )
