"""Few-shot: a supernet that splits in two where networks disagree about the weights that they share.

Choose it where one supernet ranks badly because its operations pull shared weights apart. After given shares of the
training every set of weights is split at one gene: its values are compared by the gradients that they give the weights
which both use, and those that agree stay together. A split set has two children that begin with its weights. Every step
trains one network of each set, so that a step costs up to 2 ** (number of splits) times one network's.
Source: Hu et al. 2022, arXiv:2203.15207, section 3 (distance 1 - cosine, balanced cut, shares of NAS-Bench-201's
schedule for random sampling: 20 and 40 of 90 epochs). Differs: all sets train in one run; gradients are those of
batches of the validation split, of 12 networks (the paper has 100) unless `samples` says otherwise; cuts of genes with
different numbers of values are compared by their mean distance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from archip.core.errors import UserError
from archip.nets.weight_sets import SplitSets
from archip.train.rule import Genotype, Scene, Step, SupernetRule

__all__ = ["FewShot"]

_BATCH = 64  # samples of a gradient
_TRIES = 500  # draws for a network of a set
_MOST_EXACT = 16  # values whose cuts are all looked at; of more, one that a spectrum gives

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass
class FewShot(SupernetRule):
    """One path in each set; sets split by gradient matching."""

    splits: Annotated[tuple[Share, ...], Field(min_length=1, max_length=4)] = (0.22, 0.44)  # shares of the training
    samples: Annotated[int, Field(ge=1)] = 12  # networks in which the values of a gene are compared

    def network(self, make: Callable[[int], Any]) -> SplitSets:
        return SplitSets([make(0) for _ in range(2 ** len(self.splits))])

    def start(self, scene: Scene) -> None:
        if not isinstance(scene.module, SplitSets):
            raise UserError("this rule trains several weight sets", "rule", "what its `network` gives")
        self.shared = self._sets = scene.module
        self._scene = scene

    def backward(self, step: Step) -> Tensor:
        values = []
        for number in self._sets.used:
            genotype = self._draw(number, step.rng)
            if genotype is not None:
                value = step.loss(step.forward(step.x, genotype, number), step.y)
                value.backward()
                values.append(value.detach())
        return torch.stack(values).mean()

    def stepped(self, step: Step) -> None:
        used = self._sets.used
        for child in set(range(len(self._sets.nets))).difference(used):  # so that averages of weights agree as well
            self._sets.mirror(_ancestor(child, used), child)

    def epoch_ended(self, number: int, rng: np.random.Generator) -> None:
        for level, share in enumerate(sorted(self.splits)):
            if number + 1 == max(1, round(share * self._scene.epochs)):
                for split in [i for i in self._sets.used if i < 2**level]:
                    self._split(split, split + 2**level, rng)

    def _split(self, number: int, child: int, rng: np.random.Generator) -> None:
        """Split a set at the gene whose values disagree most, if it has one with several values."""
        best: tuple[float, str, list[Any]] | None = None
        for gene, values in self._sets.values(number).items():
            if len(values) > 1:
                score, group = cut(self._distances(number, gene, values, rng))
                if best is None or score > best[0]:
                    best = score, gene, [values[i] for i in group]
        if best is not None:
            self._sets.split(number, best[1], best[2], child)

    def _distances(self, number: int, gene: str, values: list[Any], rng: np.random.Generator) -> np.ndarray:
        """[V, V] mean of 1 - cosine between the gradients under two values of a gene; 0 where never compared."""
        sums_VV, counts_VV = np.zeros((2, len(values), len(values)))
        for _ in range(self.samples):
            genotype = self._draw(number, rng)
            if genotype is None:
                break
            x, y = self._scene.validation(rng, _BATCH)
            variants = [self._with(genotype, gene, value) for value in values]
            gradients = [None if v is None else self._gradient(x, y, v, number) for v in variants]
            for i, j in itertools.combinations(range(len(values)), 2):
                a, b = gradients[i], gradients[j]
                if a is not None and b is not None:
                    sums_VV[i, j] += 1 - _cosine(a, b)
                    counts_VV[i, j] += 1
        means_VV = sums_VV / np.maximum(counts_VV, 1)
        return means_VV + means_VV.T

    def _gradient(self, x: Tensor, y: Tensor, genotype: Genotype, number: int) -> tuple[Tensor | None, ...]:
        """Of the loss, with respect to each parameter of a set; None where a network does not use it."""
        value = self._scene.loss(self._sets(x, genotype, number), y)
        return torch.autograd.grad(value, list(self._sets.nets[number].parameters()), allow_unused=True)

    def _draw(self, number: int, rng: np.random.Generator) -> Genotype | None:
        """A network of a set, uniformly; None where none was found."""
        drawn = (self._sets.space.sample(rng) for _ in range(_TRIES))
        return next((genotype for genotype in drawn if self._sets.owner(genotype) == number), None)

    def _with(self, genotype: Mapping[str, Any], gene: str, value: Any) -> Genotype | None:
        """The network with another value of a gene; None where the gene does not matter or the space forbids it."""
        if gene not in genotype:
            return None
        try:
            return self._sets.space.canonical({**genotype, gene: value})
        except UserError:
            return None


def cut(distances_VV: np.ndarray) -> tuple[float, list[int]]:
    """The balanced cut of the values with the greatest mean distance across; gives that, and one side."""
    n = len(distances_VV)
    if n <= _MOST_EXACT:
        sides = list(itertools.combinations(range(n), n // 2))
    else:
        nearness_VV = distances_VV.max() - distances_VV
        _, vectors_VV = np.linalg.eigh(np.diag(nearness_VV.sum(1)) - nearness_VV)
        sides = [tuple(np.argsort(vectors_VV[:, 1], kind="stable")[: n // 2].tolist())]
    scores = [float(np.delete(distances_VV[list(side)], list(side), axis=1).mean()) for side in sides]
    best = int(np.argmax(scores))
    return scores[best], list(sides[best])


def _cosine(a: tuple[Tensor | None, ...], b: tuple[Tensor | None, ...]) -> float:
    """Between two gradients, over the parameters that both networks use; 0 if there are none."""
    pairs = [(p.flatten(), q.flatten()) for p, q in zip(a, b, strict=True) if p is not None and q is not None]
    if not pairs:
        return 0.0
    first, second = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


def _ancestor(child: int, used: list[int]) -> int:
    """The set in use that holds what `child` will begin with: set i of n splits into i and i + n."""
    while child not in used:
        child -= 1 << (child.bit_length() - 1)
    return child
