"""The operator table: for every operator its attributes, shapes, weights, and loop nest.

Everything that walks a network reads this table: shape inference, parameter and MAC counts, memory, the builder of
torch modules, the exporters. Shapes carry the batch axis first; convolutions take (N, C, *spatial).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archip.core.errors import CandidateError

if TYPE_CHECKING:
    from archip.ir.graph import Graph, Node

__all__ = ["OPS", "REQUIRED", "Op", "attributes", "buffers", "infer_shapes", "loop_nest", "weights"]

Shape = tuple[int, ...]
Attrs = Mapping[str, Any]
REQUIRED = object()


@dataclass(frozen=True)
class Op:
    """One row of the table.

    Attributes:
        shape: (attributes, input shapes) → output shapes.
        attrs: attribute → default; `REQUIRED` where there is none.
        weights, buffers: (attributes, input shapes) → name → shape; trained, and not trained.
        loops: (attributes, input shapes, output shape) → sizes of B G K C OY OX FY FX; None if nothing is multiplied.
        kind: ``conv`` and ``gemm`` multiply and accumulate, ``vector`` moves data, ``free`` costs nothing.
        n_inputs: how many inputs it takes; None for any number from one.
    """

    shape: Callable[[Attrs, Sequence[Shape]], Sequence[Shape]]
    attrs: Mapping[str, Any]
    kind: str = "vector"
    n_inputs: int | None = 1
    weights: Callable[[Attrs, Sequence[Shape]], dict[str, Shape]] = lambda a, s: {}
    buffers: Callable[[Attrs, Sequence[Shape]], dict[str, Shape]] = lambda a, s: {}
    loops: Callable[[Attrs, Sequence[Shape], Shape], tuple[int, ...]] | None = None


def _axes(value: Any, n: int) -> tuple[int, ...]:
    """One number an axis, from a number for all or one for each."""
    values = (value,) * n if isinstance(value, int) else tuple(value)
    if len(values) != n:
        raise CandidateError(f"{values} does not have one value for each of {n} axes")
    return values


def _window(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if out < 1:
        raise CandidateError(f"a window of {dilation * (kernel - 1) + 1} does not fit into {size} + 2 x {padding}")
    return out


def _conv_shape(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    n, c, *spatial = s[0]
    rank = len(a["kernel"])
    if len(spatial) != rank:
        raise CandidateError(f"a kernel of {rank} axes does not fit an input of shape {s[0]}")
    if c % a["groups"] or a["out_channels"] % a["groups"]:
        raise CandidateError(f"{c} and {a['out_channels']} channels do not divide into {a['groups']} groups")
    windows = zip(spatial, a["kernel"], *(_axes(a[k], rank) for k in ("stride", "padding", "dilation")), strict=True)
    return [(n, a["out_channels"], *(_window(*w) for w in windows))]


def _conv_weights(a: Attrs, s: Sequence[Shape]) -> dict[str, Shape]:
    weight = {"weight": (a["out_channels"], s[0][1] // a["groups"], *a["kernel"])}
    return weight | ({"bias": (a["out_channels"],)} if a["bias"] else {})


def _conv_loops(a: Attrs, s: Sequence[Shape], out: Shape) -> tuple[int, ...]:
    g = a["groups"]
    oy, ox = _two(out[2:])
    fy, fx = _two(a["kernel"])
    return out[0], g, a["out_channels"] // g, s[0][1] // g, oy, ox, fy, fx


def _two(spatial: Sequence[int]) -> tuple[int, int]:
    """(Y, X) of one or two spatial axes; of three, the first two count as one."""
    return (math.prod(spatial[:-1]), spatial[-1])


def _transpose_shape(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    n, _, *spatial = s[0]
    keys = ("stride", "padding", "dilation", "output_padding")
    rows = zip(spatial, a["kernel"], *(_axes(a[k], len(spatial)) for k in keys), strict=True)
    sizes = [(size - 1) * st - 2 * p + d * (k - 1) + op + 1 for size, k, st, p, d, op in rows]
    return [(n, a["out_channels"], *sizes)]


def _transpose_weights(a: Attrs, s: Sequence[Shape]) -> dict[str, Shape]:
    weight = {"weight": (s[0][1], a["out_channels"] // a["groups"], *a["kernel"])}
    return weight | ({"bias": (a["out_channels"],)} if a["bias"] else {})


def _transpose_loops(a: Attrs, s: Sequence[Shape], out: Shape) -> tuple[int, ...]:
    """Every input element is multiplied with the whole kernel: the loops run over the input's positions."""
    g = a["groups"]
    oy, ox = _two(s[0][2:])
    fy, fx = _two(a["kernel"])
    return out[0], g, a["out_channels"] // g, s[0][1] // g, oy, ox, fy, fx


def _linear_weights(a: Attrs, s: Sequence[Shape]) -> dict[str, Shape]:
    weight = {"weight": (a["out_features"], s[0][-1])}
    return weight | ({"bias": (a["out_features"],)} if a["bias"] else {})


def _linear_loops(a: Attrs, s: Sequence[Shape], out: Shape) -> tuple[int, ...]:
    return 1, 1, out[-1], s[0][-1], math.prod(out[:-1]), 1, 1, 1


def _matmul_shape(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    left, right = s
    if left[-1] != right[-2]:
        raise CandidateError(f"matrices of shapes {left} and {right} do not multiply")
    return [(*_broadcast(left[:-2], right[:-2]), left[-2], right[-1])]


def _matmul_loops(a: Attrs, s: Sequence[Shape], out: Shape) -> tuple[int, ...]:
    return 1, math.prod(out[:-2]), out[-1], s[0][-1], out[-2], 1, 1, 1


def _broadcast(*shapes: Shape) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    out = []
    for sizes in zip(*padded, strict=True):
        size = max(sizes) if 0 not in sizes else 0
        if any(d not in (1, size) for d in sizes):
            raise CandidateError(f"shapes {shapes} do not broadcast")
        out.append(size)
    return tuple(out)


def _pool_shape(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    n, c, *spatial = s[0]
    rank = len(a["kernel"])
    stride = _axes(a["kernel"] if a["stride"] is None else a["stride"], rank)
    padding = _axes(a["padding"], rank)
    return [(n, c, *(_window(*w) for w in zip(spatial, a["kernel"], stride, padding, strict=True)))]


def _concat_shape(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    axis = a["axis"] % len(s[0])
    if any(t[:axis] + t[axis + 1 :] != s[0][:axis] + s[0][axis + 1 :] for t in s):
        raise CandidateError(f"shapes {list(s)} cannot be joined along axis {axis}")
    return [(*s[0][:axis], sum(t[axis] for t in s), *s[0][axis + 1 :])]


def _reshape_shape(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    shape = list(a["shape"])
    if -1 in shape:
        shape[shape.index(-1)] = math.prod(s[0]) // -math.prod(shape)
    if math.prod(shape) != math.prod(s[0]):
        raise CandidateError(f"{s[0]} does not reshape to {tuple(a['shape'])}")
    return [tuple(shape)]


def _slice_shape(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    axis = a["axis"] % len(s[0])
    length = len(range(s[0][axis])[a["start"] : a["stop"] : a["step"]])
    return [(*s[0][:axis], length, *s[0][axis + 1 :])]


def _mean_shape(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    axes = {axis % len(s[0]) for axis in a["axes"]}
    kept = [1 if i in axes else d for i, d in enumerate(s[0]) if i not in axes or a["keepdims"]]
    return [tuple(kept)]


def _same(a: Attrs, s: Sequence[Shape]) -> Sequence[Shape]:
    return [s[0]]


def _per_channel(a: Attrs, s: Sequence[Shape]) -> dict[str, Shape]:
    return {"weight": (s[0][1],), "bias": (s[0][1],)}


def _unary(kind: str = "vector", **attrs: Any) -> Op:
    return Op(_same, attrs, kind)


_CONV = {
    "out_channels": REQUIRED,
    "kernel": REQUIRED,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "bias": True,
}
_POOL = {"kernel": REQUIRED, "stride": None, "padding": 0}
_TWO = Op(lambda a, s: [_broadcast(*s)], {}, n_inputs=2)

OPS: dict[str, Op] = {
    "conv": Op(_conv_shape, _CONV, "conv", weights=_conv_weights, loops=_conv_loops),
    "conv_transpose": Op(
        _transpose_shape, _CONV | {"output_padding": 0}, "conv", weights=_transpose_weights, loops=_transpose_loops
    ),
    "linear": Op(
        lambda a, s: [(*s[0][:-1], a["out_features"])],
        {"out_features": REQUIRED, "bias": True},
        "gemm",
        weights=_linear_weights,
        loops=_linear_loops,
    ),
    "matmul": Op(_matmul_shape, {}, "gemm", n_inputs=2, loops=_matmul_loops),
    "embedding": Op(
        lambda a, s: [(*s[0], a["dim"])],
        {"n": REQUIRED, "dim": REQUIRED},
        weights=lambda a, s: {"weight": (a["n"], a["dim"])},
    ),
    "batch_norm": Op(
        _same,
        {"eps": 1e-5},
        weights=_per_channel,
        buffers=lambda a, s: {"running_mean": (s[0][1],), "running_var": (s[0][1],)},
    ),
    "layer_norm": Op(
        _same,
        {"n_axes": 1, "eps": 1e-5},
        weights=lambda a, s: {"weight": s[0][-a["n_axes"] :], "bias": s[0][-a["n_axes"] :]},
    ),
    **{name: _unary() for name in ("relu", "relu6", "gelu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh")},
    "softmax": _unary(axis=-1),
    "add": _TWO,
    "sub": _TWO,
    "mul": _TWO,
    "div": _TWO,
    "concat": Op(_concat_shape, {"axis": 1}, n_inputs=None),
    "max_pool": Op(_pool_shape, _POOL),
    "avg_pool": Op(_pool_shape, _POOL),
    "global_avg_pool": Op(lambda a, s: [s[0][:2]], {}),
    "mean": Op(_mean_shape, {"axes": REQUIRED, "keepdims": False}),
    "upsample": Op(
        lambda a, s: [(*s[0][:2], *(d * f for d, f in zip(s[0][2:], a["scale"], strict=True)))],
        {"scale": REQUIRED, "mode": "nearest"},
    ),
    "pad": Op(
        lambda a, s: [(*s[0][:2], *(d + b + e for d, (b, e) in zip(s[0][2:], a["pads"], strict=True)))],
        {"pads": REQUIRED},
    ),
    "flatten": Op(lambda a, s: [(s[0][0], math.prod(s[0][1:]))], {}, "free"),
    "reshape": Op(_reshape_shape, {"shape": REQUIRED}, "free"),
    "transpose": Op(lambda a, s: [tuple(s[0][i] for i in a["perm"])], {"perm": REQUIRED}),
    "slice": Op(_slice_shape, {"axis": REQUIRED, "start": 0, "stop": None, "step": 1}, "free"),
    "identity": _unary("free"),
    "dropout": _unary("free", p=0.5),
}


def attributes(node: Node) -> dict[str, Any]:
    """The node's attributes with the table's defaults filled in.

    Raises:
        CandidateError: an operator or attribute that the table lacks, or a required one that is missing.
    """
    if node.op not in OPS:
        raise CandidateError(f"node {node.name!r}: unknown operator {node.op!r}")
    known = OPS[node.op].attrs
    for name in node.attrs:
        if name not in known:
            raise CandidateError(f"node {node.name!r}: {node.op} has no attribute {name!r}")
    filled = {**known, **node.attrs}
    missing = [name for name, value in filled.items() if value is REQUIRED]
    if missing:
        raise CandidateError(f"node {node.name!r}: {node.op} needs {', '.join(missing)}")
    return filled


def infer_shapes(graph: Graph) -> dict[str, Shape]:
    """Value name → shape, for inputs and every node's outputs.

    Raises:
        CandidateError: names the node at fault.
    """
    shapes: dict[str, Shape] = {i.name: i.shape for i in graph.inputs}
    for node in graph.nodes:
        attrs = attributes(node)
        wanted = OPS[node.op].n_inputs
        if wanted is not None and len(node.inputs) != wanted:
            raise CandidateError(f"node {node.name!r}: {node.op} takes {wanted} inputs, not {len(node.inputs)}")
        try:
            outputs = OPS[node.op].shape(attrs, [shapes[i] for i in node.inputs])
        except CandidateError as error:
            raise CandidateError(f"node {node.name!r}: {error}") from None
        shapes |= {node.name if k == 0 else f"{node.name}:{k}": tuple(s) for k, s in enumerate(outputs)}
    return shapes


def weights(node: Node, input_shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Name → shape of the node's trained tensors."""
    return OPS[node.op].weights(attributes(node), input_shapes)


def buffers(node: Node, input_shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Name → shape of the node's tensors that are kept but not trained (running statistics)."""
    return OPS[node.op].buffers(attributes(node), input_shapes)


def loop_nest(node: Node, input_shapes: Sequence[Shape], output_shape: Shape) -> tuple[int, ...] | None:
    """(B, G, K, C, OY, OX, FY, FX) of the node; None if it multiplies nothing."""
    loops = OPS[node.op].loops
    return None if loops is None else loops(attributes(node), input_shapes, output_shape)
