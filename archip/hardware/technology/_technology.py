"""What a process node says about energy and area."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Technology", "between"]


@dataclass(frozen=True)
class Technology:
    """Energies and areas of one node.

    Attributes:
        multiply_j: one 8 x 8 bit multiplication. `accumulate_j`: one 32-bit addition. `mac_um2`: both together.
        register_points: ((bytes, read_j, write_j), …) of a 16-bit access to a small register file, two points; in
            between and beyond on a straight line.
        sram_points: (bytes, read_j, write_j) of a 64-bit access. One point: energy grows with the square root of the
            capacity; several: straight lines between and beyond them in the logarithms.
        dram_j_per_bit: off-chip access, read or write, of the node's usual memory; other kinds in ``dram.py``.
        wire_pitch_um: distance of neighbouring wires of a bus. `wire_j_per_bit_mm`: a bit over a millimetre of it.
        operations_j: one operation by name, e.g. ``fp16 multiply``, ``int32 add``.
        sources: attribute → ``published: …`` (read there), ``recalled: …`` (quoted from memory of a publication) or
            ``derived: …`` (a rule applied to other numbers).
    """

    name: str
    multiply_j: float
    accumulate_j: float
    mac_um2: float
    register_points: tuple[tuple[float, float, float], tuple[float, float, float]]
    register_um2_per_byte: float
    sram_points: tuple[tuple[float, float, float], ...]
    sram_um2_per_byte: float
    dram_j_per_bit: float
    wire_pitch_um: float
    wire_j_per_bit_mm: float
    operations_j: Mapping[str, float]
    sources: Mapping[str, str]

    def register_j(self, n_bytes: float) -> tuple[float, float]:
        """(read, write) energy of 16 bits of a register file."""
        (at, read, write), (to, read_to, write_to) = self.register_points
        share = (n_bytes - at) / (to - at)
        return read + share * (read_to - read), write + share * (write_to - write)

    def sram_j(self, n_bytes: float) -> tuple[float, float]:
        """(read, write) energy of 64 bits of an SRAM."""
        if len(self.sram_points) == 1:
            ((at, read, write),) = self.sram_points
            scale = (n_bytes / at) ** 0.5
            return read * scale, write * scale
        last = len(self.sram_points) - 2
        i = min(sum(n_bytes > point[0] for point in self.sram_points[1:-1]), last)
        (at, read, write), (to, read_to, write_to) = self.sram_points[i : i + 2]
        return between(at, read, to, read_to, n_bytes), between(at, write, to, write_to, n_bytes)


def between(at: float, value: float, to: float, value_to: float, x: float) -> float:
    """The value at `x` on the straight line, in the logarithms, through (at, value) and (to, value_to)."""
    return value * (x / at) ** (math.log(value_to / value) / math.log(to / at))
