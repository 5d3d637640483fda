"""Simba-like core: PEs of 8 x 8 multipliers with buffers of their own, over a grid of input x output channels.

Choose it for bigger arrays that have to keep their memories near: every PE holds its weights and inputs, and only
sums and inputs cross the chip. Without 64 multipliers a PE is not filled; depthwise convolutions use an eighth of it.

Sizes: PEs of 64 multipliers (8 output channels x 8 input channels) where 64 divides their number, else of 4 x 4, 2 x 2
or 1, on a nearly square grid. Per PE 32 KiB of weights, 8 KiB of inputs, 3 KiB of sums (these for 64 multipliers, in
proportion for smaller ones), one weight register per multiplier. Global buffer 64 bytes per multiplier, 64 KiB or more.
Source: Shao et al., Simba, MICRO 2019 (one chiplet: 16 such PEs, 64 KiB; recalled). Differs: sums of 32 bits, the paper
has 24; the network between PEs is free.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.hardware.accelerator import Dataflow
from archip.hardware.templates._spatial import PARTIAL_BITS, Part, Spatial, grid

__all__ = ["Simba"]


@dataclass(frozen=True)
class Simba(Spatial):
    """Core of vector PEs."""

    @property
    def array(self) -> dict[str, int]:
        side = next(s for s in (8, 4, 2, 1) if self.pes % (s * s) == 0)
        rows, columns = grid(self.pes // side**2)
        return {"column": columns, "row": rows, "vector": side, "lane": side}

    @property
    def parts(self) -> list[Part]:
        side, inside = self.array["lane"], ("vector", "lane")
        share = side * side / 64
        return [
            self.register("weight", "W", 1, (8, 8)),
            self.sram("weight buffer", "W", round(32768 * share), 8 * side * side, inside),
            self.sram("input buffer", "I", round(8192 * share), 8 * side, inside),
            self.sram("sum buffer", "O", round(3072 * share), PARTIAL_BITS * side, inside),
            self.sram("global buffer", "IO", self.buffer_bytes(per_pe=64, least_kib=64), 64 * self.array["column"]),
        ]

    @property
    def dataflow(self) -> Dataflow:
        return Dataflow(
            unrollings=(
                (("K", "G"), ("C",), ("K", "G"), ("C",)),
                (("K", "G"), ("OY", "OX"), ("K", "G"), ("C",)),
            ),
            orders=("OX' OY' FX FY C K\" OX OY K G B", "OX' OY' FX FY C OX OY\" K OY G B"),
        )
