"""Drawing of a network as SVG: boxes from top to bottom, lines with the shapes of what flows along them.

What only follows another operator, without changing the shape (norms, activations), stands in its box. A line that
skips rows runs at the right side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from archip.ir.graph import Graph, Node
from archip.ir.ops import OPS

__all__ = ["drawing"]

_WIDE, _TALL, _GAP_X, _GAP_Y, _LANE = 208, 42, 18, 30, 16
_MOST = 400  # boxes
_LETTERS = 30


@dataclass
class _Box:
    """An operator with what follows it."""

    name: str
    op: str
    about: str
    shape: tuple[int, ...]
    reads: list[str] = field(default_factory=list)
    follows: list[str] = field(default_factory=list)
    row: int = 0
    column: float = 0.0
    is_end: bool = False


def drawing(graph: Graph) -> str:
    """The SVG, which names colours by classes only; a sentence where the network is too large to draw."""
    boxes = _boxes(graph)
    if len(boxes) > _MOST:
        return f'<p class="soft">{len(boxes):,} layers are too many to draw; the table has them.</p>'
    _place(boxes)
    rows: dict[int, int] = {}
    for box in boxes.values():
        rows[box.row] = rows.get(box.row, 0) + 1
    inner = max(rows.values()) * (_WIDE + _GAP_X) - _GAP_X
    lines, n_lanes = _lines(boxes, inner)
    wide, tall = inner + 2 * _GAP_X + (n_lanes + 1) * _LANE, (max(rows) + 1) * (_TALL + _GAP_Y)
    parts = [_drawn(box, inner) for box in boxes.values()]
    size = f'viewBox="{-_GAP_X} -4 {wide} {tall}" width="{wide}" height="{tall}"'
    return f'<svg class="net" {size} aria-hidden="true">{"".join(lines)}{"".join(parts)}</svg>'


def _boxes(graph: Graph) -> dict[str, _Box]:
    """Boxes by name, in topological order."""
    n_readers: dict[str, int] = {}
    for node in graph.nodes:
        for value in node.inputs:
            n_readers[value.partition(":")[0]] = n_readers.get(value.partition(":")[0], 0) + 1
    boxes = {i.name: _Box(i.name, "input", i.axes, i.shape[1:], is_end=True) for i in graph.inputs}
    home = {i.name: i.name for i in graph.inputs}
    for node in graph.nodes:
        sources = list(dict.fromkeys(home[value.partition(":")[0]] for value in node.inputs))
        shape = graph.shapes[node.name][1:]
        if _only_follows(node, graph, n_readers) and not boxes[sources[0]].is_end:
            boxes[sources[0]].follows.append(node.op)
            boxes[sources[0]].shape = shape
            home[node.name] = sources[0]
        else:
            boxes[node.name] = _Box(node.name, node.op, _about(node.attrs), shape, sources)
            home[node.name] = node.name
    return boxes


def _only_follows(node: Node, graph: Graph, n_readers: Mapping[str, int]) -> bool:
    if len(node.inputs) != 1 or n_readers[node.inputs[0].partition(":")[0]] != 1:
        return False
    kind = OPS[node.op].kind
    return kind == "free" or (kind == "vector" and graph.shapes[node.name] == graph.shapes[node.inputs[0]])


def _about(attrs: Mapping[str, Any]) -> str:
    """The attributes that say most: kernel, stride, groups, features."""
    kernel, stride = attrs.get("kernel"), attrs.get("stride", 1)
    parts = ["×".join(map(str, kernel)) if isinstance(kernel, tuple) else str(kernel)] if kernel else []
    step = max(stride) if isinstance(stride, tuple) else stride
    parts += [f"stride {step}"] if isinstance(step, int) and step > 1 else []
    parts += [f"{attrs['groups']} groups"] if attrs.get("groups", 1) not in (1, None) else []
    return ", ".join(parts)


def _place(boxes: Mapping[str, _Box]) -> None:
    """Rows by the longest way from an input; within a row by the mean column of what is read."""
    by_row: dict[int, list[_Box]] = {}
    for box in boxes.values():
        box.row = 1 + max((boxes[name].row for name in box.reads), default=-1)
        by_row.setdefault(box.row, []).append(box)
    for row in sorted(by_row):
        members = by_row[row]
        wish = {b.name: sum(boxes[n].column for n in b.reads) / max(1, len(b.reads)) for b in members}
        members.sort(key=lambda b: wish[b.name])
        for i, box in enumerate(members):
            box.column = i - (len(members) - 1) / 2


def _lines(boxes: Mapping[str, _Box], inner: float) -> tuple[list[str], int]:
    """Lines with their shapes, and how many lanes at the right side they need."""
    out: list[str] = []
    lanes: list[int] = []  # the row down to which each lane is taken
    told: set[str] = set()
    for box in boxes.values():
        x, y = _centre(box, inner), box.row * (_TALL + _GAP_Y)
        for name in box.reads:
            source = boxes[name]
            x0, y0 = _centre(source, inner), source.row * (_TALL + _GAP_Y) + _TALL
            if box.row - source.row == 1:
                middle = (y0 + y) / 2
                out.append(f'<path d="M{x0:.0f} {y0} C{x0:.0f} {middle} {x:.0f} {middle} {x:.0f} {y}"/>')
                if name not in told:
                    told.add(name)
                    out.append(f'<text class="shape" x="{x0 + 6:.0f}" y="{y0 + 14}">{_shape(source.shape)}</text>')
            else:
                lane = next((i for i, end in enumerate(lanes) if end <= source.row), len(lanes))
                lanes[lane : lane + 1] = [box.row]
                side = inner + (lane + 1) * _LANE
                out.append(
                    f'<path d="M{x0 + _WIDE / 2:.0f} {y0 - _TALL / 2} H{side - 6:.0f} q6 0 6 6'
                    f' V{y + _TALL / 2 - 6} q0 6 -6 6 H{x + _WIDE / 2:.0f}"/>'
                )
    return out, len(lanes)


def _drawn(box: _Box, inner: float) -> str:
    x, y = _centre(box, inner) - _WIDE / 2, box.row * (_TALL + _GAP_Y)
    told = f"{box.op.replace('_', ' ')} {box.about}".strip()
    below = box.name if box.is_end else ", ".join([box.name, *(op.replace("_", " ") for op in box.follows)])
    second = _shape(box.shape) if box.is_end else _short(below)
    kind = "end" if box.is_end else OPS[box.op].kind
    middle = x + _WIDE / 2
    return (
        f"<g><title>{escape(f'{told}: {below} gives {_shape(box.shape)}')}</title>"
        f'<rect class="{kind}" x="{x:.0f}" y="{y}" width="{_WIDE}" height="{_TALL}" rx="7"/>'
        f'<text x="{middle:.0f}" y="{y + 18}" text-anchor="middle">{escape(_short(told))}</text>'
        f'<text class="about" x="{middle:.0f}" y="{y + 34}" text-anchor="middle">{escape(second)}</text></g>'
    )


def _centre(box: _Box, inner: float) -> float:
    return inner / 2 + box.column * (_WIDE + _GAP_X)


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "1"


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…"
