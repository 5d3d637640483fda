"""What a process node says about energy and area."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Technology"]


@dataclass(frozen=True)
class Technology:
    """Energies and areas of one node; every number's source stands in the table's file.

    Attributes:
        multiply_j: one 8 x 8 bit multiplication. `accumulate_j`: one 32-bit addition. `mac_um2`: both together.
        register_points: ((bytes, read_j, write_j), …) of a 16-bit access to a small register file, two points; in
            between and beyond on a straight line.
        sram_point: (bytes, read_j, write_j) of a 64-bit access; energy grows with the square root of the capacity.
        dram_j_per_bit: off-chip access, read or write.
        wire_pitch_um: distance of neighbouring wires of a bus.
    """

    name: str
    multiply_j: float
    accumulate_j: float
    mac_um2: float
    register_points: tuple[tuple[float, float, float], tuple[float, float, float]]
    register_um2_per_byte: float
    sram_point: tuple[float, float, float]
    sram_um2_per_byte: float
    dram_j_per_bit: float
    wire_pitch_um: float

    def register_j(self, n_bytes: float) -> tuple[float, float]:
        """(read, write) energy of 16 bits of a register file."""
        (at, read, write), (to, read_to, write_to) = self.register_points
        share = (n_bytes - at) / (to - at)
        return read + share * (read_to - read), write + share * (write_to - write)

    def sram_j(self, n_bytes: float) -> tuple[float, float]:
        """(read, write) energy of 64 bits of an SRAM."""
        at, read, write = self.sram_point
        scale = (n_bytes / at) ** 0.5
        return read * scale, write * scale
