"""Quantised ONNX: the network at the bits that a search chose, with explicit rounding (QDQ).

Only for networks of a run with ``compress``. Weights are stored as 8-bit integers with a scale a channel; those of
fewer bits use fewer of the 256 values, so the file is not smaller for them. Values between layers are rounded on 256
levels, or on fewer behind a Clip. Runtimes fuse what they have integer kernels for and compute the rest in floats.
More than 8 bits (but 24 and more, which are floats) cannot be told. Needs the package onnxscript.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field

from archip.compress.quantize._quantizer import Rounded
from archip.core.errors import CandidateError
from archip.export._network import Network, NetworkExporter
from archip.export._to_onnx import to_onnx

__all__ = ["QdqOnnx"]

_LEVELS = 2**8


@dataclass
class QdqOnnx(NetworkExporter):
    """Writes ``<name>.qdq.onnx``.

    Attributes:
        opset: version of the ONNX operator set.
    """

    opset: Annotated[int, Field(ge=18, le=23)] = 18

    suffix = ".qdq.onnx"

    def encode(self, network: Network) -> bytes:
        rounded = {name: part for name, part in network.module.named_modules() if isinstance(part, Rounded)}
        if not rounded:
            raise CandidateError("a network without bits has nothing that is quantised")
        for name, part in rounded.items():
            for grid in (part.reads, part.writes, part.weights):
                if grid is not None and grid.high - grid.low >= _LEVELS:
                    raise CandidateError(f"layer {name} has more than 8 bits, which a quantised ONNX file cannot tell")
        return to_onnx(network, self.opset, _translations(self.opset))


def _translations(opset: int) -> dict[Callable[..., Any], Callable[..., Any]]:
    import onnxscript
    from onnxscript import ir

    op = getattr(onnxscript, f"opset{opset}")

    def constant(value: Any, dtype: Any) -> Any:
        return op.Constant(value=ir.tensor(value, dtype=dtype))

    def on_grid(x: Any, scale: float, zero: int, low: int, high: int) -> Any:
        if (low, high) != (0, _LEVELS - 1):
            ends = (constant(scale * (end - zero), ir.DataType.FLOAT) for end in (low, high))
            x = op.Clip(x, *ends)
        step, origin = constant(scale, ir.DataType.FLOAT), constant(zero, ir.DataType.UINT8)
        return op.DequantizeLinear(op.QuantizeLinear(x, step, origin), step, origin)

    def from_integers(integers: Any, scale: Any, axis: int) -> Any:
        return op.DequantizeLinear(integers, scale, axis=axis)

    ops = torch.ops.archip
    return {ops.on_grid.default: on_grid, ops.from_integers.default: from_integers}
