"""What reshapes, transpositions and products of matrices do to channels: where the heads of an attention are.

An axis that is cut in two is taken for heads of so many channels each; one that is cut in three with two or three
pieces first, for the heads of queries, keys and values in one layer. Sizes that a reshape writes as numbers are noted,
so that `rewrite` can leave them open.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

from archip.nets.elastic._groups import Value, join, pieces, split
from archip.nets.elastic._rules import Open, Rule, Seen, axis_of, is_broadcast
from archip.nets.elastic._trace import shape_of

__all__ = ["AXES"]

_Blocks = list[tuple[list[int], list[int]]]  # axes before, axes after that hold the same elements


def _blocks(before: Sequence[int], after: Sequence[int]) -> _Blocks:
    """The finest cut of a reshape into parts that do not mix."""
    found: _Blocks = []
    i = j = 0
    while i < len(before) and j < len(after):
        a, b, n, m = [i], [j], before[i], after[j]
        i, j = i + 1, j + 1
        while n != m:
            if n < m:
                a, n, i = [*a, i], n * before[i], i + 1
            else:
                b, m, j = [*b, j], m * after[j], j + 1
        found.append((a, b))
    if found:  # sizes of 1 at the end
        found[-1][0].extend(range(i, len(before)))
        found[-1][1].extend(range(j, len(after)))
    return found


def _reshape(seen: Seen, node: fx.Node) -> Value | None:
    source: Any = node.args[0]
    value, before, after = seen.of(source), shape_of(source), shape_of(node)
    if value is None:
        return None
    blocks = _blocks(before, after)
    old, new = next(block for block in blocks if value.axis in block[0])
    found = _moved(value, old, new, before, after)
    if found is not None and node.op != "call_module" and node.target not in (torch.flatten, "flatten"):
        sizes = _written(node, len(after))
        if sizes[found.axis] != -1:
            seen.open[node] = Open("reshape", _sizes(blocks, sizes, after, found.axis), found.spans)
    return found


def _moved(value: Value, old: list[int], new: list[int], before: Sequence[int], after: Sequence[int]) -> Value | None:
    """Channels of the axes `old` on the axes `new` that they become."""
    if any(before[a] != 1 for a in old if a < value.axis):
        return None  # other axes come first
    inner = math.prod(before[a] for a in old if a > value.axis)
    new = [a for a in new if after[a] != 1] or new[:1]
    if len(new) == 1:
        return Value(new[0], [(group, n * inner) for group, n in value.spans])
    if inner > 1:
        return None
    copies = after[new[0]] if len(new) > 2 and after[new[0]] in (2, 3) else 1
    axis = new[0] if copies == 1 else new[1]
    each = before[value.axis] // (copies * after[axis])
    heads = split(value.spans, after[axis], each, copies)
    return Value(axis, [(heads, 1)]) if heads else None


def _written(node: fx.Node, n: int) -> list[Any]:
    """The sizes as they are written; None where they come from a list that is computed."""
    sizes: Any = node.args[1:]
    if node.target == "unflatten":
        axis, sizes = axis_of(node, 1), axis_of(node, 2, "sizes")
        lead = axis % (n - len(sizes) + 1)
        return [*[None] * lead, *sizes, *[None] * (n - lead - len(sizes))]
    if len(sizes) == 1 and not isinstance(sizes[0], int):
        sizes = sizes[0]
    return list(sizes) if isinstance(sizes, tuple | list) and len(sizes) == n else [None] * n


def _sizes(blocks: _Blocks, written: Sequence[Any], after: Sequence[int], axis: int) -> list[Any]:
    """Sizes that hold whatever the width is: -1 on `axis`, lists of axes of the source to multiply, or as written."""
    found: list[Any] = [None] * len(after)
    for old, new in blocks:
        for a in new:
            one = written[a] if written[a] is not None and written[a] != -1 else after[a]
            found[a] = list(old) if len(new) == 1 else one
    found[axis] = -1
    return found


def _permute(seen: Seen, node: fx.Node) -> Value | None:
    value, n = seen.of(node.args[0]), len(shape_of(node))
    axes: Any = node.args[1:] if len(node.args) > 2 else axis_of(node, 1, "dims")
    if value is None or not isinstance(axes, tuple | list) or not all(isinstance(a, int) for a in axes):
        return None
    return Value([a % n for a in axes].index(value.axis), value.spans)


def _transpose(seen: Seen, node: fx.Node) -> Value | None:
    value, n = seen.of(node.args[0]), len(shape_of(node))
    a, b = axis_of(node, 1, "dim0"), axis_of(node, 2, "dim1")
    if value is None or not isinstance(a, int) or not isinstance(b, int):
        return None
    return Value({a % n: b % n, b % n: a % n}.get(value.axis, value.axis), value.spans)


def _matmul(seen: Seen, node: fx.Node) -> Value | None:
    """Products of matrices that each head has of its own."""
    a, b = node.args[:2]
    if not isinstance(a, fx.Node) or not isinstance(b, fx.Node):
        return None
    places = {side: v.axis - len(shape_of(side)) for side in (a, b) if (v := seen.of(side)) is not None}
    if len(set(places.values())) != 1 or min(places.values()) >= -2:
        return None
    return _together(seen, node, [a, b], next(iter(places.values())))


def _attend(seen: Seen, node: fx.Node) -> Value | None:
    sides = [axis_of(node, i, name) for i, name in enumerate(("query", "key", "value"))]
    mask = axis_of(node, 3, "attn_mask")
    values = [seen.of(side) for side in sides]
    if any(v is None or v.axis - len(shape_of(s)) != -3 for s, v in zip(sides, values, strict=True)):
        return None
    return _together(seen, node, sides if mask is None else [*sides, mask], -3)


def _together(seen: Seen, node: fx.Node, sides: Sequence[fx.Node], place: int) -> Value | None:
    """One result for each unit on axis `place`, counted from the end, of all `sides`."""
    axis = len(shape_of(node)) + place
    known = [value for side in sides if (value := seen.of(side)) is not None]
    for side in sides:
        found = seen.of(side)
        if found is None and not is_broadcast(shape_of(side), axis, len(shape_of(node))):
            return None
        if found is not None and found.axis - len(shape_of(side)) != place:
            return None
    for other in known[1:]:
        join(known[0].spans, other.spans, f"{node.name} has other heads on each side")
    return Value(axis, known[0].spans)


def _einsum(seen: Seen, node: fx.Node) -> Value | None:
    equation, sides = node.args[0], list(node.args[1:])
    if not isinstance(equation, str) or "." in equation or "->" not in equation:
        return None
    read, _, given = equation.replace(" ", "").partition("->")
    terms = read.split(",")
    if len(terms) != len(sides):
        return None
    values = [seen.of(side) for side in sides]
    letters = {t[v.axis] for t, v in zip(terms, values, strict=True) if v is not None}
    letter = letters.pop()
    if letters or letter not in given or any(letter in t for t, v in zip(terms, values, strict=True) if v is None):
        return None
    known = [v for v in values if v is not None]
    for other in known[1:]:
        join(known[0].spans, other.spans, f"{node.name} has other heads on each side")
    return Value(given.index(letter), known[0].spans)


def _pieces(seen: Seen, node: fx.Node) -> list[Value] | None:
    """``chunk`` and ``split``; along the channels into equal pieces, which then shrink alike."""
    value, shapes = seen.of(node.args[0]), node.meta.get("shapes")
    dim = axis_of(node, 2, default=0)
    if value is None or not shapes or not isinstance(dim, int):
        return None
    if dim % len(shapes[0]) != value.axis:
        return [value] * len(shapes)
    spans = pieces(value.spans, len(shapes)) if len(set(shapes)) == 1 else None
    if spans is None:
        return None
    if node.target in (torch.split, "split"):
        seen.open[node] = Open("chunk", [len(shapes), value.axis], spans)
    return [Value(value.axis, spans)] * len(shapes)


def _unbind(seen: Seen, node: fx.Node) -> list[Value] | None:
    value, dim = seen.of(node.args[0]), axis_of(node, 1, default=0)
    if value is None or not isinstance(dim, int) or dim % (len(node.meta["shapes"][0]) + 1) == value.axis:
        return None
    dim %= len(node.meta["shapes"][0]) + 1
    return [Value(value.axis - (dim < value.axis), value.spans)] * len(node.meta["shapes"])


def _getitem(seen: Seen, node: fx.Node) -> Value | None:
    source, index = node.args
    if source in seen.pieces:
        return seen.pieces[source][index] if isinstance(index, int) else None  # pyright: ignore
    value = seen.of(source)
    entries: list[Any] = list(index) if isinstance(index, tuple) else [index]
    if value is None or not all(e is None or isinstance(e, int | slice) for e in entries):
        return None
    old = new = 0
    for entry in entries:
        if old == value.axis and entry is not None:
            return Value(new, value.spans) if entry == slice(None) else None
        old, new = old + (entry is not None), new + (not isinstance(entry, int))
    return Value(value.axis - old + new, value.spans)


AXES: dict[Any, Rule] = {
    **dict.fromkeys(
        (torch.flatten, torch.reshape, "flatten", "view", "reshape", "unflatten", torch.unflatten), _reshape
    ),
    **dict.fromkeys((torch.permute, "permute"), _permute),
    **dict.fromkeys((torch.transpose, torch.swapaxes, "transpose", "swapaxes"), _transpose),
    **dict.fromkeys((torch.matmul, operator.matmul, torch.bmm, "matmul", "bmm"), _matmul),
    **dict.fromkeys((torch.chunk, torch.split, "chunk", "split"), _pieces),
    **dict.fromkeys((torch.unbind, "unbind"), _unbind),
    F.scaled_dot_product_attention: _attend,
    torch.einsum: _einsum,
    operator.getitem: _getitem,
}
