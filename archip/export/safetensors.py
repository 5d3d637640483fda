"""Weights as safetensors; the header holds the graph, so that the file alone is enough to build the network again.

Tensor names are those of the PyTorch source and of `nets.build.GraphModule`. The one entry of the header's metadata,
``archip``, is JSON: name, task, classes, mean, std and metrics of the network, and its graph. Equal networks give
equal files (several entries would come in random order).
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.core.candidate import canonical_json
from archip.export._network import Network, NetworkExporter

__all__ = ["Safetensors"]


@dataclass
class Safetensors(NetworkExporter):
    """Writes ``<name>.safetensors``."""

    suffix = ".safetensors"

    def encode(self, network: Network) -> bytes:
        from safetensors.torch import save

        tensors = {name: t.detach().cpu().contiguous() for name, t in network.module.state_dict().items()}
        about = {
            "made_by": "archip",
            "name": network.name,
            "task": network.task,
            "classes": list(network.classes),
            "mean": list(network.mean),
            "std": list(network.std),
            "metrics": dict(network.metrics),
            "graph": network.graph.to_json(),
        }
        return save(tensors, {"archip": canonical_json(about)})
