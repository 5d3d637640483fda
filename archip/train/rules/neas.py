"""NEAS: one path a step, in a space that loses the choices that are worth least to an ensemble.

Choose it before a search for ensembles (`archip.nets.ensemble.best_ensemble`). At even distances in the first part of
the training random networks are judged on the validation split. A value of a gene is worth the mean accuracy of the
networks that have it, plus how much they disagree with those that do not; the values worth least are not trained any
further. Without `diversity` this is shrinking by accuracy alone.
Source: Chen et al. 2021, arXiv:2104.00597, section 3.2 (diversity score, shrinking in rounds). Differs: disagreement is
the share of samples that two networks decide differently; accuracy is that of a batch of 256 with its own norms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from archip.core.errors import UserError
from archip.train.rule import Genotype, Scene, Step, SupernetRule

__all__ = ["Neas"]

_SAMPLES = 256  # of the validation split, on which networks are judged
_TRIES = 100  # changes of a drawn network, before one is taken as it is


@dataclass
class Neas(SupernetRule):
    """Uniform paths in a space that shrinks."""

    rounds: Annotated[int, Field(ge=0)] = 3  # of shrinking
    until: Annotated[float, Field(gt=0, le=1)] = 0.75  # share of the training with the last of them
    drop: Annotated[int, Field(ge=1)] = 1  # values that a round drops
    diversity: Annotated[float, Field(ge=0)] = 1.0  # weight of the disagreement, beside accuracy
    judged: Annotated[int, Field(ge=2)] = 24  # networks of a round

    def start(self, scene: Scene) -> None:
        super().start(scene)
        self._scene = scene
        self.allowed: dict[str, list[Any]] = {name: list(k.values) for name, k in self.shared.space.knobs.items()}

    def backward(self, step: Step) -> Tensor:
        return step.backward_of(self.draw(step.rng))[1]

    def epoch_ended(self, number: int, rng: np.random.Generator) -> None:
        ends = [max(1, round(self.until * self._scene.epochs * (i + 1) / self.rounds)) for i in range(self.rounds)]
        for _ in range(ends.count(number + 1)):
            self._shrink(rng)

    def state(self) -> dict[str, Tensor]:
        knobs = self.shared.space.knobs
        return {n: torch.tensor([v in kept for v in knobs[n].values]) for n, kept in self.allowed.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        knobs = self.shared.space.knobs
        self.allowed = {
            n: [v for v, kept in zip(knobs[n].values, marks.tolist(), strict=True) if kept]
            for n, marks in state.items()
        }

    def draw(self, rng: np.random.Generator) -> Genotype:
        """A network of the values that are left."""
        space = self.shared.space
        genotype = space.sample(rng)
        for _ in range(_TRIES):
            wrong = [name for name, value in genotype.items() if value not in self.allowed[name]]
            if not wrong:
                break
            kept = self.allowed[wrong[0]]
            try:
                genotype = space.canonical({**genotype, wrong[0]: kept[int(rng.integers(len(kept)))]})
            except UserError:
                genotype = space.sample(rng)
        return genotype

    @torch.no_grad()
    def _shrink(self, rng: np.random.Generator) -> None:
        """Drop the values that are worth least; every gene keeps one."""
        x, y = self._scene.validation(rng, _SAMPLES)
        drawn = [self.draw(rng) for _ in range(self.judged)]
        decided = torch.stack([_decided(self.shared(x, genotype)) for genotype in drawn])
        accuracy_N = (decided == _as_decided(y, decided)).flatten(1).double().mean(1)
        distance_NN = torch.stack([(decided != one).flatten(1).double().mean(1) for one in decided])
        worths = value_worths(drawn, self.allowed, accuracy_N.cpu().numpy(), distance_NN.cpu().numpy(), self.diversity)
        for gene, value in sorted(worths, key=lambda pair: worths[pair])[: self.drop]:
            if len(self.allowed[gene]) > 1:
                self.allowed[gene].remove(value)


def value_worths(
    drawn: list[Genotype],
    allowed: Mapping[str, list[Any]],
    accuracy_N: np.ndarray,
    distance_NN: np.ndarray,
    diversity: float,
) -> dict[tuple[str, Any], float]:
    """(gene, value) → its worth; only of values that some of the networks `drawn` have and others lack."""
    worths = {}
    for gene, values in allowed.items():
        for value in values if len(values) > 1 else ():
            has_N = np.array([genotype.get(gene) == value and gene in genotype for genotype in drawn])
            if has_N.any() and not has_N.all():
                worths[gene, value] = accuracy_N[has_N].mean() + diversity * distance_NN[has_N][:, ~has_N].mean()
    return worths


def _decided(outputs: Tensor) -> Tensor:
    """Classes [N], or foreground [N, H, W]."""
    return outputs.squeeze(1) > 0 if outputs.shape[1] == 1 else outputs.argmax(1)


def _as_decided(y: Tensor, decided: Tensor) -> Tensor:
    return y > 0 if decided.dtype == torch.bool else y
