"""Stitched networks: trained models of one family joined by small linear layers, so that sizes between them appear.

A route runs the first blocks of a small model, a stitch, and the last blocks of the next larger one. Stitches begin as
the least-squares map between the activations of both models; a short training of all routes together does the rest.

    net = archip.stitch([small, middle, large], images)        # nn.Sequential(stem, block, ..., block, head) each
    fit(net, data, Recipe(epochs=5, lr=4e-4, keep="last"), 0, rule=Uniform())
    best = net.extract({"route": 7})                            # an ordinary module; net.routes[7] says which

Source: Pan et al. 2023, arXiv:2302.06586 (SN-Net): only neighbours in size, from small to large, blocks of equal depth
within a sliding window, nearest places where depths differ, least squares with a bias; 71 networks of three models with
12 blocks. Differs: every route has a stitch of its own; a teacher is the largest model where the rule `sandwich`
trains; the rate of a tenth of the models' own is the user's to set.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archip.core.errors import UserError
from archip.core.knobs import Choice, Knob, KnobSpace
from archip.nets.supernet import Kind

__all__ = ["Route", "StitchedNet", "stitch"]


@dataclass(frozen=True)
class Route:
    """Model `first` up to block `leave`, a stitch, and the model after it from block `enter` on; or one model whole.

    Attributes:
        leave, enter: places of blocks; None where the model is run whole.
    """

    first: int
    leave: int | None = None
    enter: int | None = None

    @property
    def stitch(self) -> str | None:
        """Name of its stitch."""
        return None if self.leave is None else f"{self.first}_{self.leave}_{self.enter}"

    def __str__(self) -> str:
        if self.leave is None:
            return f"model {self.first}"
        return f"model {self.first} up to block {self.leave}, model {self.first + 1} from block {self.enter}"


class Routes(KnobSpace):
    """One gene: the number of a route, in the order of cost."""

    def __init__(self, n: int) -> None:
        self._n = n

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {"route": Choice(range(self._n))}


class StitchedNet(nn.Module):
    """All routes through the models, as networks that share weights (`train.rule.Shared`).

    Attributes:
        routes: the cheapest first.
        macs: multiply-accumulates of every route, for one sample.
    """

    def __init__(
        self, models: Sequence[nn.Sequential], x: Tensor, window: int, axis: int, start: Literal["fitted", "random"]
    ) -> None:
        super().__init__()
        self.models = nn.ModuleList(copy.deepcopy(model) for model in models)
        traces = [_Trace.of(model, x) for model in self._sequences()]
        self.stitches = nn.ModuleDict()
        self._axis = axis
        costs: dict[Route, float] = {Route(i): sum(trace.macs) for i, trace in enumerate(traces)}
        for i, (a, b) in enumerate(pairwise(traces)):
            if costs[Route(i)] > costs[Route(i + 1)]:
                raise UserError(f"model {i} is larger than model {i + 1}", "models", "the smallest first")
            for leave, enter in _places(len(a.inputs) - 2, len(b.inputs) - 2, window):  # beside stem and head
                route, pair = Route(i, leave, enter), (a.inputs[leave + 2], b.inputs[enter + 1])
                layer = _Stitch(*_rows(pair, axis, str(route)), axis, start == "fitted")
                self.stitches[str(route.stitch)] = layer
                per_row = layer.linear.weight.numel() * pair[1].numel() / (len(x) * layer.linear.out_features)
                costs[route] = sum(a.macs[: leave + 2]) + per_row + sum(b.macs[enter + 1 :])
        self.routes = sorted(costs, key=lambda route: costs[route])
        self.macs = [costs[route] for route in self.routes]
        self.space = Routes(len(self.routes))

    def forward(self, x: Tensor, genotype: Mapping[str, Any] | None = None) -> Tensor:
        """Outputs of one route, by default of the largest model."""
        for layer in self._layers(self.routes[(genotype or self.largest)["route"]]):
            x = layer(x)
        return x

    def extract(self, genotype: Mapping[str, Any]) -> nn.Sequential:
        """The network of a route as an ordinary module with weights of its own."""
        genotype = self.space.canonical(genotype)
        return nn.Sequential(*(copy.deepcopy(layer) for layer in self._layers(self.routes[genotype["route"]])))

    @property
    def smallest(self) -> dict[str, int]:
        return {"route": 0}

    @property
    def largest(self) -> dict[str, int]:
        """The largest model; a route into its first blocks costs more, and is no better."""
        return {"route": self.routes.index(Route(len(self.models) - 1))}

    @property
    def kinds(self) -> dict[str, Kind]:
        return {"route": "depth"}

    def cost(self, genotype: Mapping[str, Any]) -> float:
        """Multiply-accumulates of a route, for one sample."""
        return self.macs[genotype["route"]]

    def _layers(self, route: Route) -> Iterator[nn.Module]:
        models = list(self._sequences())
        if route.leave is None or route.enter is None:
            yield from models[route.first]
        else:
            yield from list(models[route.first])[: route.leave + 2]
            yield self.stitches[str(route.stitch)]
            yield from list(models[route.first + 1])[route.enter + 1 :]

    def _sequences(self) -> Iterator[nn.Sequential]:
        return (cast("nn.Sequential", model) for model in self.models)


class _Stitch(nn.Module):
    """A linear map of the channels.

    Args:
        a_NA, b_NB: activations before and after it, of the same samples and places.
        fitted: begin as the least-squares map between them, else as torch begins linear layers.
    """

    def __init__(self, a_NA: Tensor, b_NB: Tensor, axis: int, fitted: bool) -> None:
        super().__init__()
        self.axis = axis
        self.linear = nn.Linear(a_NA.shape[1], b_NB.shape[1])
        if fitted:
            ones_N1 = torch.ones(len(a_NA), 1, dtype=torch.float64)
            solution = torch.linalg.pinv(torch.cat([a_NA.double(), ones_N1], 1)) @ b_NB.double()
            with torch.no_grad():
                self.linear.weight.copy_(solution[:-1].T)
                self.linear.bias.copy_(solution[-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.movedim(self.axis, -1)).movedim(-1, self.axis)


@dataclass(frozen=True)
class _Trace:
    """One model on a batch: the input of every layer, and its multiply-accumulates for one sample."""

    inputs: list[Tensor]
    macs: list[float]

    @classmethod
    @torch.no_grad()
    def of(cls, model: nn.Sequential, x: Tensor) -> _Trace:
        was_training, inputs, macs = model.training, [], []
        model.eval()
        for layer in model:
            inputs.append(x)
            with FlopCounterMode(display=False) as counter:
                x = layer(x)
            macs.append(counter.get_total_flops() / 2 / len(x))
        model.train(was_training)
        return cls(inputs, macs)


def stitch(
    models: Sequence[nn.Sequential],
    x: Tensor,
    window: int = 2,
    axis: int = 1,
    start: Literal["fitted", "random"] = "fitted",
) -> StitchedNet:
    """Join trained models of one family; they are copied.

    Args:
        models: the smallest first; the children of each are its stem, its blocks and its head.
        x: about 100 inputs, of which the stitches are fitted.
        window: blocks of equal depth are stitched if they lie in one window of so many places (2 in the paper).
        axis: of the channels in what flows between blocks: 1, or -1 for tokens.
        start: whether stitches begin fitted, or at random for comparison.

    Raises:
        UserError: fewer than two models, one that is no `nn.Sequential` of stem, blocks and head, models that are not
            in the order of size, or activations that differ in more than their channels.
    """
    if len(models) < 2:
        raise UserError(f"{len(models)} models", "models", "two or more")
    for i, model in enumerate(models):
        if not isinstance(model, nn.Sequential) or len(model) < 3:
            right = "nn.Sequential(stem, block, ..., block, head), nn.Identity() where there is no stem"
            raise UserError(f"model {i} is no sequence of a stem, blocks and a head", "models", right)
    if window < 1:
        raise UserError(f"{window}", "window", "1 or more")
    return StitchedNet(models, x, window, axis, start)


def _places(n_a: int, n_b: int, window: int) -> list[tuple[int, int]]:
    """Pairs of blocks (leave, enter) of a model of `n_a` blocks and a larger one of `n_b`."""
    if n_a == n_b:
        return [(i, j) for i in range(n_a) for j in range(n_b) if abs(i - j) < min(window, n_a)]
    most = max(n_a, n_b)
    return sorted({(i * n_a // most, i * n_b // most) for i in range(most)})


def _rows(pair: tuple[Tensor, Tensor], axis: int, where: str) -> tuple[Tensor, Tensor]:
    """Both activations as [samples and places, channels].

    Raises:
        UserError: they differ in more than their channels.
    """
    a, b = (t.movedim(axis, -1) for t in pair)
    if a.shape[:-1] != b.shape[:-1]:
        text = f"activations of shape {tuple(pair[0].shape)} and {tuple(pair[1].shape)} differ in more than channels"
        raise UserError(text, where, f"blocks with maps of one size, channels on axis {axis}")
    return a.flatten(0, -2), b.flatten(0, -2)
