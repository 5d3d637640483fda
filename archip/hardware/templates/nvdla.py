"""NVDLA-like core: weights stand still, output channels x input channels in parallel.

Choose it for layers with many channels; it wastes multipliers on first layers and on depthwise convolutions, which get
one lane for each group. Each multiplier holds its weight; inputs are broadcast along K, products are added up along C
and gathered in 32 accumulators per output channel, so a weight is used for a strip of up to 32 outputs.

Sizes: K x C nearly square, C the smaller. A weight register of 2 bytes per PE. Weight and activation buffer each 256
bytes per PE, at least 32 KiB (the large NVDLA has 512 KiB for 1024 multipliers); the weight buffer refills the array
in 8 cycles, the activation buffer delivers two bytes per input channel and cycle.
Source: NVDLA hardware architecture specification, nvdla.org (convolution core, CBUF, CACC). Differs: CBUF's banks are
divided evenly between weights and activations, and outputs stay in the activation buffer while they fit.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.hardware.accelerator import Dataflow
from archip.hardware.templates._spatial import PARTIAL_BITS, PARTIAL_BYTES, Part, Spatial, grid

__all__ = ["NVDLA"]


@dataclass(frozen=True)
class NVDLA(Spatial):
    """Weight-stationary core."""

    @property
    def array(self) -> dict[str, int]:
        channels, kernels = grid(self.pes)
        return {"K": kernels, "C": channels}

    @property
    def parts(self) -> list[Part]:
        n_bytes = self.buffer_bytes(per_pe=256, least_kib=32)
        return [
            self.register("weight", "W", 2, (8, 8)),
            self.register("accumulator", "O", 32 * PARTIAL_BYTES, (PARTIAL_BITS, PARTIAL_BITS), serves=("C",)),
            self.sram("weight buffer", "W", n_bytes, self.pes),
            self.sram("activation buffer", "IO", n_bytes, 16 * self.array["C"]),
        ]

    @property
    def dataflow(self) -> Dataflow:
        return Dataflow(
            unrollings=((("K", "G"), ("C",)),),
            orders=("OX' OY' FX FY C K\" OX OY K G B", "OX' OY' FX FY C OX OY\" K OY G B"),
        )
