"""Area of a chip from what is on it: multipliers, registers, SRAM, wires.

The wires are one bus for each memory that the whole array shares, as wide as its ports, along the width and the height
of the array: bits · pitch · 2 · sqrt(area of multipliers and registers). Control, clock tree and pads are not counted.
Sources of the constants: ``hardware/technology``; the bus is geometry, not a published figure.
"""

from __future__ import annotations

from archip.hardware.technology._technology import Technology

__all__ = ["area_parts"]


def area_parts(
    technology: Technology, multipliers_um2: float, register_bytes: float, sram_bytes: float, bus_bits: float
) -> dict[str, float]:
    """mm² of each part; `register_bytes`, `sram_bytes` of all instances, `bus_bits` of all shared memories together."""
    registers = register_bytes * technology.register_um2_per_byte
    um2 = {
        "multipliers": multipliers_um2,
        "registers": registers,
        "buffers": sram_bytes * technology.sram_um2_per_byte,
        "wires": bus_bits * technology.wire_pitch_um * 2 * (multipliers_um2 + registers) ** 0.5,
    }
    return {name: value * 1e-6 for name, value in um2.items()}
