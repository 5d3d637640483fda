"""GBDT-NAS: boosted trees on one-hot genes rank a pool, and genes that only cost accuracy leave the space.

Choose it for large spaces with hundreds of results, where some choices are bad wherever they stand.
Source: Luo et al. 2020, arXiv:2007.04785: trees of 31 leaves, rate 0.05, 100 rounds; first-order pruning (S3) by the
mean SHAP value of a gene's value over the networks that have it. Differs: fewer than 20 samples may share a leaf, since
rounds are of tens of networks, not of a thousand; so few values leave a round, and never one of the last two of a gene.
Limits and several objectives are one number to it: the place among all results.

Legend: N records, M candidates of the pool, V values of genes, G genes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.protocols import KnobbedSpace
from archip.strategies._predictor_guided import GuidedSearch, worth_scores

__all__ = ["GbdtNas"]

_HAVE = 5  # a value is judged by so many networks that have it, at least
_JUDGES = 500  # networks at most whose SHAP values are computed, which takes long; beyond, their means hardly change


@dataclass
class GbdtNas(GuidedSearch):
    """Fit, rank, evaluate the best few, prune; repeat.

    Attributes:
        batch: candidates evaluated before the trees are fitted again.
        prune: values of genes that leave the space after each fit, at most.
    """

    initial: Annotated[int, Field(ge=4)] = 50
    batch: Annotated[int, Field(ge=1)] = 25
    prune: Annotated[int, Field(ge=0)] = 1
    pool: Annotated[int, Field(ge=10)] = 2000
    rounds: Annotated[int, Field(ge=1)] = 100  # trees
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05  # share of each tree

    def reset(self) -> None:
        assert isinstance(self.space, KnobbedSpace)
        self._counts = [len(knob.values) for knob in self.space.knobs.values()]
        self._left_V = np.ones(sum(self._counts), dtype=bool)
        self._order: list[Candidate] = []
        self._n_learnt = 0

    def plan(self, rng: np.random.Generator) -> Sequence[Candidate]:
        if self._n_learnt == len(self.told) and (more := self.new(self._order, self.batch)):
            return more  # nothing was told since: the next of the same ranking
        self._n_learnt, self._order = len(self.told), self._ranked(rng)
        return self.new(self._order, self.batch)

    def _ranked(self, rng: np.random.Generator) -> list[Candidate]:
        """A pool by the trees, best first, without what has a value that left the space."""
        genes_NV = self._genes([r.candidate for r in self.told])
        model = self._fitted(genes_NV, worth_scores(self.told, self.goals), int(rng.integers(2**31)))
        judges = rng.choice(len(genes_NV), _JUDGES, replace=False) if len(genes_NV) > _JUDGES else slice(None)
        self._prune(genes_NV[judges], model)
        pool = self.candidates(rng)
        pool_MV = self._genes(pool)
        score_M = model.predict(pool_MV)
        score_M[pool_MV[:, ~self._left_V].any(1)] = -np.inf
        return [pool[i] for i in np.argsort(-score_M, kind="stable") if score_M[i] > -np.inf]

    def pruned(self) -> dict[str, list[Any]]:
        """Gene → values that have left the space."""
        assert isinstance(self.space, KnobbedSpace)
        values = [(name, value) for name, knob in self.space.knobs.items() for value in knob.values]
        gone = [pair for pair, left in zip(values, self._left_V, strict=True) if not left]
        return {name: [v for n, v in gone if n == name] for name, _ in gone}

    def _genes(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """[N, V] whether a candidate has a value of a gene."""
        assert isinstance(self.space, KnobbedSpace)
        codes_NG = self.space.codes(candidates)
        columns = [codes_N[:, None] == np.arange(n) for codes_N, n in zip(codes_NG.T, self._counts, strict=True)]
        return np.concatenate(columns, axis=1)

    def _fitted(self, genes_NV: np.ndarray, y_N: np.ndarray, seed: int) -> Any:
        import lightgbm

        options = {"num_leaves": 31, "learning_rate": self.learning_rate, "min_data_in_leaf": min(20, len(y_N) // 10),
                   "objective": "regression", "verbosity": -1, "num_threads": 1, "seed": seed, "deterministic": True,
                   "min_data_in_bin": 1}  # fmt: skip
        return lightgbm.train(options, lightgbm.Dataset(genes_NV.astype(float), y_N), self.rounds)

    def _prune(self, genes_NV: np.ndarray, model: Any) -> None:
        """Remove the values whose mean SHAP value is the most negative."""
        shap_NV = model.predict(genes_NV.astype(float), pred_contrib=True)[:, :-1]
        have_V = genes_NV.sum(0)
        mean_V = (shap_NV * genes_NV).sum(0) / np.maximum(have_V, 1)
        gene_of_V = np.repeat(np.arange(len(self._counts)), self._counts)
        n_pruned = 0
        for value in np.argsort(mean_V):
            is_judged = self._left_V[value] and have_V[value] >= _HAVE and mean_V[value] < 0
            if n_pruned < self.prune and is_judged and self._left_V[gene_of_V == gene_of_V[value]].sum() > 2:
                self._left_V[value] = False
                n_pruned += 1
