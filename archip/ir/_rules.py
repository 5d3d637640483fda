"""Rules of the operator table: shapes, weights and loop nests of the operators that need more than one line.

A rule takes the attributes and the input shapes; rules of loops and traffic also take the shape of the first output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archip.core.errors import CandidateError

Shape = tuple[int, ...]
Attrs = Mapping[str, Any]
Shapes = Sequence[Shape]
ShapeRule = Callable[[Attrs, Shapes], Sequence[Shape]]
TensorRule = Callable[[Attrs, Shapes], dict[str, Shape]]
LoopRule = Callable[[Attrs, Shapes, Shape], tuple[int, ...]]


def per_axis(value: Any, n: int) -> tuple[Any, ...]:
    """One value an axis, from a number for all or one for each."""
    values = (value,) * n if isinstance(value, int | float) else tuple(value)
    if len(values) != n:
        raise CandidateError(f"{values} does not have one value for each of {n} axes")
    return values


def axis_of(axis: int, rank: int) -> int:
    """The axis counted from the front."""
    if not -rank <= axis < rank:
        raise CandidateError(f"there is no axis {axis} among {rank}")
    return axis % rank


def broadcast(*shapes: Shape) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    out = []
    for sizes in zip(*padded, strict=True):
        size = next((d for d in sizes if d != 1), 1)
        if any(d not in (1, size) for d in sizes):
            raise CandidateError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
        out.append(size)
    return tuple(out)


def same(a: Attrs, s: Shapes) -> Sequence[Shape]:
    return [s[0]]


def elementwise(a: Attrs, s: Shapes) -> Sequence[Shape]:
    return [broadcast(*s)]


# Convolutions and pooling


def _spatial(a: Attrs, s: Shapes, *keys: str) -> Iterator[tuple[int, ...]]:
    """(size, kernel, *values of `keys`) of every spatial axis."""
    rank = len(a["kernel"])
    if len(s[0]) - 2 != rank:
        raise CandidateError(f"a kernel of {rank} axes does not fit an input of shape {s[0]}")
    return zip(s[0][2:], a["kernel"], *(per_axis(a[k], rank) for k in keys), strict=True)


def window(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Positions of a sliding window. Source: torch.nn.Conv2d."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    if span < 0:
        raise CandidateError(f"a window of {dilation * (kernel - 1) + 1} does not fit into {size} + 2 x {padding}")
    return span // stride + 1


def window_ceil(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Positions of a window that may hang over the end but starts inside. Source: torch.nn.MaxPool2d, ceil_mode."""
    positions = window(size + stride - 1, kernel, stride, padding, dilation)
    return positions - ((positions - 1) * stride >= size + padding)


def _check_groups(a: Attrs, channels: int) -> None:
    if channels % a["groups"] or a["out_channels"] % a["groups"]:
        raise CandidateError(f"{channels} and {a['out_channels']} channels do not divide into {a['groups']} groups")


def conv_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    _check_groups(a, s[0][1])
    sizes = (window(*row) for row in _spatial(a, s, "stride", "padding", "dilation"))
    return [(s[0][0], a["out_channels"], *sizes)]


def conv_weights(a: Attrs, s: Shapes) -> dict[str, Shape]:
    return {"weight": (a["out_channels"], s[0][1] // a["groups"], *a["kernel"])} | _bias(a, a["out_channels"])


def conv_loops(a: Attrs, s: Shapes, out: Shape) -> tuple[int, ...]:
    g = a["groups"]
    return out[0], g, a["out_channels"] // g, s[0][1] // g, *_two(out[2:]), *_two(a["kernel"])


def transpose_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    _check_groups(a, s[0][1])
    rows = _spatial(a, s, "stride", "padding", "dilation", "output_padding")
    sizes = tuple((size - 1) * st - 2 * p + d * (k - 1) + extra + 1 for size, k, st, p, d, extra in rows)
    if min(sizes) < 1:
        raise CandidateError(f"the output would have the size {sizes}")
    return [(s[0][0], a["out_channels"], *sizes)]


def transpose_weights(a: Attrs, s: Shapes) -> dict[str, Shape]:
    return {"weight": (s[0][1], a["out_channels"] // a["groups"], *a["kernel"])} | _bias(a, a["out_channels"])


def transpose_loops(a: Attrs, s: Shapes, out: Shape) -> tuple[int, ...]:
    """A pointwise convolution of the input with as many filters as the kernel has taps, whose results are scattered.

    It has exactly the weights, the input reads and the products of the transposed convolution.
    """
    g = a["groups"]
    return out[0], g, a["out_channels"] // g * math.prod(a["kernel"]), s[0][1] // g, *_two(s[0][2:]), 1, 1


def _two(spatial: Sequence[int]) -> tuple[int, int]:
    """(Y, X) of any number of spatial axes; of three, the first two count as one."""
    return math.prod(spatial[:-1]), spatial[-1]


def _bias(a: Attrs, n: int) -> dict[str, Shape]:
    return {"bias": (n,)} if a["bias"] else {}


def pool_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    filled = {"dilation": 1, **a, "stride": a["kernel"] if a["stride"] is None else a["stride"]}
    positions = window_ceil if a["ceil"] else window
    return [(*s[0][:2], *(positions(*row) for row in _spatial(filled, s, "stride", "padding", "dilation")))]


def resized(size: Callable[[Attrs, Shape], Sequence[int]]) -> ShapeRule:
    """The spatial axes take these sizes."""
    return lambda a, s: [(*s[0][:2], *size(a, s[0][2:]))]


def sizes(a: Attrs, old: Shape) -> Sequence[int]:
    return per_axis(a["size"], len(old))


def scaled(a: Attrs, old: Shape) -> Sequence[int]:
    return [int(d * f) for d, f in zip(old, per_axis(a["scale"], len(old)), strict=True)]


def pad_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    pads = ((0, 0),) * (len(s[0]) - len(a["pads"])) + tuple(a["pads"])
    return [tuple(d + before + after for d, (before, after) in zip(s[0], pads, strict=True))]


# Products


def linear_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    return [(*s[0][:-1], a["out_features"])]


def linear_weights(a: Attrs, s: Shapes) -> dict[str, Shape]:
    return {"weight": (a["out_features"], s[0][-1])} | _bias(a, a["out_features"])


def linear_loops(a: Attrs, s: Shapes, out: Shape) -> tuple[int, ...]:
    return 1, 1, out[-1], s[0][-1], math.prod(out[:-1]), 1, 1, 1


def matmul_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    left, right = s
    if left[-1] != right[-2]:
        raise CandidateError(f"matrices of shapes {left} and {right} do not multiply")
    return [(*broadcast(left[:-2], right[:-2]), left[-2], right[-1])]


def matmul_loops(a: Attrs, s: Shapes, out: Shape) -> tuple[int, ...]:
    return 1, math.prod(out[:-2]), out[-1], s[0][-1], out[-2], 1, 1, 1


def _einsum(a: Attrs, s: Shapes) -> tuple[str, str, str, dict[str, int]]:
    """(left, right, result, letter → size) of an equation such as ``bhqd,bhkd->bhqk``."""
    inputs, _, result = a["equation"].replace(" ", "").partition("->")
    left, right = inputs.split(",")
    sizes: dict[str, int] = {}
    for letters, shape in zip((left, right), s, strict=True):
        if len(letters) != len(shape) or any(sizes.setdefault(i, d) != d for i, d in zip(letters, shape, strict=True)):
            raise CandidateError(f"{a['equation']!r} does not fit the shapes {s[0]} and {s[1]}")
    return left, right, result, sizes


def einsum_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    _, _, result, sizes = _einsum(a, s)
    return [tuple(sizes[i] for i in result)]


def einsum_loops(a: Attrs, s: Shapes, out: Shape) -> tuple[int, ...]:
    left, right, result, sizes = _einsum(a, s)
    volume = lambda keep: math.prod(d for i, d in sizes.items() if keep(i))  # noqa: E731
    batch = volume(lambda i: i in left and i in right and i in result)
    rows = volume(lambda i: i in left and i not in right and i in result)
    columns = volume(lambda i: i not in left and i in result)
    return 1, batch, columns, volume(lambda i: i not in result), rows, 1, 1, 1


GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def recurrent_shape(n_states: int) -> ShapeRule:
    """Outputs of one layer: the sequence (steps, batch, directions x hidden) and the last state(s)."""

    def rule(a: Attrs, s: Shapes) -> Sequence[Shape]:
        steps, n, _ = s[0]
        directions = 1 + a["bidirectional"]
        return [(steps, n, directions * a["hidden"]), *[(directions, n, a["hidden"])] * n_states]

    return rule


def recurrent_weights(gates: int) -> TensorRule:
    def rule(a: Attrs, s: Shapes) -> dict[str, Shape]:
        directions, rows = 1 + a["bidirectional"], gates * a["hidden"]
        biases = {"bias_ih": (directions, rows), "bias_hh": (directions, rows)} if a["bias"] else {}
        return {"weight_ih": (directions, rows, s[0][-1]), "weight_hh": (directions, rows, a["hidden"]), **biases}

    return rule


def recurrent_loops(gates: int) -> LoopRule:
    """One product of the gates with (input, state) for every step, the directions as groups; steps are not parallel."""

    def rule(a: Attrs, s: Shapes, out: Shape) -> tuple[int, ...]:
        hidden = a["hidden"]
        return 1, 1 + a["bidirectional"], gates * hidden, s[0][-1] + hidden, s[0][0] * s[0][1], 1, 1, 1

    return rule


# Norms


def norm_weights(size: Callable[[Attrs, Shape], Shape]) -> TensorRule:
    """Weight and bias of this shape, as the attributes `affine` and `bias` say."""

    def rule(a: Attrs, s: Shapes) -> dict[str, Shape]:
        names = ("weight", "bias") if a["bias"] else ("weight",)
        return {name: size(a, s[0]) for name in names} if a["affine"] else {}

    return rule


def channels(a: Attrs, shape: Shape) -> Shape:
    return (shape[1],)


def last_axes(a: Attrs, shape: Shape) -> Shape:
    return shape[len(shape) - a["n_axes"] :]


# Axes and shapes


def concat_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    axis = axis_of(a["axis"], len(s[0]))
    if any(len(t) != len(s[0]) or t[:axis] + t[axis + 1 :] != s[0][:axis] + s[0][axis + 1 :] for t in s):
        raise CandidateError(f"shapes {', '.join(map(str, s))} cannot be joined along axis {axis}")
    return [(*s[0][:axis], sum(t[axis] for t in s), *s[0][axis + 1 :])]


def split_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    axis = axis_of(a["axis"], len(s[0]))
    if sum(a["sizes"]) != s[0][axis]:
        raise CandidateError(f"parts of {a['sizes']} do not make up axis {axis} of {s[0]}")
    return [(*s[0][:axis], size, *s[0][axis + 1 :]) for size in a["sizes"]]


def reshape_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    shape, total = list(a["shape"]), math.prod(s[0])
    if shape.count(-1) == 1 and (rest := -math.prod(shape)):
        shape[shape.index(-1)] = total // rest
    if math.prod(shape) != total:
        raise CandidateError(f"{s[0]} does not reshape to {tuple(a['shape'])}")
    return [tuple(shape)]


def flatten_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    return [(s[0][0], math.prod(s[0][1:]))]


def transpose_axes_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    if sorted(a["perm"]) != list(range(len(s[0]))):
        raise CandidateError(f"{a['perm']} is not an order of the axes of {s[0]}")
    return [tuple(s[0][i] for i in a["perm"])]


def slice_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    axis = axis_of(a["axis"], len(s[0]))
    length = len(range(s[0][axis])[a["start"] : a["stop"] : a["step"]])
    return [(*s[0][:axis], length, *s[0][axis + 1 :])]


def expand_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    return [broadcast(s[0], tuple(a["shape"]))]


def tile_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    return [tuple(d * n for d, n in zip(s[0], per_axis(a["repeats"], len(s[0])), strict=True))]


def reduce_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    axes = {axis_of(axis, len(s[0])) for axis in a["axes"]}
    return [tuple(1 if i in axes else d for i, d in enumerate(s[0]) if i not in axes or a["keepdims"])]


def topk_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    axis = axis_of(a["axis"], len(s[0]))
    return [(*s[0][:axis], a["k"], *s[0][axis + 1 :])] * 2


def gather_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    axis = axis_of(a["axis"], len(s[0]))
    return [(*s[0][:axis], *s[1], *s[0][axis + 1 :])]


def depth_to_space_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    n, c, y, x = s[0]
    b = a["block"]
    if c % b**2:
        raise CandidateError(f"{c} channels do not make blocks of {b} x {b}")
    return [(n, c // b**2, y * b, x * b)]


def space_to_depth_shape(a: Attrs, s: Shapes) -> Sequence[Shape]:
    n, c, y, x = s[0]
    b = a["block"]
    if y % b or x % b:
        raise CandidateError(f"{y} x {x} does not divide into blocks of {b} x {b}")
    return [(n, c * b**2, y // b, x // b)]


def looked_up(a: Attrs, s: Shapes, out: Shape) -> tuple[int, int, int]:
    """Traffic of an embedding: of the table, only the rows that are asked for."""
    return math.prod(out), math.prod(s[0]), math.prod(out)


def gathered(a: Attrs, s: Shapes, out: Shape) -> tuple[int, int, int]:
    return 0, math.prod(out) + math.prod(s[1]), math.prod(out)


def two_operands(a: Attrs, s: Shapes, out: Shape) -> tuple[int, int, int]:
    """The right matrix of a product stands where the weights of other layers do."""
    return math.prod(s[1]), math.prod(s[0]), math.prod(out)


def loaded(a: Attrs, s: Shapes, out: Shape) -> tuple[int, int, int]:
    """A parameter comes from the weights' memory once; whatever reads it counts it as its input."""
    return math.prod(out), 0, math.prod(out)
