"""Balanced mixture: several weight sets, each trained on the networks that do well with it.

Choose it for small spaces (at most 512 networks) whose networks disturb each other in one supernet, such as places of
pooling: the ranking gets better, at the same number of steps and `sets` times the memory. Every step trains one
network in one set, and scores another batch of the validation split there. Sets are drawn by these scores, balanced so
that all sets are trained equally often.
Source: Roshtkhari et al. 2023, arXiv:2306.11982, section 3 and the authors' code: scores from 1, moving with 0.1
towards the accuracy; temperature from 1 to 100; balancing until the divergence from uniform is below 1e-4. Differs:
in the end every network is scored in every set on one validation batch with the batch's own norms, and belongs to
the best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from archip.core.errors import UserError
from archip.nets.weight_sets import MixedSets
from archip.train.losses import hits_and_total, share
from archip.train.rule import Genotype, Scene, Step, SupernetRule

__all__ = ["BalancedMixture"]

_COLDEST = 100.0  # temperature of the last epoch
_UNIFORM = 1e-4  # divergence at which the sets count as balanced
_MOST_ROUNDS = 10_000
_MOMENTUM = 0.1  # of the scores
_SAMPLES = 256  # of the validation split, for the scores at the end


@dataclass
class BalancedMixture(SupernetRule):
    """Networks drawn uniformly, their set by its score."""

    sets: Annotated[int, Field(ge=1)] = 4  # M in the paper, which has 1 to 8

    def network(self, make: Callable[[int], Any]) -> MixedSets:
        return MixedSets([make(number) for number in range(self.sets)])

    def start(self, scene: Scene) -> None:
        if not isinstance(scene.module, MixedSets):
            raise UserError("this rule trains several weight sets", "rule", "what its `network` gives")
        self.shared = self._sets = scene.module
        self._scene = scene
        self._balance_M: np.ndarray | None = None  # of this epoch

    def backward(self, step: Step) -> Tensor:
        epochs, epoch = self._scene.epochs, int(step.done * self._scene.epochs + 1e-6)
        logits_NM = self._sets.scores.cpu().numpy() * (1 + (_COLDEST - 1) * epoch / max(1, epochs - 1))
        if self._balance_M is None:
            self._balance_M = balance(logits_NM)
        i = int(step.rng.integers(len(logits_NM)))
        number = int(step.rng.choice(self.sets, p=softmax(logits_NM[i] + self._balance_M)))
        value = step.loss(step.forward(step.x, self._sets.networks[i], number), step.y)
        value.backward()
        self._last = i, number
        return value.detach()

    def stepped(self, step: Step) -> None:
        i, number = self._last
        accuracy = self._score(self._sets.networks[i], number, step.rng, len(step.x))
        self._sets.scores[i, number] += _MOMENTUM * (accuracy - self._sets.scores[i, number])

    def epoch_ended(self, number: int, rng: np.random.Generator) -> None:
        self._balance_M = None
        if number + 1 == self._scene.epochs:
            seed = int(rng.integers(2**32))  # the same samples for all
            for i, genotype in enumerate(self._sets.networks):
                for m in range(self.sets):
                    self._sets.scores[i, m] = self._score(genotype, m, np.random.default_rng(seed), _SAMPLES)

    @torch.no_grad()
    def _score(self, genotype: Genotype, number: int, rng: np.random.Generator, n: int) -> float:
        """The metric of one network in one set on `n` samples of the validation split."""
        x, y = self._scene.validation(rng, n)
        return share(hits_and_total(self._sets(x, genotype, number), y, self._scene.task))


def balance(logits_NM: np.ndarray) -> np.ndarray:
    """[M] what to add to the logits of each set so that all sets are equally likely, over all networks.

    A round divides the chances by their mean over the networks and scales each network's to sum to 1 again; all rounds
    together add one number to each column of the logits.

    Args:
        logits_NM: of the sets, for each network.
    """
    added_M = np.zeros(logits_NM.shape[1])
    for _ in range(_MOST_ROUNDS):
        marginal_M = softmax(logits_NM + added_M).mean(0)
        if float((marginal_M * np.log(marginal_M * len(marginal_M))).sum()) < _UNIFORM:
            break
        added_M -= np.log(marginal_M)
    return added_M


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
