"""ONNX: the float network with a dynamic batch axis, for ONNX Runtime and everything that reads ONNX."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from archip.core.files import replacing
from archip.export._network import Network

__all__ = ["Onnx"]


@dataclass
class Onnx:
    """Writes ``<name>.onnx``.

    Attributes:
        opset: version of the ONNX operator set.
    """

    opset: Annotated[int, Field(ge=18, le=23)] = 18

    def write(self, network: Network, folder: Path) -> Path:
        import onnx
        import torch

        path = folder / f"{network.name}.onnx"
        given = network.graph.inputs[0]
        example = torch.zeros(2, *given.shape[1:])
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network.module.eval(),
                (example,),
                input_names=[given.name],
                output_names=["logits"],
                opset_version=self.opset,
                dynamic_shapes=(({0: torch.export.Dim("batch")},),),
                dynamo=True,
                verbose=False,
            )
        model = program.model_proto  # pyright: ignore[reportOptionalMemberAccess]
        onnx.helper.set_model_props(model, network.metadata)
        onnx.checker.check_model(model)
        with replacing(path) as temporary:
            onnx.save(model, temporary)
        return path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's progress on stdout and its advice to torch developers are not for our users."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
