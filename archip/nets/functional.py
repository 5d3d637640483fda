"""A network of a supernet, computed straight from its graph with weights from elsewhere; no module is made.

What a node computes follows from its operator, its attributes and the shapes around it. It is found once and
remembered, so that networks which nobody has seen before, which is what supernets train, cost hardly more than their
own work. (A module for each network costs more than a training step of a small one.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from archip.ir.graph import Graph, GraphBuilder
from archip.nets.build import empty_layer
from archip.nets.torch_form import Layer, torch_form

__all__ = ["compute"]

Weights = Mapping[str, Tensor]
Shape = tuple[int, ...]
_CONVOLUTIONS = {nn.Conv1d: F.conv1d, nn.Conv2d: F.conv2d, nn.Conv3d: F.conv3d}


def compute(graph: Graph, weights: Mapping[str, Weights], *inputs: Tensor) -> Any:
    """The outputs of `graph` in training mode: batch-norms use the statistics of the batch and keep none.

    Args:
        weights: node → its tensors by name; nodes without weights may lack.

    Raises:
        CandidateError: an operator that torch cannot compute; names the node.
    """
    shapes = graph.shapes
    values = {value.name: x for value, x in zip(graph.inputs, inputs, strict=True)}
    last = {value: node.name for node in graph.nodes for value in node.inputs} | dict.fromkeys(graph.outputs, "")
    for node in graph.nodes:
        step = _step(node.name, node.op, node.attributes, tuple(shapes[i] for i in node.inputs), graph.inputs[0].axes)
        values[node.name] = step(weights.get(node.name, {}), [values[i] for i in node.inputs])
        for value in node.inputs:
            if last[value] == node.name:
                values.pop(value, None)
    outputs = tuple(values[name] for name in graph.outputs)
    return outputs if len(outputs) != 1 else outputs[0]


@lru_cache(maxsize=8192)
def _step(
    name: str, op: str, attributes: tuple[tuple[str, Any], ...], shapes: tuple[Shape, ...], axes: str
) -> Callable[[Weights, Sequence[Tensor]], Tensor]:
    """What a node computes from its weights and inputs."""
    g = GraphBuilder()
    inputs = [g.input(f"{name} in{i}", shape, axes) for i, shape in enumerate(shapes)]
    graph = g.finish(g.add(op, *inputs, name=name, **dict(attributes)))
    form = torch_form(graph, graph.nodes[0])
    if not isinstance(form, Layer):
        function = form.bound()
        return lambda w, x: function(*x)
    with torch.device("meta"):  # its own weights are never used
        layer = empty_layer(form)
    return _direct(layer) or _called(layer)


def _direct(layer: nn.Module) -> Callable[[Weights, Sequence[Tensor]], Tensor] | None:
    """The layers that networks are mostly made of, as functions."""
    if type(layer) in _CONVOLUTIONS:
        conv: Any = layer
        shape = conv.stride, conv.padding, conv.dilation, conv.groups
        function = _CONVOLUTIONS[type(layer)]
        return lambda w, x: function(x[0], w["weight"], w.get("bias"), *shape)
    if isinstance(layer, nn.Linear):
        return lambda w, x: F.linear(x[0], w["weight"], w.get("bias"))
    if isinstance(layer, _BatchNorm):
        eps = layer.eps
        return lambda w, x: F.batch_norm(x[0], None, None, w.get("weight"), w.get("bias"), training=True, eps=eps)
    if isinstance(layer, nn.LayerNorm):
        size, eps = list(layer.normalized_shape), layer.eps
        return lambda w, x: F.layer_norm(x[0], size, w.get("weight"), w.get("bias"), eps)
    return None


def _called(layer: nn.Module) -> Callable[[Weights, Sequence[Tensor]], Tensor]:
    def step(w: Weights, x: Sequence[Tensor]) -> Tensor:
        found = functional_call(layer, dict(w), tuple(x))
        return found[0] if isinstance(found, tuple) else found  # recurrent layers return their states as well

    return step
