"""Supernet: one store of weights for all networks of a space; every network uses views of it.

A tensor of the store has the largest shape that the layer of its name takes anywhere in the space; `slices.py` says
which part of it a network uses. Layers that a network lacks are skipped. Batch-norm statistics belong to no network:
they are measured for each one that is evaluated.
Source: Yu et al. 2020, arXiv:2003.11142 (BigNAS); Cai et al. 2020, arXiv:1908.09791 (weights shared by name, centre
of the kernel, with learned transforms if wanted).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archip.core.errors import CandidateError, UserError
from archip.core.knobs import extremes
from archip.core.rng import integer_seed
from archip.ir.graph import Graph
from archip.ir.workload import workload
from archip.nets.build import GraphModule
from archip.nets.channel_order import sort_store
from archip.nets.functional import compute
from archip.nets.kernel_transforms import Step, matrix_name, transform_steps, transformed
from archip.nets.part import extent, view
from archip.nets.slices import concat_rooms, parts
from archip.nets.torch_form import attribute_names
from archip.nets.zero_gamma import zero_last_gamma

__all__ = ["SuperNet"]

Genotype = Mapping[str, Any]
Kind = Literal["depth", "kernel", "resolution", "width"]


class SuperNet(nn.Module):
    """All networks of a `spaces._network.NetworkSpace` for one input shape and number of outputs.

    Its parameters have the names that they have in the module of a single network.

    Attributes:
        space: as given.
        about: what its weights are of, as JSON.
        smallest, largest: genotypes with the fewest and the most multiply-accumulates of those that `_corners` gives.
    """

    def __init__(
        self,
        space: Any,
        input_shape: Sequence[int],
        n_outputs: int,
        seed: int,
        kernel_transforms: bool = False,
    ) -> None:
        """The weights are drawn from `seed`; with `kernel_transforms`, matrices turn kernels into smaller ones."""
        super().__init__()
        self.space = space
        self.about = _about(space, input_shape, n_outputs)
        self._make_graph = lambda genotype: space.graph(genotype, input_shape, n_outputs)
        corners = list(self._corners(space))
        if not corners:
            raise CandidateError(f"no network of {type(space).__name__} takes inputs of shape {tuple(input_shape)}")
        macs = [workload(graph).macs for _, graph in corners]
        self.smallest, self.largest = (corners[macs.index(end(macs))][0] for end in (min, max))
        graphs = [graph for _, graph in corners]
        self._rooms = concat_rooms(graphs)
        for name, shape in self._shapes(graphs).items():
            layer, _, tensor = name.partition(".")
            if layer not in self._modules:
                self.add_module(layer, nn.Module())
            start = _start(tensor, shape, integer_seed(seed, "supernet", name))
            self.get_submodule(layer).register_parameter(tensor, nn.Parameter(start))
        self._kernel_steps = self._register_transforms(graphs) if kernel_transforms else {}

    def forward(self, x: Tensor, genotype: Genotype | None = None) -> Tensor:
        """Outputs of one network (the largest, if none is named), for training: norms use the batch's statistics."""
        graph = self._make_graph(genotype or self.largest)
        return compute(graph, self._views(graph), x)

    def zero_gamma(self) -> list[str]:
        """Let the residual blocks of all networks begin as their skip connection.

        Returns:
            The norms whose scale is 0 now.
        """
        return sorted({norm for _, graph in self._corners(self.space) for norm in zero_last_gamma(self, graph)})

    def through(self, x: Tensor, genotype: Genotype, piece: Callable[[Graph], Graph]) -> Tensor:
        """Outputs of a part of a network for the part's input, as in `forward`."""
        graph = self._make_graph(genotype)
        return compute(piece(graph), self._views(graph), x)

    @torch.no_grad()
    def extract(self, genotype: Genotype) -> GraphModule:
        """The network as a module of its own with copies of its weights; its norms still need their statistics."""
        graph = self._make_graph(genotype)
        module = GraphModule(graph).to(next(self.parameters()).device)
        names = attribute_names(graph)
        for node, tensors in self._views(graph).items():
            for name, part in tensors.items():
                module.get_parameter(f"{names[node]}.{name}").copy_(part)
        return module

    def cost(self, genotype: Genotype) -> float:
        """Multiply-accumulates of a network."""
        return float(workload(self._make_graph(genotype)).macs)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Gene → what its other values change in the largest network; genes that change nothing else are widths."""
        whole = self._make_graph(self.largest)
        return {name: self._kind(name, whole) for name in self.space.knobs}

    def sort(self, orders: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Sort the channels by importance, or into given orders (`sort_store`); gives the orders."""
        return sort_store(self, [graph for _, graph in self._corners(self.space)], orders)

    def _kind(self, gene: str, whole: Graph) -> Kind:
        sizes = {node.name: node for node in whole.nodes}
        for value in self.space.knobs[gene].values:
            try:
                other = self._make_graph(self.space.canonical({**self.largest, gene: value}))
            except (UserError, CandidateError):
                continue
            if "resize" in {node.op for node in {*whole.nodes} ^ {*other.nodes}}:
                return "resolution"
            if {node.name for node in other.nodes} != sizes.keys():
                return "depth"
            if any(node.attrs.get("kernel") != sizes[node.name].attrs.get("kernel") for node in other.nodes):
                return "kernel"
        return "width"

    def _views(self, graph: Graph) -> dict[str, dict[str, Tensor]]:
        """Node → its weights by name, as parts of the store.

        Raises:
            CandidateError: a layer is larger than in any corner of the space.
        """
        names = attribute_names(graph)
        views: dict[str, dict[str, Tensor]] = {}
        for (node, name), part in parts(graph, self._rooms).items():
            layer = self._modules.get(names[node])
            tensor = layer._parameters.get(name) if layer is not None else None
            if tensor is None or any(a > b for a, b in zip(extent(part), tensor.shape, strict=True)):
                raise CandidateError(f"the supernet has no room for {names[node]}.{name} of shape {extent(part)}")
            steps = self._kernel_steps.get(names[node]) if name == "weight" else None
            whole = (*part[:2], *tensor.shape[2:]) if steps else part
            made = view(tensor, whole)
            kernel = tuple(axis for axis in part[2:] if isinstance(axis, int))
            views.setdefault(node, {})[name] = (
                transformed(made, steps, layer._parameters, kernel) if steps and layer is not None else made
            )
        return views

    def _register_transforms(self, graphs: Sequence[Graph]) -> dict[str, list[Step]]:
        """Layer → steps between its kernels; every step gets its matrix."""
        kernels: dict[str, set[tuple[int, ...]]] = {}
        for graph in graphs:
            names = attribute_names(graph)
            for node in graph.nodes:
                if node.op == "conv":
                    kernels.setdefault(names[node.name], set()).add(node.attrs["kernel"])
        steps = {layer: transform_steps(found) for layer, found in kernels.items()}
        for layer, found in steps.items():
            for step in found:
                matrix = nn.Parameter(torch.eye(math.prod(step[1])))
                self.get_submodule(layer).register_parameter(matrix_name(step), matrix)
        return {layer: found for layer, found in steps.items() if found}

    def _corners(self, space: Any) -> Iterator[tuple[Genotype, Graph]]:
        """Genotypes among which every layer is largest; networks that cannot be built are left out."""
        seen = set()
        for genotype in extremes(space):
            try:
                graph = self._make_graph(genotype)
                graph.shapes  # noqa: B018 - raises where the input is too small
            except (UserError, CandidateError):
                continue
            if graph not in seen:
                seen.add(graph)
                yield genotype, graph

    def _shapes(self, graphs: Sequence[Graph]) -> dict[str, tuple[int, ...]]:
        """Name of every weight → its shape in the store."""
        shapes: dict[str, tuple[int, ...]] = {}
        for graph in graphs:
            names = attribute_names(graph)
            for (node, tensor), part in parts(graph, self._rooms).items():
                name, size = f"{names[node]}.{tensor}", extent(part)
                shapes[name] = tuple(map(max, size, shapes.get(name, size)))
        return shapes


def _about(space: Any, input_shape: Sequence[int], n_outputs: int) -> dict[str, Any]:
    options = {f.name: getattr(space, f.name) for f in fields(space)} if is_dataclass(space) else {}
    named = {"space": type(space).__name__, "options": options}
    return json.loads(json.dumps({**named, "input_shape": list(input_shape), "n_outputs": n_outputs}))


def _start(tensor: str, shape: Sequence[int], seed: int) -> Tensor:
    """Weights to start from: as in `build_module`, with the fan-in of the largest layer."""
    if tensor == "bias" or len(shape) == 1:
        return torch.zeros(shape) if tensor == "bias" else torch.ones(shape)
    gain = 1.0 if len(shape) == 2 else 2.0  # linear layers have no ReLU behind them here
    scale = math.sqrt(gain / math.prod(shape[1:]))
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed)) * scale
