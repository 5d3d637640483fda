"""Network: a trained network with all that an export needs to know of it; and what all its exporters share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, final

import torch

from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.core.files import make_folder, replacing
from archip.ir.graph import Graph

__all__ = ["Network", "NetworkExporter"]


@dataclass(frozen=True)
class Network:
    """A module, the graph it was built from, and what its inputs and outputs mean.

    Attributes:
        name: names the files.
        module: `nets.build.GraphModule` of `graph`; exporters put it into evaluation mode.
        classes: names of the outputs; for binary segmentation of background and foreground.
        mean, std: per channel; the network expects (raw - mean) / std. Empty: raw values.
        metrics: what was measured, e.g. ``{"test.accuracy": 0.98}``.
    """

    name: str
    graph: Graph
    module: torch.nn.Module
    task: str = "classification"
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        space: Any,
        genotype: Any,
        module: torch.nn.Module,
        data: Any,
        metrics: Mapping[str, float] | None = None,
    ) -> Network:
        """The network of a genotype of a `spaces._network.NetworkSpace`, trained on a `data._dataset.DataSet`."""
        graph = space.graph(genotype, data.input_shape, data.n_outputs)
        return cls(name, graph, module, data.task, data.classes, data.mean, data.std, metrics or {})

    @property
    def metadata(self) -> dict[str, str]:
        """What a file of this network carries with it; everything but names is JSON."""
        about = {k: json.dumps(list(getattr(self, k))) for k in ("classes", "mean", "std")}
        named = {"made_by": "archip", "name": self.name, "task": self.task, "graph": self.graph.id}
        return {**named, **about, "metrics": canonical_json(dict(self.metrics))}


class NetworkExporter(ABC):
    """Writes one network into one file, whole or not at all."""

    suffix: ClassVar[str]

    @abstractmethod
    def encode(self, network: Network) -> bytes:
        """The contents of the file.

        Raises:
            CandidateError: the network cannot be expressed in this format; names the node.
        """

    @final
    def write(self, network: Network, folder: Path) -> Path:
        """Write ``<name><suffix>`` into `folder`, which is made if it is not there.

        Raises:
            UserError: the folder or the file cannot be written; what was there before is untouched.
        """
        path = make_folder(folder) / f"{network.name}{self.suffix}"
        contents = self.encode(network)
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(contents)
        except OSError as error:
            right = f"room for {len(contents)} bytes in a folder that can be written to"
            raise UserError(f"the file cannot be written: {error.strerror}", str(path), right) from None
        return path
