"""ONNX: the float network with a free batch axis, for ONNX Runtime and everything else that reads ONNX.

Needs the package onnxscript. Inputs are called as in the graph, outputs ``logits``. The file's metadata say what the
network is: name, task, classes and how inputs are normalised. The default opset, 18, is the oldest that torch writes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field

from archip.core.errors import MissingExtra
from archip.export._network import Network, NetworkExporter
from archip.ir.graph import Input

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
        if importlib.util.find_spec("onnxscript") is None:
            raise MissingExtra("onnxscript", "torch", "writing ONNX files")
        import onnx

        given, outputs = network.graph.inputs, network.graph.outputs
        names = ["logits"] if len(outputs) == 1 else [f"logits{i}" for i in range(len(outputs))]
        free = tuple({0: torch.export.Dim("batch")} for _ in given)
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network.module.eval(),
                tuple(_zeros(value) for value in given),
                input_names=[value.name for value in given],
                output_names=names,
                opset_version=self.opset,
                dynamic_shapes=(free,),
                dynamo=True,
                verbose=False,
            )
        model = program.model_proto  # pyright: ignore[reportOptionalMemberAccess]
        _forget_where_it_was_made(model.graph)
        onnx.helper.set_model_props(model, network.metadata)
        onnx.checker.check_model(model)
        return model.SerializeToString(deterministic=True)


def _zeros(value: Input) -> torch.Tensor:
    """Two samples: one would count as a fixed size."""
    return torch.zeros(2, *value.shape[1:], dtype=torch.int64 if value.is_tokens else torch.float32)


def _forget_where_it_was_made(graph: Any) -> None:
    """Drop the exporter's notes: stack traces with file names of this machine, a quarter of a small network's file."""
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's progress on stdout and its advice to torch developers are not for our users."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
