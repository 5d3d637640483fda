"""BossNAS: networks are trained without labels, block by block, and rated by how near they are to all others.

Choose it where labels are few or come later, and for spaces so large that whole networks disturb each other in one
supernet. For each block in turn, several paths are drawn a step; from one view of the inputs each has to predict the
mean of what the slowly following target says of the other view, over all these paths (ensemble bootstrapping). When a
block is done, its paths are rated by the distance of their predictions to the target's mean over all paths, and the
next block is trained behind the best one. The rating of a network is the sum of the distances of its blocks.

    rule = BossNAS(blocks=3)
    net = rule.network(space, data)
    fit(net, data, Recipe(epochs=60, keep="last", ema=0.0), 0, rule=rule)     # the labels of `data` are not used
    rule.ratings.distances(genotype)                                          # one a block; less is better

In problem files: ``evaluator: bossnas``.
Source: Li et al. 2021, arXiv:2103.12424, sections 3.2 and 3.3, and the authors' code: fair paths, target momentum from
0.99 to 1 by a cosine within each block, a fresh learning rate schedule for each block, and population means of the
targets' projections (normalised in training only). Differs: AdamW in place of LARS, projections of 256 and 64 in place
of 4096 and 256, statistics of the norms from the batch that is rated; a network that the space forbids behind the best
blocks before it gets the first values of genes that it lacks there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from archip.core.errors import UserError
from archip.core.rng import generator
from archip.nets.blocks import Blocks
from archip.nets.siamese import Siamese
from archip.train.device import laid_out, mixed_precision
from archip.train.rule import Genotype, Rule, Scene, Step
from archip.train.views import random_view

__all__ = ["BossNAS", "Ratings"]

_WORST = 4.0  # the largest distance between two normalised vectors, squared

Count = Annotated[int, Field(ge=1)]


@dataclass
class BossNAS(Rule):
    """Ensemble bootstrapping, block by block."""

    verb: ClassVar[str] = "supernet without labels"

    blocks: Count = 3  # parts that a network is cut into
    paths: Annotated[int, Field(ge=2)] = 4  # through the block, drawn a step
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.99  # share of the target that a step keeps, at first
    population: Annotated[int, Field(ge=2)] = 256  # paths that a block's centre is the mean of; all, if there are fewer
    samples: Annotated[int, Field(ge=2)] = 256  # of the validation split, without labels, for ratings
    flips: bool = False  # whether the mirror image of an input shows the same

    def check(self, space: Any, data: Any) -> None:
        """Whether networks can be trained so.

        Raises:
            UserError: inputs that have no views, or networks that cannot be cut into `blocks`.
        """
        if data.axes == "NT":
            raise UserError("of tokens there are no views to learn from without labels", data.name, "images or series")
        Blocks(space, lambda genotype: space.graph(genotype, data.input_shape, data.n_outputs), self.blocks)

    def network(self, space: Any, data: Any, seed: int = 0) -> Siamese:
        """What is trained, for a data set.

        Raises:
            UserError: as `check` says.
        """
        self.check(space, data)
        return Siamese(space, data.input_shape, data.n_outputs, self.blocks, seed)

    def start(self, scene: Scene) -> None:
        if not isinstance(scene.module, Siamese):
            raise UserError("this rule trains siamese networks", "rule", "what its `network` gives")
        if scene.epochs < self.blocks:
            text = f"{scene.epochs} epochs are too few for {self.blocks} blocks, which are trained in turn"
            raise UserError(text, "epochs", f"at least {self.blocks}")
        self._net, self._epochs, self._usual = scene.module, scene.epochs, scene.usual
        self._judged, _ = scene.validation(generator(0, "judged"), self.samples)

    @property
    def ratings(self) -> Ratings:
        """Ratings by the weights as they are now."""
        return Ratings(self._net, _two_views(self._judged, generator(0, "views"), self.flips), self.population)

    def backward(self, step: Step) -> Tensor:
        block, _ = self._stage(step.done)
        views = _two_views(step.x, step.rng, self.flips)
        drawn = self._net.paths.draw(self._net.settled, block, self.paths, step.rng)
        with torch.no_grad(), mixed_precision(step.x.device):
            online, target = (self._net.entered(views, drawn[0], block, who).float() for who in (True, False))
        with torch.no_grad():
            said = [F.normalize(step.forward(target, genotype, block, False), dim=1) for genotype in drawn]
            mean = _exchanged(torch.stack(said).mean(0))
        values = []
        for genotype in drawn:
            value = distance(step.forward(online, genotype, block, True), mean)
            (value / len(drawn)).backward()
            values.append(value.detach())
        return torch.stack(values).mean()

    def stepped(self, step: Step) -> None:
        _, done = self._stage(step.done)
        self._net.follow(1 - (1 - self.momentum) * (1 + math.cos(math.pi * done)) / 2)

    def epoch_ended(self, number: int, rng: np.random.Generator) -> None:
        block = self._block(number)
        if number + 1 == self._epochs or self._block(number + 1) > block:
            self._net.settle(self.ratings.best(block), block)

    def rate(self, done: float, usual: float, warming: bool) -> float:
        return self._usual(self._stage(done)[1])

    def evaluated(self, module: nn.Module) -> nn.Module | None:
        return None

    def _block(self, epoch: int) -> int:
        return epoch * self.blocks // self._epochs

    def _stage(self, done: float) -> tuple[int, float]:
        """The block that is trained, and the share of its steps that lie behind."""
        epoch = done * self._epochs
        block = self._block(int(epoch + 1e-6))
        first, end = (-(-b * self._epochs // self.blocks) for b in (block, block + 1))
        return block, min(1.0, max(0.0, (epoch - first) / (end - first)))


class Ratings:
    """Distances of networks to the population, block by block.

    Args:
        views_2N: both views of the inputs, one after the other.
        population: paths that the centre of a block is the mean of, at most.
    """

    def __init__(self, net: Siamese, views_2N: Tensor, population: int) -> None:
        self._net, self._views, self._most = net, views_2N, population
        self._entered: dict[int, tuple[Tensor, Tensor]] = {}
        self._centres: dict[int, Tensor] = {}
        self._known: dict[tuple[int, str], float] = {}

    @cached_property
    def worst(self) -> float:
        """The largest sum of distances that there can be."""
        return _WORST * len(self._net.blocks.genes)

    def distances(self, genotype: Genotype) -> list[float]:
        """The squared distance between normalised prediction and centre in each block, from 0 to 4.

        Raises:
            CandidateError: the space forbids a block of this network behind the best blocks before it.
        """
        return [self._distance(genotype, block) for block in range(len(self._net.blocks.genes))]

    def best(self, block: int) -> Genotype:
        """The network of the population whose path through `block` is nearest to the centre."""
        return min(self._population(block), key=lambda genotype: self._distance(genotype, block))

    def _population(self, block: int) -> list[Genotype]:
        rng = generator(block, "population")
        return self._net.paths.population(self._net.settled, block, self._most, rng)

    @torch.no_grad()
    def _distance(self, genotype: Genotype, block: int) -> float:
        joined = self._net.paths.joined(self._net.settled, genotype, block)
        key = block, self._net.paths.name(joined, block)
        if key not in self._known:
            centre = self._centre(block)
            self._known[key] = float(distance(self._said(joined, block, True), centre))
        return self._known[key]

    @torch.no_grad()
    def _centre(self, block: int) -> Tensor:
        """[2N, D] the mean of the target's projections of the other view."""
        if block not in self._centres:
            population = self._population(block)
            total = sum((self._said(genotype, block, False) for genotype in population), torch.zeros(()))
            self._centres[block] = _exchanged(total / len(population))
        return self._centres[block]

    def _said(self, genotype: Genotype, block: int, is_online: bool) -> Tensor:
        if block not in self._entered:
            views = self._views.to(next(self._net.parameters()).device)
            online, target = (self._net.entered(views, genotype, block, who) for who in (True, False))
            self._entered[block] = online, target
        return self._net(self._entered[block][not is_online], genotype, block, is_online)


def distance(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean over all rows of the squared distance between the normalised vectors: from 0 to 4."""
    return 2 - 2 * F.cosine_similarity(predicted, target, dim=1).mean()


def _two_views(x: Tensor, rng: np.random.Generator, has_flips: bool) -> Tensor:
    """[2N, …] two views of every input, the second ones behind the first."""
    draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return laid_out(torch.cat([random_view(x, draws, has_flips) for _ in range(2)]))


def _exchanged(rows_2N: Tensor) -> Tensor:
    """The rows of the other view."""
    return rows_2N.roll(len(rows_2N) // 2, 0)
