"""Checkpoint: tensors and JSON in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from archip.core.errors import UserError
from archip.core.files import replacing

__all__ = ["FORMAT", "read_checkpoint", "write_checkpoint"]

FORMAT = 2  # of what is written; 1 had no state of rules and did not say what the weights are of
_ENTRY = "archip"  # the key of our JSON in the file's own table of text


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON value `about`; a kill leaves the file as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = save({k: t.contiguous() for k, t in tensors.items()}, {_ENTRY: json.dumps(about)})
    with replacing(path) as temporary:
        temporary.write_bytes(contents)  # unlike the library's own writer, this says OSError where the disk is full


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_checkpoint` wrote; nothing at all if there is no file.

    Raises:
        UserError: the file is not a checkpoint, or is damaged.
    """
    if not path.exists():
        return {}, {}
    try:
        with safe_open(path, "pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, json.loads(file.metadata()[_ENTRY])  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError) as error:
        raise UserError(f"not a checkpoint: {error}", str(path), "delete it to train anew") from None
