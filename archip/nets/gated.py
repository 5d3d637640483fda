"""Gated networks: channels of a trained network in modules that are switched off, and cut out when they stay off.

Channels that the network adds or hands on belong together; each such group is split into modules of neighbouring
channels, with one gate each. A module that is off is read by nobody: its channels are zero in the weights that read
them, so the network computes exactly what is left when it is cut out, and gates have gradients. Inputs, outputs and
channels that are joined or reshaped have no gates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from archip.core.errors import UserError
from archip.ir.graph import Graph, Node
from archip.ir.ops import attributes
from archip.nets.build import GraphModule
from archip.nets.channel_order import Groups
from archip.nets.torch_form import attribute_names

__all__ = ["Gated"]

_READERS = {"conv": 1, "conv_transpose": 0, "linear": 1}  # operator → axis of its weight along which its input lies
_NARROWED = {"conv": "out_channels", "conv_transpose": "out_channels", "linear": "out_features"}


class Gated(nn.Module):
    """A network whose modules are switched by gates.

    G gates of all groups, one group after another.

    Attributes:
        backbone: the network; trained as any other.
        widths: channels of each group.
        spans: of each gate, its group and the first and the last channel (not included).
    """

    def __init__(self, backbone: GraphModule, modules: int) -> None:
        """Split each group of channels into `modules`, or into as many as it has channels.

        Raises:
            UserError: no channels of this network can be switched.
        """
        super().__init__()
        self.backbone = backbone
        self._groups = Groups()
        self._groups.add(backbone.graph)
        self.widths: dict[str, int] = {}
        for node in backbone.graph.nodes:
            if node.op in _NARROWED and (group := self._groups.of(node.name)):
                self.widths[group] = backbone.graph.shapes[node.name][1]
        if not self.widths:
            raise UserError("no channels of this network can be switched off", "backbone", "one with convolutions")
        self.spans = [
            (group, int(part[0]), int(part[-1]) + 1)
            for group, width in self.widths.items()
            for part in np.array_split(np.arange(width), min(modules, width))
        ]

    @property
    def members(self) -> list[list[int]]:
        """Gates of each group."""
        return [[i for i, (name, _, _) in enumerate(self.spans) if name == group] for group in self.widths]

    def forward(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        """Outputs with gates [G] from 0 (off) to 1; without gates, of the whole network."""
        if gates is None:
            return self.backbone(x)
        masks = {group: self._mask(gates, group) for group in self.widths}
        read = {
            f"{name}.weight": weight * _along(masks[group], weight, axis)
            for name, weight, group, axis in self.readers()
        }
        return functional_call(self.backbone, read, (x,))

    def graph(self, gates: Tensor, outputs: Sequence[int] | None = None) -> Graph:
        """The network without the modules that are off.

        Args:
            outputs: of a last layer that is linear, those that are wanted, in order; by default all.
        """
        kept = {group: int((self._mask(gates, group) > 0).sum()) for group in self.widths}
        whole = self.backbone.graph
        nodes = [self._narrowed(node, kept) for node in whole.nodes]
        if outputs is not None:
            last = self._classifier()
            i = whole.nodes.index(last)
            nodes[i] = Node.of(last.name, last.op, last.inputs, {**last.attrs, "out_features": len(outputs)})
        return Graph(whole.inputs, tuple(nodes), whole.outputs)

    @torch.no_grad()
    def cut(self, gates: Tensor, outputs: Sequence[int] | None = None) -> GraphModule:
        """`graph` as a module of its own, with copies of weights and statistics."""
        kept = {group: (self._mask(gates, group) > 0).nonzero().flatten() for group in self.widths}
        module, names = GraphModule(self.graph(gates, outputs)), attribute_names(self.backbone.graph)
        for node in self.backbone.graph.nodes:
            layer = self.backbone._modules.get(names.get(node.name, ""))
            state = layer.state_dict() if layer is not None else {}
            for name in state:
                for axis, group in self._axes(node, name).items():
                    state[name] = state[name].index_select(axis, kept[group].to(state[name].device))
                if outputs is not None and node == self._classifier():
                    state[name] = state[name][list(outputs)]
            if state:
                module.get_submodule(names[node.name]).load_state_dict(state)
        return module.to(next(self.parameters()).device)

    def _classifier(self) -> Node:
        """The last layer.

        Raises:
            UserError: it is not linear.
        """
        node = self.backbone.graph.node[self.backbone.graph.outputs[0].partition(":")[0]]
        if node.op != "linear":
            raise UserError(f"outputs are chosen in a linear layer, and {node.name} is {node.op}", "backbone")
        return node

    def _mask(self, gates: Tensor, group: str) -> Tensor:
        """[channels] of a group."""
        mine = [
            (gate, last - first) for gate, (name, first, last) in zip(gates, self.spans, strict=True) if name == group
        ]
        return torch.cat([gate.expand(n) for gate, n in mine])

    def readers(self) -> Iterator[tuple[str, Tensor, str, int]]:
        """Layers that read channels with gates: name, weight, group, and the axis of the weight."""
        names = attribute_names(self.backbone.graph)
        for node in self.backbone.graph.nodes:
            if node.op in _READERS and not _is_grouped(node) and (group := self._groups.of(node.inputs[0])):
                name = names[node.name]
                yield name, self.backbone.get_parameter(f"{name}.weight"), group, _READERS[node.op]

    def _axes(self, node: Node, name: str) -> dict[int, str]:
        """Axis of a tensor of a layer → the group that lies along it, if it has gates."""
        read, written = self._groups.of(node.inputs[0]) if node.inputs else "", self._groups.of(node.name)
        if name == "num_batches_tracked":
            return {}
        if node.op in _READERS and name == "weight" and not _is_grouped(node):
            axis = _READERS[node.op]
            found = {1 - axis: written, axis: read}
        else:
            found = {0: written}
        return {axis: group for axis, group in found.items() if group}

    def _narrowed(self, node: Node, kept: Mapping[str, int]) -> Node:
        group = self._groups.of(node.name)
        if not group or node.op not in _NARROWED:
            return node
        changed = {_NARROWED[node.op]: kept[group]} | ({"groups": kept[group]} if _is_grouped(node) else {})
        return Node.of(node.name, node.op, node.inputs, {**node.attrs, **changed})


def _is_grouped(node: Node) -> bool:
    return attributes(node).get("groups", 1) > 1


def _along(mask: Tensor, weight: Tensor, axis: int) -> Tensor:
    """The mask shaped so that it lies along an axis of a weight."""
    return mask.view([-1 if a == axis else 1 for a in range(weight.ndim)])
