"""DeepMAD: the entropy of a convolutional network, as long as it is not too deep for its width.

Choose it for residual networks designed without data: together with limits on MACs and parameters, and an evolutionary
strategy, it is the mathematical program of the paper. Networks that are too deep for their width (effectiveness above
`rho`) fail with that reason.

Over the convolutions of the longest path, with w_i = c_in k² / groups: entropy of the stage s that ends with c_s
channels of r_s x r_s values, H_s = log(c_s r_s²) · Σ_{i up to the end of s} ½ log w_i; score = Σ α_s H_s - β
exp(variance of the stages' depths / mean²), where α is 8 for the last stage and 1 for the others. Effectiveness of a
stage: its depth over the geometric mean of its w_i. Stages are runs of equal resolution.
Source: Shen et al. 2023, arXiv:2303.02165, eq. 5-8 and the released code (weights, β = 10). Differs: the variance of
depths is taken relative to their mean, since its exponential otherwise outweighs everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

from pydantic import Field

from archip.core.errors import CandidateError
from archip.evaluators.proxies._probe import Probe
from archip.ir.graph import Graph, Node
from archip.ir.ops import attributes

__all__ = ["DeepMAD"]

_LAST = 8.0  # weight of the last stage


@dataclass(frozen=True)
class DeepMAD:
    """Weighted multi-scale entropy."""

    rho: Annotated[float, Field(gt=0)] = 0.3  # the largest depth over width that is accepted
    beta: Annotated[float, Field(ge=0)] = 10.0  # weight of the variance of the stages' depths

    def score(self, probe: Probe) -> float:
        stages = stages_of(probe.graph)
        worst = max(effectiveness(stage) for stage in stages)
        if worst > self.rho:
            raise CandidateError(f"too deep for its width: effectiveness {worst:.3g} exceeds {self.rho:.3g}")
        depths = [len(stage) for stage in stages]
        mean = sum(depths) / len(depths)
        variance = sum((d - mean) ** 2 for d in depths) / len(depths) / mean**2
        return entropy(stages) - self.beta * math.exp(variance)


@dataclass(frozen=True)
class Layer:
    """A convolution: log of its width measure, and log of the number of values that it makes."""

    log_width: float
    log_values: float
    side: tuple[int, ...]


def entropy(stages: list[list[Layer]]) -> float:
    """Σ α_s H_s, in nats."""
    total, below = 0.0, 0.0
    for s, stage in enumerate(stages):
        below += sum(layer.log_width for layer in stage) / 2
        total += (_LAST if s == len(stages) - 1 else 1.0) * stage[-1].log_values * below
    return total


def effectiveness(stage: list[Layer]) -> float:
    """Depth over the geometric mean of the widths; eq. 4."""
    return len(stage) / math.exp(sum(layer.log_width for layer in stage) / len(stage))


def stages_of(graph: Graph) -> list[list[Layer]]:
    """The convolutions of the longest path from input to output, cut where the resolution changes.

    Raises:
        CandidateError: there are none.
    """
    layers = [_layer(graph, node) for node in _longest_path(graph)]
    if not layers:
        raise CandidateError("the entropy of a network without convolutions is not defined")
    return [list(stage) for _, stage in groupby(layers, key=lambda layer: layer.side)]


def _longest_path(graph: Graph) -> list[Node]:
    """The convolutions of the path that has the most of them."""
    length: dict[str, int] = {i.name: 0 for i in graph.inputs}
    before: dict[str, str] = {}
    for node in graph.nodes:
        sources = [v.partition(":")[0] for v in node.inputs]
        longest = max(sources, key=lambda name: length[name], default="")
        before[node.name] = longest
        length[node.name] = length.get(longest, 0) + (node.op == "conv")
    name, path = graph.outputs[0].partition(":")[0], []
    while name in graph.node:
        path.append(graph.node[name])
        name = before[name]
    return [node for node in reversed(path) if node.op == "conv"]


def _layer(graph: Graph, node: Node) -> Layer:
    attrs, (_, c_in, *_), out = attributes(node), graph.shapes[node.inputs[0]], graph.shapes[node.name]
    width = c_in * math.prod(attrs["kernel"]) / attrs["groups"]
    return Layer(math.log(width), math.log(math.prod(out[1:])), out[2:])
