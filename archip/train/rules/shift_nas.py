"""ShiftNAS: networks are drawn by cost, more of those costs whose networks are least trained.

Choose it where the smallest and the largest networks matter: a sum of many uniform choices is nearly always of middle
cost. Costs are cut into bins. A generator names networks of a wanted cost; in the end, `generator.draw` gives one for
any budget without a search. From a share of the training on, the probability of each bin follows the norm of the
validation gradient of its networks, which goes to zero as they are trained.
Source: Zhang et al. 2023, arXiv:2307.08300, sections 3.2 and 3.3. Differs: bins are equal shares of the range of costs;
their logits go up the gradient of the mean norm (so that bins that are far from trained gain), without second-order
terms; the generator learns from the loss of the network that it drew by REINFORCE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from archip.train.recipe import load_optimiser
from archip.train.rule import Scene, Step, SupernetRule
from archip.train.rules._generator import ArchitectureGenerator

__all__ = ["ShiftNas"]

_KEPT = 0.9  # of the mean losses and norms of a bin, when a new one comes
_REINFORCE = 0.01  # weight of the loss of the drawn network beside the error of its cost


@dataclass
class ShiftNas(SupernetRule):
    """One network a step, from a bin of costs."""

    n_bins: Annotated[int, Field(ge=2)] = 8  # of equal width on the axis of costs
    n_paths: Annotated[int, Field(ge=1)] = 1  # networks a step; their gradients are averaged
    begin: Annotated[float, Field(ge=0, le=1)] = 0.25  # share of the training after which probabilities change
    period: Annotated[int, Field(ge=1)] = 20  # steps from one change to the next
    pace: Annotated[float, Field(gt=0)] = 0.1  # of the logits of the bins
    generator_lr: Annotated[float, Field(gt=0)] = 1e-3  # learning rate of the generator (Adam)

    def start(self, scene: Scene) -> None:
        super().start(scene)
        self.scene = scene
        self.generator = ArchitectureGenerator(self.shared)
        self.adam = torch.optim.Adam(self.generator.parameters(), self.generator_lr)
        self.bounds = np.linspace(self.generator.low, self.generator.high, self.n_bins + 1)
        self.logits, self.losses, self.norms = (torch.zeros(self.n_bins) for _ in range(3))
        self.number = 0

    @property
    def probabilities(self) -> np.ndarray:
        """Of the bins, from cheap to dear networks."""
        return self.logits.double().softmax(0).numpy()

    def backward(self, step: Step) -> Tensor:
        self.number += 1
        if step.done >= self.begin and self.number % self.period == 0:
            self.shift(step)
        error, values = self.generator.loss(step.rng), []
        for _ in range(self.n_paths):
            number = int(step.rng.choice(self.n_bins, p=self.probabilities))
            genotype, log = self.generator.draw(self._target(number, step.rng), step.rng)
            value = step.backward_of(genotype, weight=1 / self.n_paths)[1]
            values.append(value)
            advantage = value.cpu() - self.losses[number] if self.losses[number] else torch.zeros(())
            self.losses[number] = _mean(self.losses[number], value.cpu())
            error = error + _REINFORCE * advantage * log
        self.adam.zero_grad()
        if torch.isfinite(error):
            error.backward()
            self.adam.step()
        return torch.stack(values).mean()

    def shift(self, step: Step) -> None:
        """Move the probabilities towards the bins with the largest validation gradients."""
        parameters = [p for p in self.scene.module.parameters() if p.requires_grad]
        x, y = self.scene.validation(step.rng, len(step.x))
        for number in range(self.n_bins):
            genotype, _ = self.generator.draw(self._target(number, step.rng), step.rng)
            loss = step.loss(step.forward(x, genotype), y)
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
            norm = torch.stack([g.norm() for g in found if g is not None]).norm().cpu()
            self.norms[number] = _mean(self.norms[number], norm)
        shares = self.logits.softmax(0)
        relative = self.norms / self.norms.mean()
        self.logits += self.pace * self.n_bins * shares * (relative - (shares * relative).sum())

    def state(self) -> dict[str, Tensor]:
        own = {"logits": self.logits, "losses": self.losses, "norms": self.norms, "number": torch.tensor(self.number)}
        own |= {f"generator/{k}": t for k, t in self.generator.state_dict().items()}
        states = self.adam.state_dict()["state"].items()
        return own | {f"adam/{i}/{k}": t for i, state in states for k, t in state.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.logits, self.losses, self.norms = (state[k].clone() for k in ("logits", "losses", "norms"))
        self.number = int(state["number"])
        parts = {
            p: {k.partition("/")[2]: t for k, t in state.items() if k.startswith(p)} for p in ("generator", "adam")
        }
        self.generator.load_state_dict(parts["generator"])
        load_optimiser(self.adam, parts["adam"])

    def _target(self, number: int, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.bounds[number], self.bounds[number + 1]))


def _mean(before: Tensor, now: Tensor) -> Tensor:
    """A moving average that begins with its first value."""
    return now if before == 0 else _KEPT * before + (1 - _KEPT) * now
