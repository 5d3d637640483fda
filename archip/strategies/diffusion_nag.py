"""DiffusionNAG: networks are drawn by a diffusion model, which a predictor steers towards the better ones.

Choose it for large spaces of categorical genes, where a pool of mutations is too near to what is known; a Gaussian
process (`bayesian`) needs fewer evaluations where the whole space fits into a pool.
A diffusion model learns, from networks of the space without labels, what networks look like. Each round a predictor
that reads noised networks and the strength of the noise is trained on all results; its gradient towards a high target
is added to the model's score while networks are drawn. The best of them by the predictor are evaluated.
Source: An et al. 2024, arXiv:2305.16943, section 3 (guided score, equation 8) and 3.3 (in a Bayesian search). Differs:
sizes and numbers of steps are those of a processor; the predictor is a perceptron; limits and several objectives are
one number to it, the place among all results; genes that the space forbids beside the others are the nearest allowed.

Legend: N samples, V genes, K values of a gene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.protocols import KnobbedSpace
from archip.strategies._diffusion import Diffusion
from archip.strategies._diffusion_guide import Guide
from archip.strategies._predictor_guided import GuidedSearch, worth_scores

__all__ = ["DiffusionNAG"]


@dataclass
class DiffusionNAG(GuidedSearch):
    """Draw with guidance, evaluate the best few, train the guide again.

    Attributes:
        batch: candidates evaluated before the guide is trained again.
        drawn: networks drawn each round; who asks for more before telling results gets random ones.
        guidance: weight of the guide's gradient beside the score; 0 draws from the space as it is.
        training: steps of the diffusion model, once.
        fitting: steps of the guide, each round.
        steps: of the way back from noise.
        hidden, layers: of the transformer.
    """

    initial: Annotated[int, Field(ge=2)] = 20
    batch: Annotated[int, Field(ge=1)] = 20
    drawn: Annotated[int, Field(ge=1)] = 64
    guidance: Annotated[float, Field(ge=0)] = 4.0
    training: Annotated[int, Field(ge=1)] = 500
    fitting: Annotated[int, Field(ge=1)] = 300
    steps: Annotated[int, Field(ge=2)] = 50
    hidden: Annotated[int, Field(ge=4, multiple_of=4)] = 32
    layers: Annotated[int, Field(ge=1)] = 2

    def reset(self) -> None:
        self.pool = 0
        self._model: Diffusion | None = None
        self._order: list[Candidate] = []
        self._n_learnt = 0

    def plan(self, rng: np.random.Generator) -> Sequence[Candidate]:
        if self._model is not None and self._n_learnt == len(self.told):
            return self.new(self._order, self.batch)  # nothing was told since: the next of the same draw, if any
        self._n_learnt = len(self.told)
        if self._model is None:
            self._model = self._trained(rng)
        guide = Guide(self._model, self.fitting)
        guide.train(self._codes([r.candidate for r in self.told]), worth_scores(self.told, self.goals))
        codes_NV = self._model.sample(self.drawn, self.steps, guide.towards(self.guidance))
        found = {c.id: c for codes_V in codes_NV.tolist() if (c := self._decided(codes_V)) is not None}
        drawn = list(found.values())
        order = np.argsort(-guide.expects(self._codes(drawn)), kind="stable") if drawn else []
        self._order = [drawn[i] for i in order]
        return self.new(self._order, self.batch)

    def _trained(self, rng: np.random.Generator) -> Diffusion:
        """A model of what the space draws at random."""
        assert isinstance(self.space, KnobbedSpace)
        counts = [len(knob.values) for knob in self.space.knobs.values()]
        model = Diffusion(counts, self.hidden, self.layers, int(rng.integers(2**31)))
        shown = [self.space.sample(rng) for _ in range(min(4 * self.training, 2000))]
        model.train(self._codes(shown), self.training, batch=64, lr=2e-3)
        return model

    def _codes(self, candidates: Sequence[Candidate]) -> np.ndarray:
        assert isinstance(self.space, KnobbedSpace)
        return self.space.codes(candidates)

    def _decided(self, codes_V: Sequence[int]) -> Candidate | None:
        assert isinstance(self.space, KnobbedSpace)
        code_of = dict(zip(self.space.knobs, codes_V, strict=True))
        return self.space.decide(lambda knob, allowed: min(allowed, key=lambda other: abs(other - code_of[knob])))
