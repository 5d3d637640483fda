"""The central network of several tasks: a graph of states whose edges are layers; each task has a way of its own.

The input enters through a stem at the states where a task reads in, a state is the sum of what its edges bring, and the
sum of the states where the task reads out goes to the task's head. Which edges, entries and exits count, and how much,
is given at each call, so that the same weights serve every topology.
Source: Choi and Im 2023, arXiv:2303.06856, the central network with read-in and read-out layers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from archip.nets.topology import Edge, Topology, all_edges

__all__ = ["CentralNetwork", "Gates", "TaskNetwork"]


class Gates(NamedTuple):
    """Weights between 0 and 1; what is not named counts nothing."""

    edges: Mapping[Edge, Tensor | float]
    read_in: Mapping[int, Tensor | float]
    read_out: Mapping[int, Tensor | float]

    @classmethod
    def of(cls, topology: Topology) -> Gates:
        """Those of a decided topology."""
        return cls(dict.fromkeys(topology.edges, 1.0), {topology.read_in: 1.0}, {topology.read_out: 1.0})


class CentralNetwork(nn.Module):
    """States, edges and heads for tasks on one kind of input.

    Attributes:
        outputs: task → numbers that its head gives.
        edges: of the graph, in order.
    """

    def __init__(
        self,
        stem: nn.Module,
        edge: Callable[[], nn.Module],
        head: Callable[[int], nn.Module],
        outputs: Mapping[str, int],
        n_states: int = 6,
        reach: int = 3,
    ) -> None:
        """`stem` makes a state of the input, `edge` a layer from state to state, `head` one from state to outputs."""
        super().__init__()
        self.n_states, self.edges, self.outputs = n_states, all_edges(n_states, reach), dict(outputs)
        self.stem = stem
        self.layers = nn.ModuleDict({_name(e): edge() for e in self.edges})
        self.heads = nn.ModuleDict({task: head(n) for task, n in outputs.items()})

    def forward(self, x: Tensor, task: str, gates: Gates) -> Tensor:
        """Outputs for one task."""
        return self.heads[task](_passed(self.stem(x), self.n_states, gates, self.layers))

    def extract(self, task: str, topology: Topology) -> TaskNetwork:
        """The network of one task, with copies of the weights that it uses and no others."""
        return TaskNetwork(self, task, topology)


class TaskNetwork(nn.Module):
    """What one task uses of a central network."""

    def __init__(self, whole: CentralNetwork, task: str, topology: Topology) -> None:
        super().__init__()
        self.topology, self.n_states = topology, whole.n_states
        self.stem, self.head = copy.deepcopy(whole.stem), copy.deepcopy(whole.heads[task])
        self.layers = nn.ModuleDict({_name(e): copy.deepcopy(whole.layers[_name(e)]) for e in topology.edges})

    def forward(self, x: Tensor) -> Tensor:
        return self.head(_passed(self.stem(x), self.n_states, Gates.of(self.topology), self.layers))


def _name(edge: Edge) -> str:
    return f"{edge[0]}_{edge[1]}"


def _passed(first: Tensor, n_states: int, gates: Gates, layers: nn.ModuleDict) -> Tensor:
    """The sum of the states that are read out."""
    states: dict[int, Tensor] = {}
    for j in range(n_states):
        parts = [gates.read_in[j] * first] if j in gates.read_in else []
        parts += [w * layers[_name((i, j))](states[i]) for (i, k), w in gates.edges.items() if k == j and i in states]
        if parts:
            states[j] = torch.stack(parts).sum(0)
    return torch.stack([w * states[j] for j, w in gates.read_out.items() if j in states]).sum(0)
