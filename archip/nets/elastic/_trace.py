"""What a trace says about one node or layer: its shape, its name, whether it reads sizes, whether it can be wrapped."""

from __future__ import annotations

import operator
from typing import Any

from torch import Tensor, fx, nn

__all__ = ["OneInput", "asks_shape", "infers_last", "shape_of", "target", "why_not"]


class OneInput(nn.Module):
    """Hands over one input, so that the trace sees neither other arguments nor `*inputs`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Any:
        return self.module(x)


def shape_of(node: fx.Node) -> tuple[int, ...]:
    found = node.meta.get("tensor_meta")
    return tuple(getattr(found, "shape", ()))


def target(node: fx.Node) -> str:
    """Name of a layer in the given module."""
    return str(node.target).removeprefix("module.")


def asks_shape(node: fx.Node) -> bool:
    """It reads the number of samples, which no width changes."""
    if node.target is getattr and node.args[1:] == ("shape",):
        return all(user.target is operator.getitem and user.args[1:] == (0,) for user in node.users)
    return node.target == "size" and node.args[1:] == (0,)


def infers_last(node: fx.Node) -> bool:
    sizes = node.args[1:] if len(node.args) != 2 or isinstance(node.args[1], int) else node.args[1]
    return isinstance(sizes, tuple | list) and sizes[-1:] in ((-1,), [-1])


def why_not(layer: Any, n_owners: int) -> str:
    """Why a layer cannot be wrapped; empty if it can."""
    if any(getattr(layer, hooks) for hooks in ("_forward_hooks", "_forward_pre_hooks")):
        return "has hooks"
    if hasattr(layer, "parametrizations"):
        return "has parametrised weights"
    if n_owners > 1:
        return "shares a weight with another layer"
    is_other = getattr(layer, "padding_mode", "zeros") != "zeros" or isinstance(getattr(layer, "padding", 0), str)
    return "has padding other than by numbers of zeros" if is_other else ""
