"""Rule: how one batch becomes gradients; the part of a training that differs between single networks and supernets.

Rules for networks that share weights are the files of `archip/train/rules`; each is one published method. They are
built from a few pieces: `backward_of` (one network's gradients), `distillation` (losses.py), and what `Scene` gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from archip.core.knobs import KnobSpace
from archip.train.losses import TaskKind

__all__ = ["Kind", "Loss", "Plain", "Rule", "Scene", "Shared", "Step", "SupernetRule"]

Loss = Callable[[Tensor, Tensor], Tensor]
Genotype = Any
Kind = Literal["depth", "kernel", "resolution", "width"]


class Shared(Protocol):
    """Networks that share weights, as one module: `SuperNet`, `ElasticNet`.

    Attributes:
        space: draws the genotypes of its networks.
        largest, smallest: the genotypes at both ends.
        kinds: gene → what it changes in the largest network; no other genes change it.
    """

    @property
    def space(self) -> KnobSpace: ...
    @property
    def largest(self) -> Genotype: ...
    @property
    def smallest(self) -> Genotype: ...
    @property
    def kinds(self) -> Mapping[str, Kind]: ...

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
        task: what the outputs are.
        usual: share of all steps that lie behind → warm-up and half a cosine, the usual learning rate there.
        sort: moves the most important channels to the front, with what the training keeps of them, so that smaller
            networks get those; nothing where the module has no channels that it could sort.
    """

    module: Any
    n_steps: int
    epochs: int
    validation: Callable[[np.random.Generator, int], tuple[Tensor, Tensor]]
    loss: Loss
    task: TaskKind
    usual: Callable[[float], float]
    sort: Callable[[], None]


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
        self,
        genotype: Genotype,
        teacher: Tensor | None = None,
        weight: float = 1.0,
        rows: slice = slice(None),
        labels: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Add `weight` times the gradient of one network's loss; gives its outputs and its loss, both detached.

        Args:
            genotype: of the network.
            teacher: outputs to learn from in place of the labels.
            rows: those of the batch that it sees.
            labels: whether it learns from the labels beside the teacher.
        """
        from archip.train.losses import distillation

        outputs = self.forward(self.x[rows], genotype)
        value = distillation(outputs, teacher[rows]) if teacher is not None else torch.zeros((), device=outputs.device)
        if labels or teacher is None:
            value = value + self.loss(outputs, self.y[rows])
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

    def network(self, make: Callable[[int], Any]) -> Any:
        """What is trained: one supernet, unless a rule needs several.

        Args:
            make: number → a supernet of the space with start weights of its own; 0 is the usual one.
        """
        return make(0)

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
