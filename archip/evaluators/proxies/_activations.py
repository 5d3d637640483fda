"""What scores read off activations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archip.evaluators.proxies._probe import Probe

if TYPE_CHECKING:
    import torch

__all__ = ["switches"]

_RELUS = ("relu", "relu6")
_POSITIONS = 64  # of a map that are looked at, where each counts as a sample


def switches(probe: Probe, each_position: bool = False) -> Iterator[torch.Tensor]:
    """Of every ReLU layer, which of its units each sample switches on: [N, units] of 0.0 and 1.0.

    Args:
        each_position: a sample is one position of a map, its units are the channels there.
    """
    import torch

    module = probe.module()
    x, _ = probe.tensors()
    with torch.no_grad():
        values = module.values(x)
    for node in probe.graph.nodes:
        if node.op in _RELUS:
            code = (values[node.name] > 0).float()
            if each_position and code.ndim > 2:
                yield code.flatten(2)[:, :, :_POSITIONS].transpose(1, 2).flatten(0, 1)
            else:
                yield code.flatten(1)
