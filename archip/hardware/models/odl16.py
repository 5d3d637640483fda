"""ODL16: cycles of one training step on a microcontroller's cluster of cores with half-precision SIMD.

Choose it to decide what can be trained on a device of the PULP kind: forward, input gradient and weight gradient of
every layer as matrix products over transformed (im2row) data, two half-precision lanes a core. `lanes` 1 is FP32.
Source: Nadalini et al. 2023, Reduced Precision Floating-Point Optimization for DNN On-Device Learning on
MicroControllers, arXiv:2305.19167: cycles = MAC / (cores x lanes x efficiency) + transform bytes / bandwidth + loop
overhead; rows of the result over the cores; unrolled by the best u x v, u and v of 1 to 8.

Choices: efficiency follows from the inner loop, which for u v multiply-accumulates loads u + v operands, an instruction
each, with all of them in the registers; a tile of results costs `overhead_cycles` and, each result, the addition of its
lanes and a store. Groups of a convolution are rows of their own, so a depthwise layer reuses nothing along rows. Only
convolutions with a filter larger than 1 or a stride are transformed, before each of the products. The first layers need
no input gradient. Other operators move their tensors once forward and once back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from archip.hardware.models._light import Count, Floats, Positive, Table
from archip.hardware.models._training import PRODUCTS, needed, products
from archip.ir.workload import Workload

__all__ = ["Odl16"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Odl16:
    """A cluster of cores around one scratchpad; 8 cores and 32 registers are PULP's."""

    cores: Count = 8
    lanes: Annotated[int, Field(ge=1, le=4)] = 2  # multiply-accumulates of one instruction
    registers: Annotated[int, Field(ge=3)] = 32
    bytes_per_cycle: Positive = 8.0  # of the transform: every core moves two bytes in two instructions
    overhead_cycles: Annotated[float, Field(ge=0)] = 10.0  # of a tile of results; recalled order of a loop nest
    clock_hz: Positive = 450e6  # recalled: the chip Vega

    def evaluate(self, workload: Workload) -> Table:
        """One step on the batch of the workload.

        Returns:
            Column → [L]: cycles of the three products (`forward`, `input_gradient`, `weight_gradient`) and of the
            `transform`, their sum `cycles`, `latency_s`, `macs` of all products and `macs_per_cycle`.
        """
        is_nest = workload.macs_L > 0
        done_L3 = needed(workload)
        cycles_L3 = np.stack([self._product(*sizes) for sizes in products(workload)], 1) * done_L3
        n_bytes_L = 4.0 / self.lanes * np.where(is_nest, _transformed(workload) * done_L3.sum(1), _moved(workload))
        transform_L = n_bytes_L / self.bytes_per_cycle
        cycles_L = cycles_L3.sum(1) + transform_L
        macs_L = workload.macs_L * done_L3.sum(1)
        columns = dict(zip(PRODUCTS, cycles_L3.T, strict=True))
        return columns | {
            "transform": transform_L,
            "cycles": cycles_L,
            "latency_s": cycles_L / self.clock_hz,
            "macs": macs_L,
            "macs_per_cycle": macs_L / cycles_L,
        }

    def _product(self, groups: Ints, rows: Ints, columns: Ints, depth: Ints) -> Floats:
        """[L] cycles of products (rows x depth) (depth x columns), each at its best unrolling."""
        u, v = (axis.reshape(-1, 1) for axis in np.meshgrid(np.arange(1, 9), np.arange(1, 9), indexing="ij"))
        fits = u * v + u + v <= self.registers
        u, v = u[fits][:, None], v[fits][:, None]
        tiles = -(-groups * -(-rows // u) // self.cores) * -(-columns // v)
        store = u * v * (np.log2(self.lanes) + 1)
        cycles = tiles * (self.overhead_cycles + -(-depth // self.lanes) * (u * v + u + v) + store)
        return cycles.min(0)


def _transformed(workload: Workload) -> Floats:
    """[L] elements of the im2row matrix; 0 where the input serves as it is."""
    B, G, _, C, OY, OX, FY, FX = workload.dims_LD.T
    is_needed = (FY * FX > 1) | (workload.stride_L2 > 1).any(1)
    return np.where(is_needed, B * G * C * OY * OX * FY * FX, 0).astype(np.float64)


def _moved(workload: Workload) -> Floats:
    return 2.0 * workload.moved_LO.sum(1)
