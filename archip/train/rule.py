"""Rule: how one batch becomes gradients; the part of a training that differs between single networks and supernets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor, nn

__all__ = ["Loss", "Plain", "Rule"]

Loss = Callable[[Tensor, Tensor], Tensor]


class Rule(Protocol):
    """Duties: no state of its own, randomness only from `rng`, and a `repr` that tells one rule from another.

    Attributes:
        verb: what a progress bar says before the name of the data set.
    """

    verb: ClassVar[str]

    def backward(
        self, forward: Callable[..., Tensor], x: Tensor, y: Tensor, loss: Loss, rng: np.random.Generator
    ) -> Tensor:
        """Add gradients to the parameters behind `forward`; gives back the loss to be shown, detached."""
        ...

    def evaluated(self, module: nn.Module) -> nn.Module | None:
        """The network that is evaluated in the place of what is trained; None if there is no such network."""
        ...


@dataclass(frozen=True)
class Plain:
    """The gradient of the loss of the batch."""

    verb: ClassVar[str] = "train"

    def backward(
        self, forward: Callable[..., Tensor], x: Tensor, y: Tensor, loss: Loss, rng: np.random.Generator
    ) -> Tensor:
        value = loss(forward(x), y)
        value.backward()
        return value.detach()

    def evaluated(self, module: nn.Module) -> nn.Module:
        return module
