"""Accelerator: an array of multipliers and the memories around it, operand by operand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from archip.core.errors import UserError

__all__ = ["OPERANDS", "Accelerator", "Dataflow", "Memory"]

OPERANDS = ("W", "I", "O")

_N_PORTS = {"RW": 1, "R+W": 2, "4": 4}


@dataclass(frozen=True)
class Memory:
    """One memory; there is one instance of it for each position along the array dimensions that it does not serve.

    Attributes:
        operands: letters of the operands it holds, e.g. ``IO``.
        bits: capacity of one instance.
        read_j: energy of one access of the maximum width, likewise `write_j`.
        width_bits: (minimum, maximum) bits per cycle of each port. A transfer is cut into pieces of the minimum
            width, and each costs that fraction of a full access.
        ports: ``RW`` one port for everything; ``R+W`` one to read and one to write; ``4`` one for each direction
            (read and write, towards the array and away from it).
        serves: the array dimensions that share one instance.
    """

    name: str
    operands: str
    bits: float
    read_j: float
    write_j: float
    width_bits: tuple[float, float]
    ports: Literal["RW", "R+W", "4"] = "R+W"
    serves: tuple[str, ...] = ()

    @property
    def n_ports(self) -> int:
        return _N_PORTS[self.ports]


@dataclass(frozen=True)
class Dataflow:
    """What a mapper needs to know of an accelerator's habits.

    Attributes:
        unrollings: alternatives; each gives, for every array dimension, the loops to unroll on it: the first as far as
            it goes, the next ones in the room that it leaves.
        orders: loop orders, innermost first, separated by spaces. ``OX'`` is the part of a loop whose results fit the
            innermost output memory together, ``K"`` a part that is varied, and the plain name is the rest.
    """

    unrollings: tuple[tuple[tuple[str, ...], ...], ...]
    orders: tuple[str, ...]


@dataclass(frozen=True)
class Accelerator:
    """An array of multipliers with its memories.

    Attributes:
        array: sizes of the array dimensions by name.
        memories: each operand's memories are those with its letter, from inside out, in this order; the last one is
            the off-chip memory and holds all operands.
        multiply_j: energy of one multiplication of `multiplier_bits` x `multiplier_bits`; it scales with the product
            of the operands' bits (unused rows of the multiplier stand still). `add_j` is that of the accumulation.
        partial_bits: width of a partial sum.
        systolic: operands are handed on from unit to unit, which costs the skew at the end.
        area_parts: mm² of each part of the chip.
        dataflow: habits that the mapper follows; without it, only given mappings can be costed.
    """

    name: str
    array: Mapping[str, int]
    memories: tuple[Memory, ...]
    multiply_j: float
    add_j: float = 0.0
    multiplier_bits: int = 8
    partial_bits: int = 16
    clock_hz: float = 1e9
    systolic: bool = False
    area_parts: Mapping[str, float] = field(default_factory=dict)
    dataflow: Dataflow | None = None

    def __post_init__(self) -> None:
        for dimension, size in self.array.items():
            if size < 1:
                raise UserError(f"{size} units along {dimension}", f"{self.name}.array.{dimension}", "at least 1")
        if self.clock_hz <= 0:
            raise UserError(f"clock of {self.clock_hz} Hz", f"{self.name}.clock_hz", "a positive number")
        for memory in self.memories:
            self._check(memory)
        for operand in OPERANDS:
            if operand not in self.off_chip.operands:
                raise UserError(
                    f"operand {operand} has no path to {self.off_chip.name}",
                    f"{self.name}.memories",
                    "a last memory for WIO",
                )
            if len(self.levels(operand)) < 2:
                raise UserError(f"operand {operand} has no on-chip memory", f"{self.name}.memories", "at least one")

    def _check(self, memory: Memory) -> None:
        where = f"{self.name}.memories.{memory.name}"
        narrow, wide = memory.width_bits
        if not 0 < narrow <= wide:
            raise UserError(f"width {narrow} to {wide} bits", f"{where}.width_bits", "0 < minimum <= maximum")
        if memory.bits < 1:
            raise UserError(f"capacity of {memory.bits} bits", f"{where}.bits", "at least 1")
        for dimension in memory.serves:
            if dimension not in self.array:
                raise UserError(f"unknown array dimension {dimension!r}", f"{where}.serves", f"of {list(self.array)}")

    @property
    def n_units(self) -> int:
        """Multipliers in the array."""
        n = 1
        for size in self.array.values():
            n *= size
        return n

    @property
    def off_chip(self) -> Memory:
        """The outermost memory."""
        return self.memories[-1]

    @property
    def area_mm2(self) -> float:
        return sum(self.area_parts.values())

    def levels(self, operand: str) -> list[int]:
        """Indices of the memories of an operand, from inside out."""
        return [i for i, memory in enumerate(self.memories) if operand in memory.operands]

    @cached_property
    def digest(self) -> str:
        """16 hex digits of everything that the costs depend on."""
        told = [(f, sorted(v.items()) if isinstance(v, Mapping) else v) for f, v in vars(self).items() if f != "digest"]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
