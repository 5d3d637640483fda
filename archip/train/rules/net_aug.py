"""NetAug: a tiny network is trained by itself and as a part of wider ones; only the tiny one is wanted.

Choose it for networks so small that they underfit, such as those for microcontrollers: wide networks that hold the
tiny one lend it their gradients. Every step trains the tiny network and one that differs from it by larger widths.
Validation, and the metrics of the training, are those of the tiny network.
Source: Cai et al. 2022, arXiv:2110.08890 (network augmentation), section 3, equation 3; one wider network a step and
alpha as in section 3.3. Differs: which widths there are is the space's; no channels are sorted before the training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from archip.train.rule import Genotype, Scene, Step, SupernetRule
from archip.train.rules._draw import draw_within

__all__ = ["NetAug"]


@dataclass
class NetAug(SupernetRule):
    """The tiny network, and one around it."""

    base: dict[str, Any] | None = None  # genotype of the tiny network; None: the smallest
    alpha: Annotated[float, Field(ge=0)] = 1.0  # weight of the wider network's loss; 0: the tiny one alone

    def start(self, scene: Scene) -> None:
        super().start(scene)
        self.tiny = self.shared.space.canonical(self.shared.smallest if self.base is None else self.base)

    def backward(self, step: Step) -> Tensor:
        value = step.backward_of(self.tiny)[1]
        if self.alpha:
            step.backward_of(self.wider(step.rng), weight=self.alpha)
        return value

    def wider(self, rng: np.random.Generator) -> Genotype:
        """A network with the tiny one's genes, but for widths, which are as large or larger."""

        def allowed(gene: str, places: Sequence[int]) -> Sequence[int]:
            if gene not in self.tiny:
                return places
            at = list(self.shared.space.knobs[gene].values).index(self.tiny[gene])
            return range(at, len(places)) if self.shared.kinds[gene] == "width" else [at]

        return draw_within(self.shared.space, rng, allowed)

    def evaluated(self, module: Any) -> nn.Module:
        return module.extract(self.tiny)
