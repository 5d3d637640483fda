"""Dynamic multi-task topologies: every task finds its own way through one network, whose layers the tasks share.

Choose it for several tasks on the same inputs of which it is not known which should share what. In three stages:
warm-up of the weights with all edges; search, in which each step trains the weights under drawn topologies and then the
chances of topologies on validation samples, with a squeeze loss on more than `edges` expected edges; and training of
the weights under the topologies that are left when the weakest edges have gone (`nets/topology.py: reduced`).
Source: Choi and Im 2023, arXiv:2303.06856. Differs: layers, constants and schedules are ours, where the paper's are not
known to us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from archip.core.errors import UserError
from archip.core.protocols import Progress
from archip.data._dataset import DataSet
from archip.nets.central import CentralNetwork, Gates, TaskNetwork
from archip.nets.topology import Edge, Topology, reduced
from archip.train.loop import Recipe, fit
from archip.train.rule import Rule, Scene, Step

__all__ = ["DynamicTopologies", "MultiTask", "find_topologies"]

Share = Annotated[float, Field(ge=0, le=1)]
_SAMPLES = 128  # of the validation split in a step of the chances


@dataclass
class DynamicTopologies(Rule):
    """Trains a `CentralNetwork`; targets have a column for each task, in the order of its outputs.

    Attributes:
        edges: that a task may have at the end.
        warmup, search: shares of all steps.
        squeeze: weight of the squeeze loss.
        lr: of the chances (Adam).
        temperature: of the draws, at the beginning and at the end of the search.
    """

    edges: Annotated[int, Field(ge=1)] = 6
    warmup: Share = 0.25
    search: Share = 0.5
    squeeze: Annotated[float, Field(ge=0)] = 0.05
    lr: Annotated[float, Field(gt=0)] = 0.05
    temperature: tuple[float, float] = (2.0, 0.5)

    def __post_init__(self) -> None:
        if self.warmup + self.search >= 1:
            raise UserError("leave nothing for the last stage", "warmup and search", "shares of less than 1 together")

    def start(self, scene: Scene) -> None:
        if not isinstance(scene.module, CentralNetwork):
            raise UserError("topologies are found in a central network", "rule", "CentralNetwork(stem, edge, …)")
        self.net, self._scene = scene.module, scene
        self.tasks = list(self.net.outputs)
        n_chances = len(self.net.edges) + 2 * self.net.n_states
        self.logits = torch.zeros(len(self.tasks), n_chances, requires_grad=True)
        self._adam = torch.optim.Adam([self.logits], self.lr)
        self.topologies: dict[str, Topology] = {}

    def backward(self, step: Step) -> Tensor:
        if step.done >= self.warmup + self.search and not self.topologies:
            self.topologies = self._decided()
        gates = self._gates(step)
        losses = [self._loss(step, step.x, step.y, t, gates[t]) for t in range(len(self.tasks))]
        value = torch.stack(losses).mean()
        value.backward()
        return value.detach()

    def stepped(self, step: Step) -> None:
        """In the search: the chances after the weights."""
        if not self.warmup <= step.done < self.warmup + self.search:
            return
        x, y = self._scene.validation(step.rng, _SAMPLES)
        gates = self._drawn(step, self.logits)
        losses = [self._loss(step, x, y, t, gates[t]) for t in range(len(self.tasks))]
        expected = torch.sigmoid(self.logits[:, : len(self.net.edges)]).sum(1)
        value = torch.stack(losses).mean() + self.squeeze * F.relu(expected - self.edges).mean()
        (self.logits.grad,) = torch.autograd.grad(value, [self.logits])
        self._adam.step()

    def state(self) -> dict[str, Tensor]:
        kept = self._adam.state.get(self.logits, {})
        found = {f"adam/{name}": torch.as_tensor(value) for name, value in kept.items()}
        for task, topology in self.topologies.items():
            found[f"topology/{task}"] = torch.tensor([(topology.read_in, topology.read_out), *topology.edges])
        return found | {"logits": self.logits.detach()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.logits.copy_(state["logits"])
        kept = {name[5:]: value for name, value in state.items() if name.startswith("adam/")}
        if kept:
            self._adam.state[self.logits] = kept
        for name, rows in state.items():
            if name.startswith("topology/"):
                (read_in, read_out), *edges = map(tuple, rows.tolist())
                self.topologies[name[9:]] = Topology(tuple(edges), read_in, read_out)

    def evaluated(self, module: nn.Module) -> nn.Module | None:
        return None

    def _loss(self, step: Step, x: Tensor, y: Tensor, number: int, gates: Gates) -> Tensor:
        return step.loss(step.forward(x, self.tasks[number], gates), y[:, number])

    def _gates(self, step: Step) -> Sequence[Gates]:
        """Of each task for a step of the weights."""
        if self.topologies:
            return [Gates.of(self.topologies[task]) for task in self.tasks]
        if step.done >= self.warmup:
            return self._drawn(step, self.logits.detach())
        states = dict.fromkeys(range(self.net.n_states), 1 / self.net.n_states)
        return [Gates(dict.fromkeys(self.net.edges, 1.0), states, states)] * len(self.tasks)

    def _drawn(self, step: Step, logits: Tensor) -> list[Gates]:
        """Relaxed draws: Gumbel-sigmoid for edges, Gumbel-softmax for entry and exit."""
        begin, end = self.temperature
        heat = begin + (end - begin) * (step.done - self.warmup) / self.search
        noise = torch.from_numpy(step.rng.gumbel(size=(2, *logits.shape))).float()
        n_edges, n = len(self.net.edges), self.net.n_states
        edges = torch.sigmoid((logits + noise[0] - noise[1])[:, :n_edges] / heat)
        ends = ((logits + noise[0])[:, n_edges:] / heat).reshape(-1, 2, n).softmax(2)
        return [
            Gates(dict(zip(self.net.edges, e, strict=True)), dict(enumerate(into)), dict(enumerate(out)))
            for e, (into, out) in zip(edges, ends, strict=True)
        ]

    def _decided(self) -> dict[str, Topology]:
        n_edges, n = len(self.net.edges), self.net.n_states
        values = self.logits.detach()
        chances = torch.sigmoid(values[:, :n_edges]).tolist()
        ends: Any = values[:, n_edges:].reshape(-1, 2, n).softmax(2).numpy()
        return {
            task: reduced(dict(zip(self.net.edges, row, strict=True)), ends[t, 0], ends[t, 1], self.edges)
            for t, (task, row) in enumerate(zip(self.tasks, chances, strict=True))
        }


@dataclass(frozen=True)
class MultiTask:
    """Topologies and networks by task.

    Attributes:
        accuracy: on the test split.
    """

    topologies: Mapping[str, Topology]
    networks: Mapping[str, TaskNetwork]
    accuracy: Mapping[str, float]

    @property
    def n_parameters(self) -> int:
        """Of all tasks together; layers that tasks share count once."""
        counts: dict[tuple[str, str] | Edge, int] = {}
        for task, net in self.networks.items():
            counts |= {("stem", ""): _size(net.stem), ("head", task): _size(net.head)}
            counts |= {edge: _size(layer) for edge, layer in zip(net.topology.edges, net.layers.values(), strict=True)}
        return sum(counts.values())


def find_topologies(
    net: CentralNetwork,
    data: DataSet,
    recipe: Recipe,
    rule: DynamicTopologies,
    seed: int = 0,
    progress: Progress | None = None,
) -> MultiTask:
    """Train a central network for the tasks of `data`, whose targets have a column for each.

    Raises:
        UserError: no such network, or edges that join no entry and exit.
        CandidateError: the training diverged.
    """
    fit(net, data, recipe, seed, progress, rule=rule)
    networks = {task: net.extract(task, topology).eval() for task, topology in rule.topologies.items()}
    x, y = (torch.from_numpy(array) for array in data.splits["test"])
    accuracy = {}
    for number, (task, network) in enumerate(networks.items()):
        with torch.inference_mode():
            accuracy[task] = float((network(x).argmax(1) == y[:, number]).double().mean())
    return MultiTask(rule.topologies, networks, accuracy)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
