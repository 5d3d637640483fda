"""HAO: how an FPGA is divided between the engines of a network, one engine for each kind of its layers; exact.

Choose it for a network of convolutions on an FPGA whose DSP slices, LUTs and block RAMs are the limits. The kinds are
k x k, pointwise and depthwise convolutions; linear layers run on the pointwise engine. An engine has unroll factors for
output channels, input channels and pixels, and the bits of its widest layer. ``sequential``: the engines work one after
the other, the latency is the sum over the layers. ``pipelined``: they work at the same time on different images; what
is minimised is the interval between images, the time of the slowest engine or of the DRAM.
Source: Dong et al. 2021, arXiv:2104.12766, section IV, as on the card (integer program over parallel factors within
DSP, LUT, BRAM and bandwidth). Differs: solved by merging the engines' undominated designs, which is exact in integers.
Choices where the card is open: factors are powers of two; a DSP slice does 1 product, 2 of at most 8 bits (Xilinx
WP486) or 4 of at most 4 bits (WP521); block RAMs of 18 Kb, 36 bits wide, hold the filters in work twice and the input
rows under them; every tensor crosses the DRAM link once; LUTs are linear in the products a cycle; operators without
MACs are applied on the way. Budgets by default are those of the ZU3EG (360 DSPs, 70,560 LUTs, 432 blocks).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from archip.core.errors import CandidateError
from archip.core.pareto import non_dominated_mask
from archip.ir.workload import DIMS, Workload

__all__ = ["HAO"]

Kind = Literal["conv", "pointwise", "depthwise"]
_BLOCK_BITS, _BLOCK_WORDS = 36, 512
_G, _K, _C, _OY, _OX, _FY, _FX = (DIMS.index(name) for name in ("G", "K", "C", "OY", "OX", "FY", "FX"))


class Engine(NamedTuple):
    """One engine: products over (output channels, input channels, pixels) a cycle, its share, its cycles an image."""

    kind: Kind
    unroll: tuple[int, int, int]
    dsps: int
    luts: int
    brams: int
    cycles: int


@dataclass(frozen=True)
class Plan:
    """The engines, and cycles of an image (`sequential`) or between two images (`pipelined`)."""

    engines: tuple[Engine, ...]
    cycles: int


class Designs(NamedTuple):
    """Designs of one engine. D designs, R resources (DSPs, LUTs, block RAMs)."""

    unroll_D3: np.ndarray
    needs_DR: np.ndarray
    cycles_D: np.ndarray

    def select(self, rows: np.ndarray) -> Designs:
        return Designs(*(column[rows] for column in self))


@dataclass(frozen=True)
class HAO:
    """The division of least cycles within the budgets; of equal ones that with fewest DSPs, then LUTs, then blocks."""

    dsps: Annotated[int, Field(ge=1)] = 360
    luts: Annotated[int, Field(ge=1)] = 70_560
    brams: Annotated[int, Field(ge=1)] = 432
    bytes_per_cycle: Annotated[float, Field(gt=0)] = 16.0  # to and from DRAM
    mode: Literal["sequential", "pipelined"] = "sequential"
    most: Annotated[int, Field(ge=1, le=256)] = 64  # largest factor
    luts_per_product: Annotated[int, Field(ge=0)] = 40
    luts_per_engine: Annotated[int, Field(ge=0)] = 2000

    def plan(self, work: Workload) -> Plan:
        """The best division for one network.

        Raises:
            CandidateError: an operator without an engine, or engines that do not fit together.
        """
        of_kind = self.designs(work)
        chosen = self._merged(list(of_kind.values()))
        if chosen is None:
            raise CandidateError(f"engines for {', '.join(of_kind)} do not fit into {self._budgets.tolist()}")
        engines: list[Engine] = []
        for (kind, designs), d in zip(of_kind.items(), chosen, strict=True):
            k, c, x = designs.unroll_D3[d].tolist()
            dsps, luts, brams = designs.needs_DR[d].tolist()
            engines.append(Engine(kind, (k, c, x), dsps, luts, brams, int(designs.cycles_D[d])))
        cycles = [engine.cycles for engine in engines]
        if self.mode == "sequential":
            return Plan(tuple(engines), sum(cycles))
        layers = work.select([i for i, kind in enumerate(work.kinds) if kind != "vector"])
        return Plan(tuple(engines), max(*cycles, int(_dram_cycles(layers, self.bytes_per_cycle).sum())))

    def designs(self, work: Workload) -> dict[Kind, Designs]:
        """All designs of every engine that the network needs, whether they fit or not."""
        rows_of: dict[Kind, list[int]] = {}
        for i, kind in enumerate(work.kinds):
            if kind != "vector":
                rows_of.setdefault(_kind(work, i), []).append(i)
        return {kind: self._designs(kind, work.select(rows_of[kind])) for kind in sorted(rows_of)}

    @property
    def _budgets(self) -> np.ndarray:
        return np.array([self.dsps, self.luts, self.brams])

    def _designs(self, kind: Kind, work: Workload) -> Designs:
        """Cycles and needs of every combination of factors; a depthwise engine unrolls channels and pixels."""
        factors = [2**n for n in range(self.most.bit_length())]
        unroll_D3 = np.array(list(product(factors, factors if kind != "depthwise" else [1], factors)))
        k, c, x = (unroll_D3[:, [i]] for i in range(3))
        dims_LD = work.dims_LD
        outputs_L, inputs_L = (dims_LD[:, [_G]] if kind == "depthwise" else dims_LD[:, [_K]]).T[0], dims_LD[:, _C]
        taps_L = dims_LD[:, _FY] * dims_LD[:, _FX]
        repeats_L = dims_LD[:, 0] * (1 if kind == "depthwise" else dims_LD[:, _G])
        pixels_L = dims_LD[:, _OY] * dims_LD[:, _OX]
        compute_DL = _ceil(outputs_L, k) * _ceil(inputs_L, c) * _ceil(pixels_L, x) * taps_L * repeats_L
        if self.mode == "sequential":
            compute_DL = np.maximum(compute_DL, _dram_cycles(work, self.bytes_per_cycle))
        bits_w, bits_i = work.bits_LO[:, :2].max(axis=0).astype(int)
        lanes_D = unroll_D3.prod(axis=1)
        read, read_L = (k, outputs_L) if kind == "depthwise" else (c, inputs_L)  # channels of the input
        rows_L = dims_LD[:, _FY] + work.stride_L2[:, 0]
        filters_D = 2 * (taps_L * _ceil(inputs_L, c)).max(axis=1)
        inputs_D = (_ceil(read_L, read) * rows_L * _ceil(dims_LD[:, _OX] * work.stride_L2[:, 1], x)).max(axis=1)
        brams_D = _blocks((k * c)[:, 0] * bits_w, filters_D) + _blocks((read * x)[:, 0] * bits_i, inputs_D)
        dsps_D = _ceil(lanes_D, _products_a_slice(max(bits_w, bits_i)))
        luts_D = self.luts_per_engine + self.luts_per_product * lanes_D
        return Designs(unroll_D3, np.stack([dsps_D, luts_D, brams_D], axis=1), compute_DL.sum(axis=1))

    def _merged(self, engines: list[Designs]) -> tuple[int, ...] | None:
        """Design of each engine; None if no combination fits."""
        together = Designs(np.zeros((1, 0), np.int64), np.zeros((1, 3), np.int64), np.zeros(1, np.int64))
        for designs in engines:  # `unroll` of what is merged are the numbers of the designs
            numbered = designs._replace(unroll_D3=np.arange(len(designs.cycles_D))[:, None])
            together = self._undominated(self._pairs(together, self._undominated(numbered)))
        return tuple(together.unroll_D3[0].tolist()) if len(together.cycles_D) else None

    def _pairs(self, a: Designs, b: Designs) -> Designs:
        """All combinations."""
        i, j = (index.ravel() for index in np.indices((len(a.cycles_D), len(b.cycles_D))))
        add = np.add if self.mode == "sequential" else np.maximum
        numbers = np.concatenate([a.unroll_D3[i], b.unroll_D3[j]], axis=1)
        return Designs(numbers, a.needs_DR[i] + b.needs_DR[j], add(a.cycles_D[i], b.cycles_D[j]))

    def _undominated(self, designs: Designs) -> Designs:
        """Those that fit and that no other one beats in cycles and all resources, best first; of twins the first."""
        designs = designs.select(np.flatnonzero((designs.needs_DR <= self._budgets).all(axis=1)))
        losses_DM = np.column_stack([designs.cycles_D, designs.needs_DR]).astype(np.float64)
        losses_DM, first_D = np.unique(losses_DM, axis=0, return_index=True)
        return designs.select(first_D[non_dominated_mask(losses_DM)])


def _kind(work: Workload, i: int) -> Kind:
    dims = work.dims_LD[i]
    if dims[_G] > 1 and dims[_K] == dims[_C] == 1 and work.kinds[i] == "conv":
        return "depthwise"
    return "pointwise" if dims[_FY] * dims[_FX] == 1 else "conv"


def _ceil(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    return -(-a // b)


def _products_a_slice(bits: int) -> int:
    return 4 if bits <= 4 else 2 if bits <= 8 else 1


def _blocks(width_bits: np.ndarray, words: np.ndarray) -> np.ndarray:
    return _ceil(width_bits, _BLOCK_BITS) * _ceil(words, _BLOCK_WORDS)


def _dram_cycles(work: Workload, bytes_per_cycle: float) -> np.ndarray:
    """Cycles that the tensors of each row take on the link, each tensor once."""
    return np.ceil((work.moved_LO * work.bits_LO).sum(axis=1) / 8 / bytes_per_cycle).astype(np.int64)
