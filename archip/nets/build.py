"""Build: a graph as a torch module that interprets it.

Weights and buffers follow the operator table; the layer of node ``block1.conv`` is the submodule ``block1_conv``.
Weights are drawn from one seed (He et al. 2015, arXiv:1502.01852, fan-in, for convolutions and linear layers; ones and
zeros for norms), so that equal graphs and seeds give equal modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archip.core.errors import CandidateError
from archip.ir.graph import Graph, Node
from archip.ir.ops import attributes, buffers, weights

__all__ = ["GraphModule", "Layer", "build_module"]

Attrs = Mapping[str, Any]


class Layer(nn.Module):
    """One node with weights, or that differs in training: its tensors and the call that uses them."""

    def __init__(self, node: Node, input_shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.op = node.op
        self.attrs = attributes(node)
        for name, shape in weights(node, input_shapes).items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        for name, shape in buffers(node, input_shapes).items():
            self.register_buffer(name, torch.zeros(shape) if name.endswith("mean") else torch.ones(shape))

    def forward(self, *inputs: Tensor) -> Tensor:
        return _WITH_STATE[self.op](self, *inputs)

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw the weights anew."""
        for name, p in self.named_parameters(recurse=False):
            if name == "bias":
                p.zero_()
            elif self.op.endswith("_norm"):
                p.fill_(1.0)
            else:
                fan_in = p.shape[0] if self.op == "embedding" else p[0].numel()
                p.normal_(
                    0.0, math.sqrt((1.0 if self.op in ("linear", "embedding") else 2.0) / fan_in), generator=generator
                )


class GraphModule(nn.Module):
    """Interprets a graph with one output. Runs under `torch.func.functional_call` and `torch.export` as well."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        shapes = graph.shapes
        self._steps: list[tuple[str, tuple[str, ...], str | None, Callable[..., Tensor] | None]] = []
        for node in graph.nodes:
            inputs = [shapes[i] for i in node.inputs]
            if node.op in _WITH_STATE:
                name = node.name.replace(".", "_")
                self.add_module(name, Layer(node, inputs))
                self._steps.append((node.name, node.inputs, name, None))
            elif node.op in _STATELESS:
                self._steps.append((node.name, node.inputs, None, _bind(node)))
            else:
                raise CandidateError(f"node {node.name!r}: {node.op} cannot be built as a torch module")
        self._last_use = {value: i for i, (_, inputs, _, _) in enumerate(self._steps) for value in inputs}

    def forward(self, *inputs: Tensor) -> Tensor:
        values = {i.name: x for i, x in zip(self.graph.inputs, inputs, strict=True)}
        for at, (name, reads, layer, call) in enumerate(self._steps):
            read = [values[r] for r in reads]
            if call is None:
                call = self._modules[layer]  # pyright: ignore[reportArgumentType]
            values[name] = call(*read)  # pyright: ignore[reportOptionalCall]
            for r in reads:
                if self._last_use[r] == at and r not in self.graph.outputs:
                    values.pop(r, None)
        return values[self.graph.outputs[0]]


def build_module(graph: Graph, seed: int) -> GraphModule:
    """The module of a graph with weights drawn from `seed`.

    Raises:
        CandidateError: an operator without a torch counterpart here; names the node.
    """
    module = GraphModule(graph)
    generator = torch.Generator().manual_seed(seed % 2**63)
    for layer in module.children():
        layer.reset(generator)  # pyright: ignore[reportCallIssue]
    return module


def _conv(m: Layer, x: Tensor) -> Tensor:
    a = m.attrs
    call = (F.conv1d, F.conv2d, F.conv3d)[len(a["kernel"]) - 1]
    return call(x, m.weight, m._parameters.get("bias"), a["stride"], a["padding"], a["dilation"], a["groups"])


def _conv_transpose(m: Layer, x: Tensor) -> Tensor:
    a = m.attrs
    call = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(a["kernel"]) - 1]
    bias = m._parameters.get("bias")
    return call(x, m.weight, bias, a["stride"], a["padding"], a["output_padding"], a["groups"], a["dilation"])


def _batch_norm(m: Layer, x: Tensor) -> Tensor:
    return F.batch_norm(x, m.running_mean, m.running_var, m.weight, m.bias, m.training, 0.1, m.attrs["eps"])


_WITH_STATE: dict[str, Callable[..., Tensor]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": lambda m, x: F.linear(x, m.weight, m._parameters.get("bias")),
    "batch_norm": _batch_norm,
    "layer_norm": lambda m, x: F.layer_norm(x, m.weight.shape, m.weight, m.bias, m.attrs["eps"]),
    "embedding": lambda m, x: F.embedding(x, m.weight),
    "dropout": lambda m, x: F.dropout(x, m.attrs["p"], m.training),
}


def _pool(kind: str) -> Callable[[Attrs, Tensor], Tensor]:
    calls = [getattr(F, f"{kind}_pool{rank}d") for rank in (1, 2, 3)]
    return lambda a, x: calls[len(a["kernel"]) - 1](x, a["kernel"], a["stride"], a["padding"])


def _slice(a: Attrs, x: Tensor) -> Tensor:
    at = [slice(None)] * x.ndim
    at[a["axis"]] = slice(a["start"], a["stop"], a["step"])
    return x[tuple(at)]


def _pad(a: Attrs, x: Tensor) -> Tensor:
    return F.pad(x, [size for pair in reversed(a["pads"]) for size in pair])


def _upsample(a: Attrs, x: Tensor) -> Tensor:
    factors = [float(f) for f in a["scale"]]
    return F.interpolate(x, scale_factor=factors, mode=a["mode"])


_STATELESS: dict[str, Callable[..., Tensor]] = {
    "relu": lambda a, x: F.relu(x),
    "relu6": lambda a, x: F.relu6(x),
    "gelu": lambda a, x: F.gelu(x),
    "silu": lambda a, x: F.silu(x),
    "hardswish": lambda a, x: F.hardswish(x),
    "hardsigmoid": lambda a, x: F.hardsigmoid(x),
    "sigmoid": lambda a, x: torch.sigmoid(x),
    "tanh": lambda a, x: torch.tanh(x),
    "softmax": lambda a, x: F.softmax(x, a["axis"]),
    "add": lambda a, x, y: x + y,
    "sub": lambda a, x, y: x - y,
    "mul": lambda a, x, y: x * y,
    "div": lambda a, x, y: x / y,
    "matmul": lambda a, x, y: x @ y,
    "concat": lambda a, *x: torch.cat(x, a["axis"]),
    "max_pool": _pool("max"),
    "avg_pool": _pool("avg"),
    "global_avg_pool": lambda a, x: x.flatten(2).mean(2),
    "mean": lambda a, x: x.mean(a["axes"], a["keepdims"]),
    "upsample": _upsample,
    "pad": _pad,
    "flatten": lambda a, x: x.flatten(1),
    "reshape": lambda a, x: x.reshape(x.shape[0], *a["shape"][1:]) if a["shape"][0] == 1 else x.reshape(a["shape"]),
    "transpose": lambda a, x: x.permute(a["perm"]),
    "slice": _slice,
    "identity": lambda a, x: x,
}


def _bind(node: Node) -> Callable[..., Tensor]:
    call, attrs = _STATELESS[node.op], attributes(node)
    return lambda *inputs: call(attrs, *inputs)
