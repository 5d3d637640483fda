"""The torch form of an operator: a layer with weights, or a function of tensors.

The builder of modules calls these forms and the exporter of source prints them, so both compute the same. The batch
axis comes first in every value and may have any length, whatever the graph says.
"""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archip.core.errors import CandidateError
from archip.ir.graph import Graph, Node
from archip.ir.ops import attributes

__all__ = ["Call", "Layer", "Weight", "attribute_names", "registers", "torch_form"]

Shape = tuple[int, ...]
Attrs = Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """A module: its class and the arguments that make it.

    Attributes:
        gives_states: it returns a tuple whose first value is the output (recurrent layers).
    """

    cls: type[nn.Module]
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    gives_states: bool = False


class Weight(nn.Module):
    """A weight that is a value of its own: tables of positions, class tokens. Its batch axis has size 1."""

    def __init__(self, *shape: int, device: torch.device | str | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape, device=device))

    def forward(self) -> Tensor:
        return self.weight


@dataclass(frozen=True)
class Call:
    """A function of the node's inputs, then `args` and `options`.

    Attributes:
        joined: the inputs are handed over as one tuple.
    """

    function: Callable[..., Tensor]
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    joined: bool = False

    def bound(self) -> Callable[..., Tensor]:
        """The function of the inputs alone."""
        if self.joined:
            return partial(_joined, self.function, self.options)
        if self.args:
            return partial(_with_arguments, self.function, self.args)
        return partial(self.function, **self.options) if self.options else self.function


def _joined(function: Callable[..., Tensor], options: Attrs, *values: Tensor) -> Tensor:
    return function(values, **options)


def _with_arguments(function: Callable[..., Tensor], args: tuple[Any, ...], value: Tensor) -> Tensor:
    return function(value, *args)


Form = Layer | Call
Rule = Callable[[Attrs, Sequence[Shape], Shape], Form]


def _other_than(a: Attrs, **defaults: float | bool) -> dict[str, Any]:
    """The attributes that differ from torch's defaults, on any axis."""
    return {k: a[k] for k, default in defaults.items() if set(np.atleast_1d(a[k])) != {default}}


def _conv(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    cls = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(a["kernel"]) - 1]
    options = _other_than(a, stride=1, padding=0, dilation=1, groups=1, bias=True)
    return Layer(cls, (s[0][1], a["out_channels"], a["kernel"]), options)


def _conv_transpose(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    cls = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[len(a["kernel"]) - 1]
    options = _other_than(a, stride=1, padding=0, output_padding=0, dilation=1, groups=1, bias=True)
    return Layer(cls, (s[0][1], a["out_channels"], a["kernel"]), options)


def _linear(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    return Layer(nn.Linear, (s[0][-1], a["out_features"]), _other_than(a, bias=True))


def _batch_norm(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    cls = {4: nn.BatchNorm2d, 5: nn.BatchNorm3d}.get(len(out), nn.BatchNorm1d)
    return Layer(cls, (out[1],), _other_than(a, eps=1e-5, affine=True))


def _layer_norm(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    affine = {} if a["affine"] else {"elementwise_affine": False}
    return Layer(nn.LayerNorm, (out[-a["n_axes"] :],), _other_than(a, eps=1e-5, bias=True) | affine)


def _pool(kind: str) -> Rule:
    def rule(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
        options = {} if a["stride"] in (None, a["kernel"]) else {"stride": a["stride"]}
        options |= _other_than(a, padding=0) | ({"ceil_mode": True} if a["ceil"] else {})
        options |= _other_than(a, dilation=1) if kind == "max" else {}
        options |= {"count_include_pad": False} if kind == "avg" and not a["count_pad"] else {}
        return Call(getattr(F, f"{kind}_pool{len(a['kernel'])}d"), options={"kernel_size": a["kernel"], **options})

    return rule


def _recurrent(cls: type[nn.Module]) -> Rule:
    """One layer over a sequence (steps, batch, features); its last states are not handed on."""

    def rule(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
        if len(s) > 1:
            raise CandidateError("a recurrent layer that is given its first state cannot be built as a torch module")
        return Layer(cls, (s[0][-1], a["hidden"]), _other_than(a, bias=True, bidirectional=False), gives_states=True)

    return rule


def _global_avg_pool(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    return Call(torch.mean, options={"dim": tuple(range(2, len(s[0])))})


def _upsample(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    modes = {"nearest": "nearest", "bilinear": {3: "linear", 4: "bilinear", 5: "trilinear"}[len(out)]}
    scale = tuple(map(float, np.broadcast_to(a["scale"], len(out) - 2)))
    return Call(F.interpolate, options={"scale_factor": scale, "mode": _one_of(modes, a["mode"])})


def _resize(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    modes = {"nearest": "nearest", "bilinear": {3: "linear", 4: "bilinear", 5: "trilinear"}[len(out)]}
    return Call(F.interpolate, options={"size": out[2:], "mode": _one_of(modes, a["mode"])})


def _reduction(function: Callable[..., Tensor]) -> Rule:
    return lambda a, s, out: Call(function, options={"dim": tuple(a["axes"]), **_other_than(a, keepdims=False)})


def _clip(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    bounds = {"min": a["least"], "max": a["most"]}
    return Call(torch.clamp, options={k: v for k, v in bounds.items() if v is not None})


def _pad(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    last_axis_first = tuple(width for pair in reversed(a["pads"]) for width in pair)
    options = {} if a["mode"] == "constant" else {"mode": _one_of(modes, a["mode"])}
    return Call(F.pad, options={"pad": last_axis_first, **options, **_other_than(a, value=0.0)})


def _one_of(modes: Mapping[str, str], mode: str) -> str:
    if mode not in modes:
        raise CandidateError(f"torch does not do this with mode {mode!r}")
    return modes[mode]


def _constant(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    if a["value"] is None:
        raise CandidateError("a constant whose value is not known cannot be computed with")
    return Call(torch.tensor, options={"data": a["value"]})


def _slice(a: Attrs, s: Sequence[Shape], out: Shape) -> Form:
    if a["step"] < 1:
        raise CandidateError(f"torch has no slices with step {a['step']}")
    axis = a["axis"] % len(s[0])
    step = None if a["step"] == 1 else a["step"]
    return Call(operator.getitem, ((*(slice(None),) * axis, slice(a["start"] or None, a["stop"], step)),))


def _activation(function: Callable[..., Tensor]) -> Rule:
    return lambda a, s, out: Call(function)


_FORMS: dict[str, Rule] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "matmul": _activation(operator.matmul),
    "rnn": _recurrent(nn.RNN),
    "gru": _recurrent(nn.GRU),
    "lstm": _recurrent(nn.LSTM),
    "embedding": lambda a, s, out: Layer(nn.Embedding, (a["n"], a["dim"])),
    "parameter": lambda a, s, out: Layer(Weight, out),
    "constant": _constant,
    "equal": _activation(torch.eq),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "relu": _activation(F.relu),
    "relu6": _activation(F.relu6),
    "gelu": _activation(F.gelu),
    "silu": _activation(F.silu),
    "hardswish": _activation(F.hardswish),
    "hardsigmoid": _activation(F.hardsigmoid),
    "sigmoid": _activation(torch.sigmoid),
    "tanh": _activation(torch.tanh),
    "softmax": lambda a, s, out: Call(torch.softmax, options={"dim": a["axis"]}),
    "add": _activation(operator.add),
    "sub": _activation(operator.sub),
    "mul": _activation(operator.mul),
    "div": _activation(operator.truediv),
    "concat": lambda a, s, out: Call(torch.cat, options={"dim": a["axis"]}, joined=True),
    "max_pool": _pool("max"),
    "avg_pool": _pool("avg"),
    "global_avg_pool": _global_avg_pool,
    "mean": _reduction(torch.mean),
    "sum": _reduction(torch.sum),
    "clip": _clip,
    "sqrt": _activation(torch.sqrt),
    "square": _activation(torch.square),
    "upsample": _upsample,
    "resize": _resize,
    "pad": _pad,
    "flatten": lambda a, s, out: Call(torch.flatten, options={"start_dim": 1}),
    "reshape": lambda a, s, out: Call(torch.reshape, options={"shape": (-1, *out[1:])}),
    "transpose": lambda a, s, out: Call(torch.permute, options={"dims": tuple(a["perm"])}),
    "slice": _slice,
    "identity": lambda a, s, out: Layer(nn.Identity),
    "dropout": lambda a, s, out: Layer(nn.Dropout, (a["p"],)),
}


def torch_form(graph: Graph, node: Node) -> Form:
    """How torch computes `node`, for batches of any size.

    Raises:
        CandidateError: torch cannot; names the node.
    """
    shapes, attrs = graph.shapes, attributes(node)
    has_states = node.op in ("rnn", "gru", "lstm")
    is_partial = has_states and any(v.startswith(f"{node.name}:") for n in graph.nodes for v in n.inputs)
    if node.op not in _FORMS or "tied" in attrs or is_partial:
        what = "weights tied to another node" if "tied" in attrs else f"states of {node.op}" if is_partial else node.op
        raise CandidateError(f"node {node.name!r}: {what} can be read and costed, but not built as a torch module")
    try:
        return _FORMS[node.op](attrs, [shapes[i] for i in node.inputs], shapes[node.name])
    except CandidateError as error:
        raise CandidateError(f"node {node.name!r}: {error}") from None


def attribute_names(graph: Graph) -> dict[str, str]:
    """Node name → the name of its layer in a module: dots become ``_``, as does whatever Python does not allow."""
    taken = {*dir(nn.Module()), "graph"}  # modules of graphs keep their graph
    names: dict[str, str] = {}
    for node in graph.nodes:
        name = re.sub(r"\W", "_", node.name)
        if not name.isidentifier() or keyword.iskeyword(name) or name in taken:
            name = f"n_{name}"
        while name in taken:
            name += "_"
        taken.add(name)
        names[node.name] = name
    return names


def registers(graph: Graph) -> tuple[list[tuple[Node, tuple[int, ...], int]], tuple[int, ...]]:
    """Each node with the registers it reads and the one it writes, and the registers of the outputs.

    Inputs lie in the first registers. A register is used again as soon as nothing reads its value any more, so that
    a chain of layers needs one, and memory is freed as early as it can be.
    """
    n = len(graph.nodes)
    last = {value: i for i, node in enumerate(graph.nodes) for value in node.inputs} | dict.fromkeys(graph.outputs, n)
    place = {value.name: i for i, value in enumerate(graph.inputs)}
    free: list[int] = []
    steps = []
    for i, node in enumerate(graph.nodes):
        reads = tuple(place[value] for value in node.inputs)
        free = sorted({*free, *(place[value] for value in node.inputs if last[value] == i)})
        write = place[node.name] = free.pop(0) if free else 1 + max(place.values(), default=-1)
        if node.name not in last:
            free.append(write)
        steps.append((node, reads, write))
    return steps, tuple(place[value] for value in graph.outputs)
