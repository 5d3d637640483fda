"""Nodes without a table of their own: interpolated between 45 and 7 nm.

Every energy lies on the straight line, in the logarithms of energy and of the node's name, between the two tables that
have a source: E(n) = E(45) (n / 45)^p with p = ln(E(45) / E(7)) / ln(45 / 7). Areas are those of 45 nm times the ratio
of the foundries' 6T bit cells. Nothing here was measured; use it to see a trend, and override what you know better.
"""

from __future__ import annotations

from collections.abc import Callable

from archip.hardware.technology._technology import Technology, between
from archip.hardware.technology.nm7 import NM7
from archip.hardware.technology.nm45 import NM45

__all__ = ["interpolated"]

_CELL45_UM2 = 0.346  # 6T bit cell at 45 nm, recalled
_POINTS = (8192, 32768, 1048576)  # capacities in Jouppi's table


def interpolated(node: float, cell_um2: float, wire_pitch_um: float) -> Technology:
    """The table of a node of `node` nm with the given bit cell and wires."""
    at = lambda old, new: between(45, old, 7, new, node)  # noqa: E731
    area = cell_um2 / _CELL45_UM2
    line = "derived: straight line in the logarithms between 45 nm (Horowitz 2014) and 7 nm (Jouppi et al. 2021)"
    by_cell = f"derived: 45 nm x {cell_um2} / {_CELL45_UM2}, the ratio of 6T bit cells (recalled)"
    energies = ("multiply_j", "accumulate_j", "register_points", "sram_points", "dram_j_per_bit", "operations_j")
    areas = ("mac_um2", "register_um2_per_byte", "sram_um2_per_byte")
    low, high = (
        (old[0], at(old[1], new[1]), at(old[2], new[2]))
        for old, new in zip(NM45.register_points, NM7.register_points, strict=True)
    )
    return Technology(
        name=f"nm{node:g}",
        multiply_j=at(NM45.multiply_j, NM7.multiply_j),
        accumulate_j=at(NM45.accumulate_j, NM7.accumulate_j),
        mac_um2=NM45.mac_um2 * area,
        register_points=(low, high),
        register_um2_per_byte=NM45.register_um2_per_byte * area,
        sram_points=tuple(_sram_point(n, at) for n in _POINTS),
        sram_um2_per_byte=NM45.sram_um2_per_byte * area,
        dram_j_per_bit=at(NM45.dram_j_per_bit, NM7.dram_j_per_bit),
        wire_pitch_um=wire_pitch_um,
        wire_j_per_bit_mm=at(NM45.wire_j_per_bit_mm, NM7.wire_j_per_bit_mm),
        operations_j={name: at(old, NM7.operations_j[name]) for name, old in NM45.operations_j.items()},
        sources={
            **dict.fromkeys((*energies, "wire_j_per_bit_mm"), line),
            **dict.fromkeys(areas, by_cell),
            "wire_pitch_um": f"recalled: lower metal of a {node:g} nm process",
        },
    )


def _sram_point(n_bytes: float, at: Callable[[float, float], float]) -> tuple[float, float, float]:
    (read, write), (read_new, write_new) = NM45.sram_j(n_bytes), NM7.sram_j(n_bytes)
    return n_bytes, at(read, read_new), at(write, write_new)
