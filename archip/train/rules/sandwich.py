"""Sandwich rule with in-place distillation: the largest, the smallest and a few random networks in every step.

Choose it where sub-networks are used as they are, without training of their own (BigNAS). Only the largest network sees
the labels; the others learn from its outputs on the same batch. Gradients are summed up, as in the paper's code.
The learning rate falls exponentially and stays at 5 % of its start towards the end.
Source: Yu and Huang 2019, arXiv:1903.05134, algorithm 1 (sandwich rule, in-place distillation); Yu et al. 2020,
arXiv:2003.11142 (BigNAS), sections 3.2 to 3.4. Differs: weight decay is the recipe's for all networks; the last norm of
a residual block starts at zero only if that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from archip.train.rule import Step, SupernetRule

__all__ = ["Sandwich"]

_FLOOR = 0.05  # of the highest learning rate: section 3.3
_FALL = 0.75  # share of the training at which the floor is reached; the paper gives no number


@dataclass
class Sandwich(SupernetRule):
    """Largest, smallest and random networks."""

    n_random: Annotated[int, Field(ge=0)] = 2  # networks a step, besides the largest and the smallest
    distil: bool = True  # False: every network learns from the labels
    exponential: bool = True  # False: warm-up and half a cosine, as for other rules
    zero_gamma: bool = False  # residual blocks begin as their skip connection: section 3.2

    def network(self, make: Callable[[int], Any]) -> Any:
        net = super().network(make)
        if self.zero_gamma:
            net.zero_gamma()
        return net

    def backward(self, step: Step) -> Tensor:
        outputs, value = step.backward_of(self.shared.largest)
        drawn = [self.shared.space.sample(step.rng) for _ in range(self.n_random)]
        for genotype in (self.shared.smallest, *drawn):
            step.backward_of(genotype, outputs if self.distil else None)
        return value

    def rate(self, done: float, usual: float, warming: bool) -> float:
        return usual if warming or not self.exponential else max(_FLOOR, _FLOOR ** (done / _FALL))
