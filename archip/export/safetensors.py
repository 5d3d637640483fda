"""Weights as safetensors, with the name, the classes and the input normalisation in the header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archip.core.files import replacing
from archip.export._network import Network

__all__ = ["Safetensors"]


@dataclass
class Safetensors:
    """Writes ``<name>.safetensors``; the tensor names are those of the PyTorch source."""

    def write(self, network: Network, folder: Path) -> Path:
        from safetensors.torch import save_file

        path = folder / f"{network.name}.safetensors"
        tensors = {name: t.detach().cpu().contiguous() for name, t in network.module.state_dict().items()}
        with replacing(path) as temporary:
            save_file(tensors, temporary, network.metadata)
        return path
