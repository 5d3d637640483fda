"""Progressive shrinking: the largest network first; then smaller kernels, fewer layers, fewer channels, stage by stage.

Choose it for large spaces, where small networks that train from the start would disturb the large ones, and when there
is time for long trainings. Every stage keeps the freedom of those before it, has its own learning rate, and trains
some networks in each step, which learn from the labels and from the largest network as it was after the first stage.
The first stage of widths brings the most important channels to the front if the module can (`ElasticNet`). Stages
that would free nothing in a space are left out; resolutions are free from the second stage on.
Source: Cai et al. 2020, arXiv:1908.09791, section 3.3; epochs, rates and networks a step from the authors' code.
`stages: efficient_tdnn` has the stages of Wang et al. 2021, arXiv:2103.13581, section III: equally long, one network a
step, each stage from the full learning rate. Differs: stages are shares of one training, whose optimiser goes on;
"the upper half" of a gene's values stands for the values that the papers list for the first of two stages.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from archip.train.device import mixed_precision
from archip.train.rule import Genotype, Kind, Scene, Step, SupernetRule
from archip.train.rules._draw import draw_within

__all__ = ["ProgressiveShrinking"]


class _Stage(NamedTuple):
    kind: Kind | None  # what becomes free; None: the largest network alone
    share: float  # of its values, from the largest on
    n_networks: int  # a step
    epochs: float
    rate: float  # where its learning rate starts, as a share of the highest


_LARGEST = _Stage(None, 1, 1, 180, 1)
_STAGES = {
    "ofa": (
        _LARGEST,
        _Stage("kernel", 1, 1, 120, 1),
        _Stage("depth", 0.5, 2, 25, 2.5e-3 / 3e-2),
        _Stage("depth", 1, 2, 120, 7.5e-3 / 3e-2),
        _Stage("width", 0.5, 4, 25, 2.5e-3 / 3e-2),
        _Stage("width", 1, 4, 120, 7.5e-3 / 3e-2),
    ),
    "efficient_tdnn": (
        _LARGEST._replace(epochs=64),
        _Stage("kernel", 1, 1, 64, 1),
        _Stage("depth", 1, 1, 64, 1),
        _Stage("width", 0.5, 1, 64, 1),
        _Stage("width", 1, 1, 64, 1),
    ),
}


@dataclass
class ProgressiveShrinking(SupernetRule):
    """Largest, kernels, depths, widths."""

    stages: Literal["ofa", "efficient_tdnn"] = "ofa"  # whose order, lengths and learning rates of the stages
    distil: bool = True  # False: all networks learn from the labels alone

    def start(self, scene: Scene) -> None:
        super().start(scene)
        self.scene, self.number = scene, 0
        self.plan = [stage for stage in _STAGES[self.stages] if stage.kind is None or self._frees(stage)]
        self.ends = np.cumsum([stage.epochs for stage in self.plan]) / sum(stage.epochs for stage in self.plan)
        self.teacher = copy.deepcopy(scene.module).eval().requires_grad_(False)

    def at(self, done: float) -> int:
        """Number of the stage, from 0, when a share of all steps lies behind."""
        return min(int(np.searchsorted(self.ends, done + 1e-9, side="right")), len(self.plan) - 1)

    def backward(self, step: Step) -> Tensor:
        self._enter(self.at(step.done))
        if self.number == 0:
            return step.backward_of(self.shared.largest)[1]
        soft = self._taught(step.x) if self.distil else None
        drawn = [self.draw(self.number, step.rng) for _ in range(self.plan[self.number].n_networks)]
        return torch.stack([step.backward_of(genotype, soft, labels=True)[1] for genotype in drawn]).mean()

    def draw(self, number: int, rng: np.random.Generator) -> Genotype:
        """A network of those that are free in a stage."""
        shares: dict[Kind | None, float] = {"resolution": 1.0}
        largest = self.shared.largest
        for stage in self.plan[: number + 1]:
            shares[stage.kind] = stage.share

        def allowed(gene: str, places: Sequence[int]) -> Sequence[int]:
            share = shares.get(self.shared.kinds[gene], 0)
            if not share and gene in largest:
                return [list(self.shared.space.knobs[gene].values).index(largest[gene])]
            return places[-max(1, math.ceil(len(places) * share)) :]

        return draw_within(self.shared.space, rng, allowed)

    def rate(self, done: float, usual: float, warming: bool) -> float:
        number = self.at(done)
        begin = float(self.ends[number - 1]) if number else 0.0
        behind = (done - begin) / (float(self.ends[number]) - begin)
        return usual if warming else self.plan[number].rate * 0.5 * (1 + math.cos(math.pi * min(behind, 1.0)))

    def state(self) -> dict[str, Tensor]:
        teacher = self.teacher.state_dict() if self.number else {}
        return {"number": torch.tensor(self.number), **{f"teacher/{k}": t for k, t in teacher.items()}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.number = int(state["number"])
        if self.number:
            self.teacher.load_state_dict({k.removeprefix("teacher/"): t for k, t in state.items() if k != "number"})

    def _frees(self, stage: _Stage) -> bool:
        genes = [gene for gene, kind in self.shared.kinds.items() if kind == stage.kind]
        return any(math.ceil(len(self.shared.space.knobs[gene].values) * stage.share) > 1 for gene in genes)

    def _enter(self, number: int) -> None:
        for passed in range(self.number + 1, number + 1):
            if passed == 1:
                self.teacher.load_state_dict(self.scene.module.state_dict())
            if self.plan[passed].kind == "width" and self.plan[passed - 1].kind != "width":
                self.scene.sort()
        self.number = number

    @torch.no_grad()
    def _taught(self, x: Tensor) -> Tensor:
        with mixed_precision(x.device):
            return self.teacher(x, self.shared.largest).float()
