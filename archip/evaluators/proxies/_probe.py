"""Probe: an untrained network and one batch of its task's data; what every zero-cost score looks at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from archip.ir.graph import Graph

if TYPE_CHECKING:
    import torch

__all__ = ["Probe", "Proxy", "layer_weights"]


@dataclass(frozen=True, eq=False)
class Probe:
    """One network before training.

    Attributes:
        graph: the network.
        x, y: one training batch, [N, …] float32 and [N] class numbers or [N, H, W] masks of 0 and 1.
        task: ``classification`` or ``segmentation``.
        seed: of the weights and of any noise that a score needs.
    """

    graph: Graph
    x: np.ndarray
    y: np.ndarray
    task: str
    seed: int

    def module(self) -> Any:
        """The network as a torch module in training mode; a fresh one with the same weights at every call."""
        from archip.nets.build import build_module

        return build_module(self.graph, self.seed)

    @cached_property
    def gradients(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(weight, gradient of the loss) of every convolution and linear layer, from one pass over the batch."""
        import torch

        module = self.module()
        x, y = self.tensors()
        weights = layer_weights(module)
        found = torch.autograd.grad(self.loss(module(x), y), weights, allow_unused=True)
        pairs = zip(weights, found, strict=True)  # layers that nobody reads have no gradient
        return [(w.detach(), torch.zeros_like(w) if g is None else g) for w, g in pairs]

    def tensors(self, n: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The first `n` samples as torch tensors."""
        import torch

        return torch.from_numpy(self.x[:n]), torch.from_numpy(np.asarray(self.y[:n]))

    def loss(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the task."""
        from torch.nn import functional as F

        if self.task == "classification":
            return F.cross_entropy(outputs, y.long())
        return F.binary_cross_entropy_with_logits(outputs[:, 0], y.float())


def layer_weights(module: Any) -> list[torch.Tensor]:
    """The weights of convolutions and linear layers, in order; neither biases nor norms."""
    return [p for name, p in module.named_parameters() if name.endswith("weight") and p.ndim > 1]


class Proxy(Protocol):
    """A score of a network that costs no training. More is better, and equal probes give equal scores."""

    def score(self, probe: Probe) -> float:
        """The score.

        Raises:
            CandidateError: it is not defined for this network.
        """
        ...
