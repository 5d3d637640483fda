"""Torch's ONNX exporter, called once for all formats that are ONNX files."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from archip.core.errors import MissingExtra
from archip.export._network import Network
from archip.ir.graph import Input

__all__ = ["to_onnx"]


def to_onnx(network: Network, opset: int, translations: Mapping[Callable[..., Any], Callable[..., Any]]) -> bytes:
    """The file of a network with a free batch axis.

    Args:
        translations: torch operators that are not torch's own, and what they are in ONNX (onnxscript).

    Raises:
        MissingExtra: onnxscript is not installed.
    """
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
            opset_version=opset,
            dynamic_shapes=(free,),
            dynamo=True,
            verbose=False,
            custom_translation_table=dict(translations) or None,
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
