"""What the spatial templates share: their knobs, the rules that size a core, and its area.

A core has an array of 8-bit multipliers with 32-bit accumulation, register files beside them, on-chip buffers, and a
share of the off-chip bandwidth. PEs are laid out as nearly square as their number divides.

Area: ``hardware/area.py``. Sources of the constants: ``hardware/technology``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, isqrt, prod
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from archip.core.errors import UserError
from archip.hardware.accelerator import Accelerator, Dataflow, Memory
from archip.hardware.area import area_parts
from archip.hardware.technology.nodes import NODES, Node

__all__ = ["Part", "Spatial", "grid"]

_KIB = 1024
PARTIAL_BITS = 32
PARTIAL_BYTES = PARTIAL_BITS // 8


class Part(NamedTuple):
    """A memory with what it takes: bytes of all its instances, in registers or in SRAM."""

    memory: Memory
    register_bytes: float = 0
    sram_bytes: float = 0


@dataclass(frozen=True)
class Spatial(ABC):
    """Knobs of a core.

    Attributes:
        pes: processing elements, one 8-bit multiplier each.
        bandwidth: bytes/s to the off-chip memory.
        buffers: size of the buffers relative to the template's rule.
        node: technology table.
    """

    pes: Annotated[int, Field(ge=1)]
    bandwidth: Annotated[float, Field(gt=0)]
    clock_hz: Annotated[float, Field(gt=0)] = 1e9  # frequency
    node: Node = "nm65"
    buffers: Annotated[float, Field(gt=0)] = 1.0

    is_systolic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("pes", "bandwidth", "clock_hz", "buffers"):
            if getattr(self, name) <= 0:
                raise UserError(f"{name} is {getattr(self, name)}", name, "a positive number")

    @property
    @abstractmethod
    def array(self) -> dict[str, int]:
        """Sizes of the array dimensions."""

    @property
    @abstractmethod
    def parts(self) -> list[Part]:
        """On-chip memories, inside out."""

    @property
    @abstractmethod
    def dataflow(self) -> Dataflow:
        """How layers are mapped."""

    # What follows is final.

    def accelerator(self) -> Accelerator:
        """The accelerator with these knobs."""
        technology = NODES[self.node]
        return Accelerator(
            name=f"{type(self).__name__.lower()}-{self.pes}",
            array=self.array,
            memories=(*(part.memory for part in self.parts), self._off_chip()),
            multiply_j=technology.multiply_j,
            add_j=technology.accumulate_j,
            multiplier_bits=8,
            partial_bits=PARTIAL_BITS,
            clock_hz=self.clock_hz,
            systolic=self.is_systolic,
            area_parts=self._area_mm2(),
            dataflow=self.dataflow,
        )

    def register(
        self,
        name: str,
        operands: str,
        n_bytes: int,
        width: tuple[int, int],
        serves: tuple[str, ...] = (),
        n_files: int = 1,
    ) -> Part:
        """A register file of `n_bytes` for each position that it does not serve; `n_files` of them work as one."""
        read_j, write_j = NODES[self.node].register_j(n_bytes)
        scale = width[1] / 16
        memory = Memory(name, operands, 8 * n_bytes * n_files, read_j * scale, write_j * scale, width, serves=serves)
        return Part(memory, register_bytes=n_files * self._n_instances(serves) * n_bytes)

    def sram(
        self, name: str, operands: str, n_bytes: int, bits_per_cycle: int, serves: tuple[str, ...] | None = None
    ) -> Part:
        """A buffer, `bits_per_cycle` wide, rounded up to banks of 64 bits; by default it serves the whole array."""
        width = 64 * ceil(bits_per_cycle / 64)
        read_j, write_j = NODES[self.node].sram_j(n_bytes)
        energies = read_j * width / 64, write_j * width / 64
        served = tuple(self.array) if serves is None else serves
        memory = Memory(name, operands, 8 * n_bytes, *energies, (64, width), serves=served)
        return Part(memory, sram_bytes=self._n_instances(served) * n_bytes)

    def _n_instances(self, serves: tuple[str, ...]) -> int:
        return prod(size for dimension, size in self.array.items() if dimension not in serves)

    def buffer_bytes(self, per_pe: int, least_kib: int) -> int:
        """Capacity of a buffer that grows with the array from a least size on."""
        return round(self.buffers * max(least_kib * _KIB, per_pe * self.pes))

    def _off_chip(self) -> Memory:
        width = 8 * self.bandwidth / self.clock_hz
        access_j = NODES[self.node].dram_j_per_bit * width
        return Memory("dram", "WIO", 2.0**50, access_j, access_j, (min(64.0, width), width), "RW", tuple(self.array))

    def _area_mm2(self) -> dict[str, float]:
        technology = NODES[self.node]
        shared = [p.memory for p in self.parts if p.memory.serves == tuple(self.array) and p.sram_bytes]
        return area_parts(
            technology,
            multipliers_um2=self.pes * technology.mac_um2,
            register_bytes=sum(part.register_bytes for part in self.parts),
            sram_bytes=sum(part.sram_bytes for part in self.parts),
            bus_bits=sum(memory.width_bits[1] for memory in (*shared, self._off_chip())),
        )


def grid(n: int) -> tuple[int, int]:
    """(smaller, larger) side of the rectangle of n places that is nearest to a square."""
    small = next(side for side in range(isqrt(n), 0, -1) if n % side == 0)
    return small, n // small
