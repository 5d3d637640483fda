"""Rule: how one batch becomes gradients; the part of a training that differs between single networks and supernets.

Rules for networks that share weights are the files of `archip/train/rules`; each is one published method. They are
built from a few pieces: `backward_of` (one network's gradients), `distillation` (losses.py), and what `Scene` gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from torch import Tensor, nn

from archip.core.protocols import Space

__all__ = ["Loss", "Plain", "Rule", "Scene", "Shared", "Step", "SupernetRule"]

Loss = Callable[[Tensor, Tensor], Tensor]
Genotype = Any


class Shared(Protocol):
    """Networks that share weights, as one module: `SuperNet`, `ElasticNet`.

    Attributes:
        space: draws the genotypes of its networks.
        largest, smallest: the genotypes at both ends.
    """

    @property
    def space(self) -> Space: ...
    @property
    def largest(self) -> Genotype: ...
    @property
    def smallest(self) -> Genotype: ...

    def __call__(self, x: Tensor, genotype: Genotype | None = None) -> Tensor:
        """Outputs of one network, the largest if none is named."""
        ...

    def cost(self, genotype: Genotype) -> float:
        """What tells how large a network is: multiply-accumulates, or parameters where no graph says those."""
        ...


@dataclass(frozen=True)
class Scene:
    """What a rule may look at, from the start of a training to its end.

    Attributes:
        module: what is trained, on its device.
        n_steps: of an epoch.
        epochs: as many as there may be.
        validation: (generator, samples) → a batch of the validation split, on the device of the training.
        loss: of the task, as in each step.
    """

    module: Any
    n_steps: int
    epochs: int
    validation: Callable[[np.random.Generator, int], tuple[Tensor, Tensor]]
    loss: Loss


@dataclass(frozen=True)
class Step:
    """One batch.

    Attributes:
        forward: the module in the precision of the training; with a genotype beside the batch where weights are shared.
        x, y: the batch, augmented.
        loss: of the task, from (outputs, targets).
        rng: the only source of randomness.
        done: the share of all steps that lie behind, from 0 to below 1.
    """

    forward: Callable[..., Tensor]
    x: Tensor
    y: Tensor
    loss: Loss
    rng: np.random.Generator
    done: float = 0.0

    def backward_of(
        self, genotype: Genotype, teacher: Tensor | None = None, weight: float = 1.0, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Add `weight` times the gradient of one network's loss; gives its outputs and its loss, both detached.

        Args:
            genotype: of the network.
            teacher: outputs to learn from in place of the labels.
            rows: those of the batch that it sees.
        """
        from archip.train.losses import distillation

        outputs = self.forward(self.x[rows], genotype)
        value = self.loss(outputs, self.y[rows]) if teacher is None else distillation(outputs, teacher[rows])
        (weight * value).backward()
        return outputs.detach(), value.detach()


class Rule(ABC):
    """Duties: randomness only from the step's generator, and a `repr` that tells one rule from another.

    Options are dataclass fields; whatever else a rule keeps between steps is set in `start` and goes through `state`,
    so that a training that was killed ends with the same weights.

    Attributes:
        verb: what a progress bar says before the name of the data set.
    """

    verb: ClassVar[str] = "train"

    def start(self, scene: Scene) -> None:  # noqa: B027 - only some look around
        """Called once, before the first step and before `restore`."""

    @abstractmethod
    def backward(self, step: Step) -> Tensor:
        """Add gradients to the parameters behind `step.forward`; gives back the loss to be shown, detached."""

    def stepped(self, step: Step) -> None:  # noqa: B027
        """Called after the weights have changed by the gradients of `step`."""

    def epoch_ended(self, number: int, rng: np.random.Generator) -> None:  # noqa: B027
        """Called after epoch `number`, from 0; the weights are those of its last step."""

    def rate(self, done: float, usual: float, warming: bool) -> float:
        """Learning rate as a share of the recipe's highest; `usual` is warm-up (now, if `warming`), then cosine."""
        return usual

    def state(self) -> dict[str, Tensor]:
        """What later steps depend on beside the weights."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Put back what `state` gave."""

    @abstractmethod
    def evaluated(self, module: nn.Module) -> nn.Module | None:
        """The network that is evaluated in the place of what is trained; None if there is no such network."""


class SupernetRule(Rule):
    """Base of the rules for networks that share weights (`Shared`): no single network stands for all."""

    verb: ClassVar[str] = "supernet"
    shared: Shared

    def start(self, scene: Scene) -> None:
        self.shared = scene.module

    def evaluated(self, module: nn.Module) -> nn.Module | None:
        return None


@dataclass(frozen=True)
class Plain(Rule):
    """The gradient of the loss of the batch."""

    def backward(self, step: Step) -> Tensor:
        value = step.loss(step.forward(step.x), step.y)
        value.backward()
        return value.detach()

    def evaluated(self, module: nn.Module) -> nn.Module:
        return module
