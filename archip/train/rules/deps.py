"""Delayed eps-shrinking: the largest network alone for half of the training, then small ones with growing weight.

Choose it when the sandwich rule costs too much: the first half costs one network's step. Then every step trains the
largest, the smallest and random networks; all but the largest learn from its outputs, and their gradients are
multiplied by beta, which grows so that their learning rate rises linearly from 0 to that of the largest network.
When shrinking begins, the most important channels come to the front if the module can (`ElasticNet`).
Source: Annavajjala et al. 2024, arXiv:2407.06167 (DepS), section 3; beta and the defaults as in the authors' code.
Differs: lengths are shares of the training; distillation from early snapshots is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from archip.core.errors import UserError
from archip.train.rule import Scene, Step, SupernetRule

__all__ = ["Deps"]

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass
class Deps(SupernetRule):
    """Largest alone, then largest, smallest and random networks."""

    delay: Share = 0.5  # T_w: share of the training at which small networks have their full weight
    ramp: Share = 0.05  # s: share of the training, before that, in which their weight grows
    n_networks: Annotated[int, Field(ge=2)] = 4  # a step, with the largest and the smallest
    sort: bool = True  # channels, if the module can

    def __post_init__(self) -> None:
        if self.ramp > self.delay:
            raise UserError(f"a ramp of {self.ramp}", "ramp", f"at most the delay, {self.delay}")

    def start(self, scene: Scene) -> None:
        super().start(scene)
        self.scene, self.shrinks = scene, False

    def beta(self, done: float) -> float:
        """Factor of the gradients of all networks but the largest."""
        behind = done - (self.delay - self.ramp)
        if done >= self.delay or behind <= 0:
            return float(done >= self.delay)
        return behind / self.ramp * self.scene.usual(self.delay) / self.scene.usual(done)

    def backward(self, step: Step) -> Tensor:
        beta = self.beta(step.done)
        if beta > 0 and not self.shrinks:
            self.shrinks = True
            if self.sort:
                self.scene.sort()
        outputs, value = step.backward_of(self.shared.largest)
        if beta == 0:
            return value
        drawn = [self.shared.space.sample(step.rng) for _ in range(self.n_networks - 2)]
        for genotype in (self.shared.smallest, *drawn):
            step.backward_of(genotype, outputs, beta)
        return value

    def state(self) -> dict[str, Tensor]:
        return {"shrinks": torch.tensor(self.shrinks)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.shrinks = bool(state["shrinks"])
