"""Floor sketch of a chip as SVG: cores and what is on them, areas to scale, and the memory that they share.

It is a picture of sizes, not a floor plan: a core is a square, its parts are stripes of their share of it, whatever
shape they would have. The array has its rows and columns of processing elements (at most 32 lines each way) with
the register files in it; on-chip memories of at least 512 bytes, and 16 bytes a processing element, are drawn as
buffers, which divide the area of all buffers by their bytes. The links to the shared memory are as wide as their
bandwidth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import sqrt
from typing import Any, NamedTuple

from archip.core.units import format_quantity
from archip.hardware.templates._spatial import grid

__all__ = ["floor_sketch"]

_SIDE = 300.0  # of the largest core
_COLUMN, _GAP, _TOP, _LINE = 330.0, 40.0, 150.0, 18.0
_LEAST_BUFFER, _LEAST_PER_PE = 512, 16  # bytes of one instance, and of all instances for a PE
_MOST_LINES = 32
_COLOURS = {"array": "#8fb4f0", "buffer": "#f2c078", "wires": "#c9ced8"}
# What the parts of an area are: templates call them the first, MAESTRO the second.
_ROLES = {"multipliers": "array", "registers": "array", "buffers": "buffer"} | {
    "PEs": "array",
    "L1": "array",
    "L2": "buffer",
}


class _Block(NamedTuple):
    """A part of a core: role (colour), name with its size, mm²."""

    role: str
    label: str
    mm2: float


def floor_sketch(chip: Mapping[str, Any]) -> str:
    """The sketch of a chip as ``chip.yaml`` describes it; every core states its area.

    The memory that the cores share is the DRAM where they describe an off-chip one.
    """
    cores: Sequence[Mapping[str, Any]] = chip["cores"]
    scale = _SIDE / sqrt(max(core["area_mm2"] for core in cores))
    parts = [_blocks(core) for core in cores]
    width = _GAP + len(cores) * (_COLUMN + _GAP)
    height = _TOP + _SIDE + (2.5 + max(map(len, parts))) * _LINE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
        ' font-family="system-ui, sans-serif" font-size="13" fill="#1c2330">',
        _rect(0, 0, width, height, "#fff"),
        _rect(_GAP, 30, width - 2 * _GAP, 44, "#dfe5ee"),
        _text(width / 2, 57, "DRAM" if all("off_chip" in core for core in cores) else "shared memory", "middle"),
    ]
    most = max(core["bandwidth_bytes_per_s"] for core in cores)
    for a, (core, blocks) in enumerate(zip(cores, parts, strict=True)):
        x, side = _GAP + a * (_COLUMN + _GAP), scale * sqrt(core["area_mm2"])
        y = _TOP + _SIDE - side
        out += _link(x + side / 2, y, core["bandwidth_bytes_per_s"], most)
        out += _core(x, y, side, core, blocks)
        out += _legend(x, _TOP + _SIDE + 1.5 * _LINE, f"core {a}: {core['dataflow']}", core, blocks)
    return "\n".join([*out, "</svg>", ""])


def _blocks(core: Mapping[str, Any]) -> list[_Block]:
    """Array, buffers, and the other parts by their names: wires, bus, arbiter."""
    parts: Mapping[str, float] = core["area_parts_mm2"]
    sums: dict[str, float] = {}
    for name, mm2 in parts.items():
        role = _ROLES.get(name, name)
        sums[role] = sums.get(role, 0.0) + mm2
    total = sums.pop("buffer", 0.0)
    memories = [m for m in core["buffers"] if _is_buffer(m, core["pes"])]
    n_bytes = sum(m["bytes"] * m["instances"] for m in memories)
    blocks = [_Block("buffer", _size(m), total * m["bytes"] * m["instances"] / n_bytes) for m in memories]
    if total and not memories:
        blocks = [_Block("buffer", "buffers", total)]
    array = [_Block("array", f"{core['pes']:,} PEs with registers", sums.pop("array"))] if "array" in sums else []
    return [*array, *blocks, *(_Block("wires", name, mm2) for name, mm2 in sums.items())]


def _is_buffer(memory: Mapping[str, Any], pes: int) -> bool:
    """Whether it is drawn beside the array; MAESTRO's L1 is in its PEs."""
    is_large = memory["bytes"] >= _LEAST_BUFFER and memory["bytes"] * memory["instances"] >= _LEAST_PER_PE * pes
    return is_large and memory["name"] != "L1"


def _size(memory: Mapping[str, Any]) -> str:
    times = f"{memory['instances']} x " if memory["instances"] > 1 else ""
    return f"{memory['name']}, {times}{format_quantity(memory['bytes'], 'size')}"


def _core(x: float, y: float, side: float, core: Mapping[str, Any], blocks: Sequence[_Block]) -> list[str]:
    """The square: stripes from top to bottom, the buffers side by side in theirs."""
    out = []
    total = sum(block.mm2 for block in blocks)
    buffers = [block for block in blocks if block.role == "buffer"]
    stripes = [[block] for block in blocks if block.role == "array"]
    stripes += [buffers] if buffers else []
    stripes += [[block] for block in blocks if block.role == "wires"]
    for stripe in stripes:
        sum_mm2 = sum(block.mm2 for block in stripe)
        tall, left = side * sum_mm2 / total, x
        for block in stripe:
            wide = side * block.mm2 / sum_mm2 if sum_mm2 else 0.0
            title = f"{block.label}: {format_quantity(block.mm2, 'area')}"
            out.append(_rect(left, y, wide, tall, _COLOURS[block.role], title))
            if block.role == "array":
                out.append(_lattice(left, y, wide, tall, core))
            short = block.label.split(",")[0]
            if tall > _LINE and wide > 7 * len(short) and block.role != "array":
                out.append(_text(left + wide / 2, y + tall / 2 + 4, short, "middle"))
            left += wide
        y += tall
    frame = f'x="{x:.1f}" y="{y - side:.1f}" width="{side:.1f}" height="{side:.1f}"'
    return [*out, f'<rect {frame} fill="none" stroke="#1c2330"/>']


def _lattice(x: float, y: float, wide: float, tall: float, core: Mapping[str, Any]) -> str:
    """Lines between the processing elements."""
    sizes = [n for n in core["array"].values() if n > 1]
    rows, columns = sizes if len(sizes) == 2 else grid(core["pes"])
    rows, columns = min(rows, _MOST_LINES), min(columns, _MOST_LINES)
    across = [f"M{x:.1f} {y + tall * r / rows:.1f}h{wide:.1f}" for r in range(1, rows)]
    down = [f"M{x + wide * c / columns:.1f} {y:.1f}v{tall:.1f}" for c in range(1, columns)]
    return f'<path d="{"".join(across + down)}" stroke="#fff" stroke-width="0.7" fill="none"/>'


def _link(x: float, y: float, bandwidth: float, most: float) -> list[str]:
    ends, width = f'x1="{x:.1f}" y1="74" x2="{x:.1f}" y2="{y:.1f}"', f"{16 * bandwidth / most:.1f}"
    line = f'<line {ends} stroke="#5d6675" stroke-width="{width}"/>'
    return [line, _text(x + 14, 96, format_quantity(bandwidth, "bandwidth"), "start")]


def _legend(x: float, y: float, name: str, core: Mapping[str, Any], blocks: Sequence[_Block]) -> list[str]:
    title = _text(x, y, f"{name}, {format_quantity(core['area_mm2'], 'area')}", "start")
    out = [f'<g font-weight="600">{title}</g>']
    for i, block in enumerate(blocks, 1):
        out.append(_rect(x, y + i * _LINE - 11, 12, 12, _COLOURS[block.role]))
        out.append(_text(x + 20, y + i * _LINE, f"{block.label}: {format_quantity(block.mm2, 'area')}", "start"))
    return out


def _rect(x: float, y: float, wide: float, tall: float, colour: str, title: str = "") -> str:
    tip = f"<title>{escape(title)}</title>" if title else ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"'
    return f'<rect {place} fill="{colour}" stroke="#fff">{tip}</rect>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
