"""Supernet file: the weights of a trained supernet, with what they are of; refused for anything else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from archip.core.errors import UserError
from archip.train.checkpoint import FORMAT, read_checkpoint

__all__ = ["differences", "load_supernet"]

_SHOWN = 3  # tensors that differ; there may be hundreds


def load_supernet(path: Path, module: nn.Module) -> None:
    """Put the weights of a finished training into `module` (a `SuperNet`).

    Raises:
        UserError: there is no such file, its training had not ended, or it is of another space, input, number of
            outputs or version; the message has the difference.
    """
    if not path.exists():
        raise UserError("there is no such file", str(path), "the .safetensors of a run's folder supernet/")
    tensors, about = read_checkpoint(path)
    if about.get("format") != FORMAT:
        raise UserError(f"version {about.get('format')} of the format", str(path), f"version {FORMAT}: train it anew")
    if not about.get("finished"):
        raise UserError("its training was interrupted", str(path), "resume that run first")
    found = differences(about["of"], getattr(module, "about", {}))
    if not found:  # the same space, but with learned transforms of kernels, or without
        shapes = ({name: list(t.shape) for name, t in those.items()} for those in (tensors, module.state_dict()))
        found = differences(*shapes)[:_SHOWN]
    if found:
        raise UserError("a supernet of something else: " + "; ".join(found), str(path), "the same space and data")
    module.load_state_dict(tensors)


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What differs between two nested mappings, one line a value; where the spaces are others, that alone."""
    if there.get("space") != here.get("space"):
        return [f"space {there.get('space')!r} there, {here.get('space')!r} here"]
    found = []
    for key in sorted({*there, *here}):
        a, b = there.get(key), here.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += [f"{key}.{line}" for line in differences(a, b)]
        elif a != b:
            found.append(f"{key} {a!r} there, {b!r} here")
    return found
