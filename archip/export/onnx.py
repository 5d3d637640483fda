"""ONNX: the float network with a free batch axis, for ONNX Runtime and everything else that reads ONNX.

Needs the package onnxscript. Inputs are called as in the graph, outputs ``logits``. The file's metadata say what the
network is: name, task, classes and how inputs are normalised. The default opset, 18, is the oldest that torch writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from archip.export._network import Network, NetworkExporter
from archip.export._to_onnx import to_onnx

__all__ = ["Onnx"]


@dataclass
class Onnx(NetworkExporter):
    """Writes ``<name>.onnx``.

    Attributes:
        opset: version of the ONNX operator set.
    """

    opset: Annotated[int, Field(ge=18, le=23)] = 18

    suffix = ".onnx"

    def encode(self, network: Network) -> bytes:
        return to_onnx(network, self.opset, {})
