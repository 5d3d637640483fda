"""LINAS: results of all candidates train light predictors, NSGA-II searches on them, its best are evaluated next.

Choose it for two or three objectives that are measured together in batches, such as sub-networks of a trained supernet.
Source: DyNAS-T, arXiv:2202.12954 and arXiv:2205.10358: one predictor for each objective, ridge and support vectors
stacked, on one-hot codes; populations of 50. Differs: the two are averaged; costs are learnt as logarithms, since they
are products of genes; limits are predicted as well; what is asked for next is the best of all that NSGA-II saw, not
only of its last population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.record import Record, metric
from archip.predictors.ridge import Ridge
from archip.strategies._predictor_guided import GuidedSearch, worth_order
from archip.strategies.nsga2 import NSGA2

__all__ = ["Linas"]

_PENALTIES = (1.0, 10.0, 100.0)  # C of the support vectors, chosen by the error on left-out samples
_FOLDS = 3


@dataclass
class Linas(GuidedSearch):
    """Lightweight iterative search.

    Attributes:
        population: candidates evaluated before the predictors are trained again; the first ones are random.
        predicted: evaluations of the predictors in each round.
    """

    population: Annotated[int, Field(ge=4)] = 50
    predicted: Annotated[int, Field(ge=10)] = 1500

    def reset(self) -> None:
        self.initial, self.pool = self.population, 0
        self._order: list[Candidate] = []
        self._n_learnt = 0

    def plan(self, rng: np.random.Generator) -> Sequence[Candidate]:
        if self._n_learnt < len(self.told) or not self.new(self._order, 1):
            self._n_learnt, self._order = len(self.told), self._ranked(rng)
        return self.new(self._order, self.population)

    def _ranked(self, rng: np.random.Generator) -> list[Candidate]:
        """What NSGA-II saw on the predictors, best predicted first."""
        names = dict.fromkeys([o.metric for o in self.goals.objectives] + [m.metric for m in self.goals.limits])
        models = {name: model for name in names if (model := self._learnt(name)) is not None}
        inner, seen = NSGA2(population=self.population), []
        inner.start(self.space, self.goals)
        while len(seen) < self.predicted and (asked := inner.ask(self.population, rng)):
            features_NF = self.matrix(asked)
            columns = {name: model.predict(features_NF) for name, model in models.items()}
            records = [Record(c, {name: float(y_N[i]) for name, y_N in columns.items()}) for i, c in enumerate(asked)]
            inner.tell(records)
            seen += [r for r in records if r.candidate.id not in self.asked]
        return [seen[i].candidate for i in worth_order(seen, self.goals, len(seen))] if seen else []

    def _learnt(self, name: str) -> _Stack | None:
        rows = [r for r in self.told if name in r.metrics]
        if len(rows) < 2 * _FOLDS:
            return None
        values_N = np.array([r.metrics[name] for r in rows])
        is_cost = metric(name).goal < 0 and values_N.min() > 0
        return _Stack(self.matrix([r.candidate for r in rows]), values_N, is_cost)


class _Stack:
    """Ridge and support vectors, averaged; of the logarithm if so wanted."""

    def __init__(self, X_NF: np.ndarray, y_N: np.ndarray, is_log: bool) -> None:
        from sklearn.model_selection import GridSearchCV
        from sklearn.svm import SVR

        self._is_log, y_N = is_log, np.log(y_N) if is_log else y_N
        self._mean, self._unit = y_N.mean(), y_N.std() or 1.0
        t_N = (y_N - self._mean) / self._unit
        self._ridge = Ridge().fit(X_NF, t_N)
        self._vectors = GridSearchCV(SVR(), {"C": _PENALTIES}, cv=_FOLDS, scoring="neg_mean_squared_error")
        self._vectors.fit(X_NF, t_N)

    def predict(self, X_MF: np.ndarray) -> np.ndarray:
        t_M = 0.5 * (self._ridge.predict(X_MF)[0] + self._vectors.predict(X_MF))
        y_M = self._mean + self._unit * t_M
        return np.exp(y_M) if self._is_log else y_M
