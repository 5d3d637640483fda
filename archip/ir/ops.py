"""The operator table: for every operator its attributes, shapes, weights, and loop nest.

Everything that walks a network reads this table: shape inference, parameter and MAC counts, memory, the builder of
torch modules, the exporters. Shapes carry the batch axis first; convolutions take (N, C, *spatial).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archip.core.errors import CandidateError, nearest
from archip.ir import _rules as r

if TYPE_CHECKING:
    from archip.ir.graph import Graph, Node

__all__ = [
    "COMMON",
    "OPS",
    "REQUIRED",
    "UNARY",
    "Op",
    "attributes",
    "buffers",
    "infer_shapes",
    "loop_nest",
    "output_shapes",
    "weights",
]

Shape = tuple[int, ...]
REQUIRED = object()

# Attributes that any node may have. weight_bits, activation_bits: widths that a quantised model states.
# tied: pairs (name of a weight, "node.weight") for weights that belong to another node.
COMMON = frozenset({"weight_bits", "activation_bits", "tied"})


@dataclass(frozen=True)
class Op:
    """One row of the table.

    Attributes:
        shape: (attributes, input shapes) → output shapes.
        attrs: attribute → default; `REQUIRED` where there is none.
        kind: ``conv`` and ``gemm`` multiply and accumulate, ``vector`` moves data, ``free`` costs nothing.
        n_inputs: how many inputs it takes; None for any number from one.
        rank: how many axes each input has at least.
        weights, buffers: (attributes, input shapes) → name → shape; trained, and not trained.
        loops: (attributes, input shapes, output shape) → sizes of B G K C OY OX FY FX; None if nothing is multiplied.
        moved: (attributes, input shapes, output shape) → elements of weights, inputs and outputs that are moved; None
            for all of them.
    """

    shape: r.ShapeRule
    attrs: Mapping[str, Any]
    kind: str = "vector"
    n_inputs: int | None = 1
    rank: int = 0
    weights: r.TensorRule = lambda a, s: {}
    buffers: r.TensorRule = lambda a, s: {}
    loops: r.LoopRule | None = None
    moved: r.LoopRule | None = None


_CONV = {"out_channels": REQUIRED, "kernel": REQUIRED, "stride": 1, "padding": 0, "dilation": 1, "groups": 1,
         "bias": True}  # fmt: skip
_POOL = {"kernel": REQUIRED, "stride": None, "padding": 0, "dilation": 1, "ceil": False}
_RECURRENT = {"hidden": REQUIRED, "bidirectional": False, "bias": True}
_AFFINE = {"eps": 1e-5, "affine": True, "bias": True}
_UNARY = (
    "relu relu6 gelu silu hardswish hardsigmoid sigmoid tanh softplus mish selu "
    "abs neg square exp log sqrt rsqrt reciprocal erf sin cos floor ceil round sign logical_not"
)
UNARY = tuple(_UNARY.split())
_BINARY = (
    "add sub mul div pow mod minimum maximum "
    "equal not_equal less less_equal greater greater_equal logical_and logical_or"
)
_REDUCTIONS = "mean sum reduce_max reduce_min reduce_prod reduce_l1 reduce_l2 variance"


def _recurrent(gates: int, n_states: int) -> Op:
    return Op(r.recurrent_shape(n_states), _RECURRENT, "gemm", rank=3, weights=r.recurrent_weights(gates),
              loops=r.recurrent_loops(gates))  # fmt: skip


def _running(a: Mapping[str, Any], s: Sequence[Shape]) -> dict[str, Shape]:
    return {"running_mean": (s[0][1],), "running_var": (s[0][1],)}


OPS: dict[str, Op] = {
    # multiply and accumulate
    "conv": Op(r.conv_shape, _CONV, "conv", rank=3, weights=r.conv_weights, loops=r.conv_loops),
    "conv_transpose": Op(r.transpose_shape, _CONV | {"output_padding": 0}, "conv", rank=3,
                         weights=r.transpose_weights, loops=r.transpose_loops),
    "linear": Op(r.linear_shape, {"out_features": REQUIRED, "bias": True}, "gemm", rank=1,
                 weights=r.linear_weights, loops=r.linear_loops),
    "matmul": Op(r.matmul_shape, {}, "gemm", n_inputs=2, rank=2, loops=r.matmul_loops, moved=r.two_operands),
    "einsum": Op(r.einsum_shape, {"equation": REQUIRED}, "gemm", n_inputs=2, loops=r.einsum_loops,
                 moved=r.two_operands),
    "rnn": _recurrent(1, 1),
    "gru": _recurrent(3, 1),
    "lstm": _recurrent(4, 2),
    # norms
    "batch_norm": Op(r.same, {"eps": 1e-5, "affine": True}, rank=2, buffers=_running,
                     weights=lambda a, s: {"weight": (s[0][1],), "bias": (s[0][1],)} if a["affine"] else {}),
    "layer_norm": Op(r.same, {"n_axes": 1, **_AFFINE}, rank=1, weights=r.norm_weights(r.last_axes)),
    "rms_norm": Op(r.same, {"n_axes": 1, **_AFFINE, "bias": False}, rank=1, weights=r.norm_weights(r.last_axes)),
    "group_norm": Op(r.same, {"groups": REQUIRED, **_AFFINE}, rank=2, weights=r.norm_weights(r.channels)),
    "instance_norm": Op(r.same, {**_AFFINE, "affine": False}, rank=3, weights=r.norm_weights(r.channels)),
    "local_response_norm": Op(r.same, {"size": REQUIRED}, rank=3),
    # element by element
    **{name: Op(r.same, {}) for name in UNARY},
    **{name: Op(r.elementwise, {}, n_inputs=2) for name in _BINARY.split()},
    "where": Op(r.elementwise, {}, n_inputs=3),
    "leaky_relu": Op(r.same, {"slope": 0.01}),
    "elu": Op(r.same, {"alpha": 1.0}),
    "prelu": Op(r.same, {"n": 1}, weights=lambda a, s: {"weight": (a["n"],)}),
    "clip": Op(r.same, {"least": None, "most": None}),
    "softmax": Op(r.same, {"axis": -1}),
    "log_softmax": Op(r.same, {"axis": -1}),
    "cumsum": Op(r.same, {"axis": REQUIRED}),
    "triangle": Op(r.same, {"upper": REQUIRED, "diagonal": 0}, rank=2),
    "quantize": Op(lambda a, s: [s[0], (), ()], {"bits": 8}),  # with scale and zero point
    # windows and reductions
    "max_pool": Op(r.pool_shape, _POOL, rank=3),
    # count_pad: padding counts as zeros in the mean
    "avg_pool": Op(r.pool_shape, {k: v for k, v in _POOL.items() if k != "dilation"} | {"count_pad": True}, rank=3),
    "adaptive_pool": Op(r.resized(r.sizes), {"size": REQUIRED, "mode": "avg"}, rank=3),
    "global_avg_pool": Op(lambda a, s: [s[0][:2]], {}, rank=3),
    **{name: Op(r.reduce_shape, {"axes": REQUIRED, "keepdims": False}) for name in _REDUCTIONS.split()},
    "argmax": Op(r.reduce_shape, {"axes": REQUIRED, "keepdims": False}),
    "topk": Op(r.topk_shape, {"k": REQUIRED, "axis": -1}),
    # places
    "embedding": Op(lambda a, s: [(*s[0], a["dim"])], {"n": REQUIRED, "dim": REQUIRED}, moved=r.looked_up,
                    weights=lambda a, s: {"weight": (a["n"], a["dim"])}),
    "gather": Op(r.gather_shape, {"axis": 0}, n_inputs=2, moved=r.gathered),
    "concat": Op(r.concat_shape, {"axis": 1}, n_inputs=None, rank=1),
    "upsample": Op(r.resized(r.scaled), {"scale": REQUIRED, "mode": "nearest"}, rank=3),
    "resize": Op(r.resized(r.sizes), {"size": REQUIRED, "mode": "nearest"}, rank=3),
    "pad": Op(r.pad_shape, {"pads": REQUIRED, "mode": "constant", "value": 0.0}),
    "roll": Op(r.same, {"shifts": REQUIRED, "axes": REQUIRED}),
    "flip": Op(r.same, {"axes": REQUIRED}),
    "tile": Op(r.tile_shape, {"repeats": REQUIRED}),
    "transpose": Op(r.transpose_axes_shape, {"perm": REQUIRED}),
    "depth_to_space": Op(r.depth_to_space_shape, {"block": REQUIRED}, rank=4),
    "space_to_depth": Op(r.space_to_depth_shape, {"block": REQUIRED}, rank=4),
    # views and values: no work of their own
    "flatten": Op(r.flatten_shape, {}, "free", rank=1),
    "reshape": Op(r.reshape_shape, {"shape": REQUIRED}, "free"),
    "expand": Op(r.expand_shape, {"shape": REQUIRED}, "free"),
    "slice": Op(r.slice_shape, {"axis": REQUIRED, "start": 0, "stop": None, "step": 1}, "free", rank=1),
    "split": Op(r.split_shape, {"axis": 1, "sizes": REQUIRED}, "free", rank=1),
    "identity": Op(r.same, {}, "free"),
    "dropout": Op(r.same, {"p": 0.5}, "free"),
    "constant": Op(lambda a, s: [a["shape"]], {"shape": (), "value": None}, "free", n_inputs=0),
    # an operator of a file that archip cannot cost, and why; its shapes are those that the file's format infers
    "opaque": Op(lambda a, s: a["shapes"], {"operator": REQUIRED, "shapes": REQUIRED, "reason": REQUIRED}, "free",
                 n_inputs=None),
    "parameter": Op(lambda a, s: [a["shape"]], {"shape": REQUIRED}, n_inputs=0, moved=r.loaded,
                    weights=lambda a, s: {"weight": a["shape"]}),
}  # fmt: skip


def attributes(node: Node) -> dict[str, Any]:
    """The node's attributes with the table's defaults filled in.

    Raises:
        CandidateError: an operator or attribute that the table lacks, or a required one that is missing.
    """
    if node.op not in OPS:
        raise CandidateError(f"node {node.name!r}: unknown operator {node.op!r} ({nearest(node.op, OPS)})")
    known = OPS[node.op].attrs
    for name in node.attrs:
        if name not in known and name not in COMMON:
            raise CandidateError(f"node {node.name!r}: {node.op} has no attribute {name!r} ({nearest(name, known)})")
    filled = {**known, **node.attrs}
    missing = [name for name, value in filled.items() if value is REQUIRED]
    if missing:
        raise CandidateError(f"node {node.name!r}: {node.op} needs {', '.join(missing)}")
    return filled


def output_shapes(node: Node, input_shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Value name → shape of the node's outputs.

    Raises:
        CandidateError: inputs or attributes that do not fit; names the node.
    """
    attrs = attributes(node)
    op = OPS[node.op]
    if op.n_inputs is not None and len(input_shapes) != op.n_inputs:
        raise CandidateError(f"node {node.name!r}: {node.op} takes {op.n_inputs} inputs, not {len(input_shapes)}")
    if any(len(s) < op.rank for s in input_shapes):
        raise CandidateError(f"node {node.name!r}: {node.op} needs {op.rank} axes, not {list(input_shapes)}")
    try:
        outputs = op.shape(attrs, input_shapes)
    except CandidateError as error:
        raise CandidateError(f"node {node.name!r}: {error}") from None
    return {f"{node.name}:{k}" if k else node.name: tuple(s) for k, s in enumerate(outputs)}


def infer_shapes(graph: Graph) -> dict[str, Shape]:
    """Value name → shape, for inputs and every node's outputs.

    Raises:
        CandidateError: names the node at fault.
    """
    shapes: dict[str, Shape] = {i.name: i.shape for i in graph.inputs}
    for node in graph.nodes:
        for value in node.inputs:
            if value not in shapes:
                raise CandidateError(f"node {node.name!r} reads {value!r}, which no earlier node makes")
        shapes |= output_shapes(node, [shapes[i] for i in node.inputs])
    return shapes


def weights(node: Node, input_shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Name → shape of the node's trained tensors, tied ones too."""
    return OPS[node.op].weights(attributes(node), input_shapes)


def buffers(node: Node, input_shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Name → shape of the node's tensors that are kept but not trained (running statistics)."""
    return OPS[node.op].buffers(attributes(node), input_shapes)


def loop_nest(node: Node, input_shapes: Sequence[Shape], output_shape: Shape) -> tuple[int, ...] | None:
    """(B, G, K, C, OY, OX, FY, FX) of the node; None if it multiplies nothing."""
    loops = OPS[node.op].loops
    return None if loops is None else loops(attributes(node), input_shapes, output_shape)
