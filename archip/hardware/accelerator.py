"""Accelerator: an array of multipliers and the memories around it, operand by operand."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from archip.core.errors import UserError, nearest
from archip.hardware.mapping import LOOPS

__all__ = ["OPERANDS", "Accelerator", "Dataflow", "Memory", "Skipping"]

OPERANDS = ("W", "I", "O")

_N_PORTS = {"RW": 1, "R+W": 2, "4": 4}
# What the compiled models have room for (MAX_… in models/_kernels.py and mappers/_search.py).
_MOST = {"array": 4, "memories": 10, "levels": 6, "unrollings": 4, "together": 3, "orders": 4, "places": 16}
_MOST_SKIPPED = 256  # m of n:m


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
class Skipping:
    """Structured sparsity that the array makes use of: of every m weights along C it runs n, the others being zero."""

    n: int
    m: int

    def __post_init__(self) -> None:
        if not 0 < self.n <= self.m <= _MOST_SKIPPED:
            raise UserError(f"{self.n} of {self.m} weights", "skipping", f"0 < n <= m <= {_MOST_SKIPPED}")

    @property
    def index_bits(self) -> int:
        """Bits that say which of m a stored weight is."""
        return (self.m - 1).bit_length()


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
        dataflow: habits that the mapper follows; without it, every order of a few factors of the loops is tried.
        skipping: structured sparsity of the weights that saves steps; see ``models/loopnest.py``.
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
    skipping: Skipping | None = None

    def __post_init__(self) -> None:
        for dimension, size in self.array.items():
            if size < 1:
                raise UserError(f"{size} units along {dimension}", f"{self.name}.array.{dimension}", "at least 1")
        if self.clock_hz <= 0:
            raise UserError(f"clock of {self.clock_hz} Hz", f"{self.name}.clock_hz", "a positive number")
        for name in ("multiplier_bits", "partial_bits"):
            if getattr(self, name) < 1:
                raise UserError(f"{getattr(self, name)} bits", f"{self.name}.{name}", "at least 1")
        for name in ("multiply_j", "add_j"):
            if getattr(self, name) < 0:
                raise UserError(f"energy of {getattr(self, name)} J", f"{self.name}.{name}", "0 or more")
        self._check_memories()
        if self.dataflow is not None:
            self._check_dataflow(self.dataflow)

    def _check_memories(self) -> None:
        where = f"{self.name}.memories"
        if not self.memories:
            raise UserError("there is no memory", where, "on-chip memories, then the off-chip one")
        for memory in self.memories:
            self._check(memory)
            if sum(memory.name == other.name for other in self.memories) > 1:
                raise UserError(f"two memories are named {memory.name}", where, "a name of its own for each")
        for operand in OPERANDS:
            if operand not in self.off_chip.operands:
                raise UserError(
                    f"operand {operand} has no path to {self.off_chip.name}", where, "a last memory for WIO"
                )
            if len(self.levels(operand)) < 2:
                raise UserError(f"operand {operand} has no on-chip memory", where, "at least one")
            self._check_most("levels", len(self.levels(operand)), f"memories of {operand}")
        self._check_most("array", len(self.array), "array")
        self._check_most("memories", len(self.memories), "memories")

    def _check(self, memory: Memory) -> None:
        where = f"{self.name}.memories.{memory.name}"
        narrow, wide = memory.width_bits
        if not 0 < narrow <= wide < math.inf:
            raise UserError(f"width {narrow} to {wide} bits", f"{where}.width_bits", "0 < minimum <= maximum")
        if not memory.operands or not set(memory.operands) <= set(OPERANDS):
            raise UserError(f"operands {memory.operands!r}", f"{where}.operands", "letters of W, I and O")
        elements = {"W": self.multiplier_bits, "I": self.multiplier_bits, "O": self.partial_bits}
        least = sum(elements[operand] for operand in memory.operands)
        if memory.bits < least:
            right = f"at least {least} bits: one element of each of {memory.operands}"
            raise UserError(f"capacity of {memory.bits:g} bits", f"{where}.bits", right)
        for name in ("read_j", "write_j"):
            if getattr(memory, name) < 0:
                raise UserError(f"energy of {getattr(memory, name)} J", f"{where}.{name}", "0 or more")
        if memory.ports not in _N_PORTS:
            raise UserError(f"ports {memory.ports!r}", f"{where}.ports", f"one of {', '.join(_N_PORTS)}")
        for dimension in memory.serves:
            if dimension not in self.array:
                raise UserError(f"unknown array dimension {dimension!r}", f"{where}.serves", f"of {list(self.array)}")

    def _check_dataflow(self, dataflow: Dataflow) -> None:
        where = f"{self.name}.dataflow"
        for u, unrolling in enumerate(dataflow.unrollings):
            if len(unrolling) != len(self.array):
                what = f"loops for {len(unrolling)} array dimensions"
                raise UserError(what, f"{where}.unrollings[{u}]", f"one entry for each of {list(self.array)}")
            if not unrolling[0]:
                right = f"at least one loop for {next(iter(self.array))}"
                raise UserError("nothing on the first array dimension", f"{where}.unrollings[{u}]", right)
            for loops in unrolling:
                self._check_most("together", len(loops), f"dataflow.unrollings[{u}]")
                for loop in "|".join(loops).split("|") if loops else ():
                    _check_loop(loop, f"{where}.unrollings[{u}]")
        for q, order in enumerate(dataflow.orders):
            places = order.split()
            for place in places:
                _check_loop(place.rstrip("'\""), f"{where}.orders[{q}]")
            missing = [loop for loop in LOOPS if places.count(loop) != 1]
            if missing:
                raise UserError(f"order {order!r}", f"{where}.orders[{q}]", f"plain {missing[0]} exactly once")
            marked = "".join(place[-1] for place in places if place[-1] in "'\"")
            if marked.count("'") > 2 or marked.count('"') > 1:
                raise UserError(f"order {order!r}", f"{where}.orders[{q}]", "at most two loops with ' and one with \"")
            self._check_most("places", len(places), f"dataflow.orders[{q}]")
        self._check_most("unrollings", len(dataflow.unrollings), "dataflow.unrollings", least=1)
        self._check_most("orders", len(dataflow.orders), "dataflow.orders", least=1)

    def _check_most(self, name: str, n: int, key: str, least: int = 0) -> None:
        if not least <= n <= _MOST[name]:
            right = f"{least} to {_MOST[name]}" if least else f"at most {_MOST[name]}"
            raise UserError(f"{n} entries", f"{self.name}.{key}", right)

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


def _check_loop(loop: str, where: str) -> None:
    if loop not in LOOPS:
        raise UserError(f"unknown loop {loop!r}", where, nearest(loop, LOOPS))
