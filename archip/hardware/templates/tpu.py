"""TPU-like core: a systolic array, weights stand still and sums move on.

Choose it for matrix products and convolutions with many channels; it waits for the skew of the array at the end of each
layer, wastes most of it on depthwise convolutions, and every sum goes through the buffer between rounds of channels.
Output channels lie along the columns, input channels along the rows; inputs enter at the side, one a row and cycle, and
sums leave at the bottom, one a column and cycle.

Sizes: rows x columns nearly square, columns the larger. Per PE 64 weights, of which the array uses one at a time, and
one 32-bit sum on its way. Activation buffer 2 KiB per PE, at least 64 KiB, as wide as the array's inputs and sums;
weights come from off-chip memory straight to the PEs. (The first TPU has 65,536 PEs, 28 MiB, and two tiles of weights.)
Source: Jouppi et al., In-datacenter performance analysis of a tensor processing unit, ISCA 2017; the memories are those
of ZigZag's tpu_like. Differs: sums stay in the PE while the taps of a filter pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from archip.hardware.accelerator import Dataflow
from archip.hardware.templates._spatial import PARTIAL_BITS, PARTIAL_BYTES, Part, Spatial, grid

__all__ = ["TPU"]


@dataclass(frozen=True)
class TPU(Spatial):
    """Systolic weight-stationary core."""

    is_systolic: ClassVar[bool] = True

    @property
    def array(self) -> dict[str, int]:
        rows, columns = grid(self.pes)
        return {"column": columns, "row": rows}

    @property
    def parts(self) -> list[Part]:
        width = 8 * self.array["row"] + PARTIAL_BITS * self.array["column"]
        return [
            self.register("weights", "W", 64, (8, 8)),
            self.register("sum", "O", PARTIAL_BYTES, (PARTIAL_BITS, PARTIAL_BITS)),
            self.sram("unified buffer", "IO", self.buffer_bytes(per_pe=2048, least_kib=64), width),
        ]

    @property
    def dataflow(self) -> Dataflow:
        return Dataflow(
            unrollings=((("K", "G"), ("C",)),),
            orders=('FX FY C OX OY" OY K G B', 'FX FY C K" OX OY K G B', 'FX FY OX OY C K" K G B'),
        )
