"""InstaTune: a pretrained network becomes a supernet while it is fine-tuned, at little more than its cost.

Choose it for networks that `archip.elastic` made of a pretrained one. Every step trains the largest network on the
labels and on the outputs of a teacher, which is the same network fine-tuned, and a random sub-network on the outputs
of the largest. Depth, heads and neurons are kept by importance; `elastic` has sorted them before.
Where no teacher is given (`teach`), the largest network is trained alone for the first part of the steps, and is the
teacher of the rest.
Source: Sridhar et al. 2023, arXiv:2308.15609. The paper's weights of the losses are not known to us: all are 1.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from archip.train.device import mixed_precision
from archip.train.rule import Scene, Step, SupernetRule

__all__ = ["InstaTune"]


@dataclass
class InstaTune(SupernetRule):
    """Largest with labels and teacher, random sub-networks with the largest."""

    n_random: Annotated[int, Field(ge=1)] = 1  # sub-networks a step
    alone: Annotated[float, Field(gt=0, lt=1)] = 0.4  # share of the steps that make the teacher, if none is given

    def __post_init__(self) -> None:
        self.given: Callable[[Tensor], Tensor] | None = None
        self.taught = False  # the teacher has been made

    def teach(self, teacher: Callable[[Tensor], Tensor]) -> InstaTune:
        """Learn from the outputs of `teacher` from the first step on."""
        self.given = teacher
        return self

    def start(self, scene: Scene) -> None:
        super().start(scene)
        self.teacher = copy.deepcopy(scene.module).eval().requires_grad_(False) if self.given is None else None

    def backward(self, step: Step) -> Tensor:
        largest = self.shared.largest
        if self.given is None and step.done < self.alone:
            return step.backward_of(largest)[1]
        outputs, value = step.backward_of(largest, self._outputs(step.x), labels=True)
        for _ in range(self.n_random):
            step.backward_of(self.shared.space.sample(step.rng), outputs)
        return value

    def state(self) -> dict[str, Tensor]:
        return dict(self.teacher.state_dict()) if self.taught and self.teacher is not None else {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.taught = bool(state)
        if self.taught and self.teacher is not None:
            self.teacher.load_state_dict(state)

    @torch.no_grad()
    def _outputs(self, x: Tensor) -> Tensor:
        """What the teacher says; the first time, the largest network as it is becomes the teacher."""
        with mixed_precision(x.device):
            if self.given is not None:
                return self.given(x).float()
            assert self.teacher is not None  # made at the start
            if not self.taught:
                self.teacher.load_state_dict(self.shared.state_dict())  # pyright: ignore[reportAttributeAccessIssue]
                self.taught = True
            return self.teacher(x, self.shared.largest).float()
