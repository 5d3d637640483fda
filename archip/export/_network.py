"""Network: a trained network with all that an export needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from archip.ir.graph import Graph

__all__ = ["Network"]


@dataclass(frozen=True)
class Network:
    """A module, the graph it was built from, and what its inputs and outputs mean.

    Attributes:
        mean, std: per channel; the network expects (raw - mean) / std.
        classes: names of the outputs; for binary segmentation of background and foreground.
    """

    name: str
    graph: Graph
    module: torch.nn.Module
    task: str = "classification"
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, space: Any, genotype: Any, module: torch.nn.Module, data: Any) -> Network:
        """The network of a genotype, trained on a data set."""
        graph = space.graph(genotype, data.input_shape, data.n_outputs)
        return cls(name, graph, module, data.task, data.classes, data.mean, data.std)

    @property
    def metadata(self) -> dict[str, str]:
        """What a file of this network carries with it, as text."""
        numbers = {"mean": self.mean, "std": self.std}
        return {
            "made_by": "archip",
            "name": self.name,
            "task": self.task,
            "graph": self.graph.id,
            "classes": ",".join(self.classes),
            **{k: ",".join(f"{v:.9g}" for v in values) for k, values in numbers.items()},
            **self.extra,
        }
