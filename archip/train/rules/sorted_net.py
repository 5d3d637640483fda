"""SortedNet: nested sub-networks only, several of them for each step, all from the labels.

Choose it where a few sizes are wanted that can be switched at no cost: a chain of networks, each a part of the next.
A network of the chain has a level in every gene: the place among its values, in proportion. `chains: kinds` has a level
for each kind (depth, width, kernel, …) and so the product of their chains; `one` has one level for the whole network.
Source: Valipour et al. 2023, arXiv:2309.00255 (SortedNet), section 3 and algorithm 1. Differs: the networks whose
gradients are gathered for a step see the same batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from archip.train.rule import Genotype, Scene, Step, SupernetRule
from archip.train.rules._draw import draw_within

__all__ = ["SortedNet"]


@dataclass
class SortedNet(SupernetRule):
    """Networks of a nested chain; their gradients are averaged."""

    levels: Annotated[int, Field(ge=2)] | None = None  # of a chain; None: as many as the most values of a gene
    chains: Literal["kinds", "one"] = "kinds"  # a level for each kind of gene, or one for all
    g_acc: Annotated[int, Field(ge=1)] = 4  # networks a step

    def start(self, scene: Scene) -> None:
        super().start(scene)
        most = max(len(knob.values) for knob in self.shared.space.knobs.values())
        self.n_levels = max(2, most) if self.levels is None else self.levels

    def backward(self, step: Step) -> Tensor:
        drawn = [self.nested(self._levels(step.rng)) for _ in range(self.g_acc)]
        return torch.stack([step.backward_of(genotype, weight=1 / self.g_acc)[1] for genotype in drawn]).mean()

    def nested(self, levels: Mapping[str, int]) -> Genotype:
        """The network of given levels, from 0, of each kind; levels no less in any kind hold it whole."""
        top = self.n_levels - 1

        def place(gene: str, places: Sequence[int]) -> Sequence[int]:
            return [round((len(places) - 1) * levels[self.shared.kinds[gene]] / top)]

        return draw_within(self.shared.space, np.random.default_rng(0), place)

    def _levels(self, rng: np.random.Generator) -> dict[str, int]:
        kinds = sorted(set(self.shared.kinds.values()))
        if self.chains == "one":
            return dict.fromkeys(kinds, int(rng.integers(self.n_levels)))
        return {kind: int(rng.integers(self.n_levels)) for kind in kinds}
