"""Verify: whether an exported file computes what the trained network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from archip.core.errors import UserError

__all__ = ["verify_onnx"]


def verify_onnx(module: torch.nn.Module, path: Path, *inputs: np.ndarray) -> float:
    """Largest absolute difference between any output of `module` and of the ONNX file on this machine's CPU.

    Args:
        inputs: the network's inputs in order, each with the batch axis first.

    Raises:
        UserError: ONNX Runtime cannot read or run the file.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        found = session.run(None, dict(zip(names, inputs, strict=True)))
    except Exception as error:  # its exceptions have no common class of their own
        text = str(error).splitlines()[0]
        raise UserError(f"ONNX Runtime cannot run it: {text}", str(path), "an ONNX file of this network") from None
    with torch.no_grad():
        expected = module.eval()(*(torch.from_numpy(x) for x in inputs))
    pairs = zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True)
    return max(float(np.abs(a - b.numpy()).max()) for a, b in pairs)
