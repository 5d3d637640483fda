"""Graph → torch module: one layer for every node that has weights, and a forward pass that follows the graph.

Weights are called ``<node>.weight``, ``<node>.bias`` … with the dots of the node's name as ``_``; running statistics of
batch norms are buffers of the same form. The module is an ordinary one: it trains, moves, copies, exports
(`torch.export`), and runs with other tensors in the place of its parameters (`torch.func.functional_call`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from archip.core.rng import integer_seed
from archip.ir.graph import Graph
from archip.nets.torch_form import Layer, Weight, attribute_names, registers, torch_form

__all__ = ["GraphModule", "build_module", "empty_layer"]


class GraphModule(nn.Module):
    """Computes `graph` for batches of any size; takes its inputs in order, gives its output (a tuple of several).

    Layers may be replaced (``module.stem_conv = other``); weights are not initialised, `build_module` does that.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        names = attribute_names(graph)
        steps, self._outputs = registers(graph)
        self._n_registers = max(len(graph.inputs), 1 + max((write for _, _, write in steps), default=0))
        self._steps: list[
            tuple[str | Callable[..., Tensor], tuple[int, ...], int]
        ] = []  # layer or function, reads, write
        for node, reads, write in steps:
            form = torch_form(graph, node)
            if isinstance(form, Layer):
                self.add_module(names[node.name], empty_layer(form))
            self._steps.append((names[node.name] if isinstance(form, Layer) else form.bound(), reads, write))

    def forward(self, *inputs: Tensor) -> Any:
        values: list[Any] = [*inputs, *[None] * (self._n_registers - len(inputs))]
        for step, reads, write in self._steps:
            compute = self._modules[step] if isinstance(step, str) else step
            values[write] = _output(compute(*[values[i] for i in reads]))  # pyright: ignore[reportOptionalCall]
        outputs = tuple(values[i] for i in self._outputs)
        return outputs if len(outputs) != 1 else outputs[0]

    def values(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The value of every input and node of the graph, by name, in order."""
        values = {i.name: x for i, x in zip(self.graph.inputs, inputs, strict=True)}
        for node, (step, _, _) in zip(self.graph.nodes, self._steps, strict=True):
            compute = self._modules[step] if isinstance(step, str) else step
            given = [values[name] for name in node.inputs]
            values[node.name] = _output(compute(*given))  # pyright: ignore[reportOptionalCall]
        return values


def _output(value: Any) -> Tensor:
    """What a layer hands on; recurrent ones return their states as well."""
    return value[0] if isinstance(value, tuple) else value


def build_module(graph: Graph, seed: int = 0) -> GraphModule:
    """The torch module of `graph` with fresh weights, in training mode.

    A layer's weights depend on the seed, its node's name and its shape, and on nothing else. torch's global generator
    is not touched.

    Raises:
        CandidateError: the graph has an operator that cannot be built.
    """
    module = GraphModule(graph)
    with torch.no_grad():
        for name, layer in module.named_children():
            _initialise(layer, integer_seed(seed, "weights", name))
    return module


def empty_layer(form: Layer) -> nn.Module:
    """The layer on torch's default device; norms as torch makes them, other weights without values.

    (torch's own initialisation would draw from the global generator, and take most of the time.)
    """
    layer = _bare(form.cls)(*form.args, **form.options)
    layer.__class__ = form.cls
    if isinstance(layer, nn.LayerNorm | _BatchNorm):
        layer.reset_parameters()
    return layer


@cache
def _bare(cls: type[nn.Module]) -> type[nn.Module]:
    """The class without its initialisation."""
    return type(cls.__name__, (cls,), {"reset_parameters": lambda self: None})


def _initialise(layer: nn.Module, seed: int) -> None:
    """He's initialisation of convolutions (arXiv:1502.01852, eq. 10); linear layers, often the last, lack its gain."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(layer, _ConvNd | nn.Linear):
        gain = 1 if isinstance(layer, nn.Linear) else 2
        layer.weight.normal_(0, math.sqrt(gain / _fan_in(layer)), generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
    elif isinstance(layer, nn.RNNBase):  # as torch does
        for weight in layer.parameters():
            weight.uniform_(-(layer.hidden_size**-0.5), layer.hidden_size**-0.5, generator=generator)
    elif isinstance(layer, nn.Embedding):
        layer.weight.normal_(generator=generator)
    elif isinstance(layer, Weight):  # as in ViT and BERT
        layer.weight.normal_(0, 0.02, generator=generator)


def _fan_in(layer: _ConvNd | nn.Linear) -> float:
    """How many products are summed up for one output (their mean, where a transposed convolution has strides)."""
    if isinstance(layer, _ConvTransposeNd):
        return layer.weight[:, 0].numel() / layer.groups / math.prod(layer.stride)
    return layer.weight[0].numel()
