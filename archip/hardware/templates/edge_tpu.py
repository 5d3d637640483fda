"""Edge-TPU-like core: output channels x input channels x a patch of outputs in parallel.

Choose it for convolutional networks on a small chip: half of the array's reuse comes from the patch, so fewer channels
fill it, and each weight serves the whole patch. Depthwise convolutions get one lane for each group and the patch.

Sizes: the patch is 4 x 4 from 256 PEs on, 2 x 2 from 16 on, where its size divides their number, else 1; K x C share
the rest, nearly square, C the smaller. Per K and C one byte of weights, per K and output one 32-bit sum. Weight buffer
32 bytes per PE, at least 16 KiB; activation buffer 2 KiB per PE, at least 64 KiB.
Source: the accelerator edge_tpu_like that ZigZag ships (1024 PEs as 8 x 8 x 4 x 4, 32 KB and 2 MB). Differs: sums of
32 bits; the real chip's inside is not published.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.hardware.accelerator import Dataflow
from archip.hardware.templates._spatial import PARTIAL_BITS, PARTIAL_BYTES, Part, Spatial, grid

__all__ = ["EdgeTPU"]


@dataclass(frozen=True)
class EdgeTPU(Spatial):
    """Core of channels x channels x patch."""

    @property
    def array(self) -> dict[str, int]:
        side = next(s for s in (4, 2, 1) if self.pes % (s * s) == 0 and self.pes >= s**4)
        channels, kernels = grid(self.pes // side**2)
        return {"K": kernels, "C": channels, "X": side, "Y": side}

    @property
    def parts(self) -> list[Part]:
        array = self.array
        weights = 8 * array["K"] * array["C"]
        inputs = 8 * array["C"] * array["X"] * array["Y"]
        return [
            self.register("weight", "W", 1, (8, 8), serves=("X", "Y")),
            self.register("sum", "O", PARTIAL_BYTES, (PARTIAL_BITS, PARTIAL_BITS), serves=("C",)),
            self.sram("weight buffer", "W", self.buffer_bytes(per_pe=32, least_kib=16), weights),
            self.sram("activation buffer", "IO", self.buffer_bytes(per_pe=2048, least_kib=64), 2 * inputs),
        ]

    @property
    def dataflow(self) -> Dataflow:
        return Dataflow(
            unrollings=((("K", "G"), ("C",), ("OX", "OY"), ("OY", "B")),),
            orders=('FX FY C OX OY" OY K G B', 'FX FY C K" OX OY K G B', 'FX FY OX OY C K" K G B'),
        )
