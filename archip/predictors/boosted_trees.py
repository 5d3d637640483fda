"""Boosted trees: many small decision trees, each for what the ones before it leave over.

Choose it for hundreds of samples and more, with thresholds and interactions between features; it does not extrapolate.
Source: Friedman 2001, Annals of Statistics 29, algorithm 3, with the subsampling of Friedman 2002; trees by
scikit-learn. The uncertainty: several members are boosted on bootstrap samples; the variance of their mean is added to
the mean squared error that they have on samples which they have not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from archip.predictors._predictor import Predictor

__all__ = ["BoostedTrees"]

_COLUMNS = ("feature", "threshold", "left", "right", "value")


@dataclass
class BoostedTrees(Predictor):
    """Mean of a few boosted members.

    Attributes:
        trees: of each member.
        members: boosted on bootstrap samples of their own.
    """

    trees: Annotated[int, Field(ge=1)] = 100
    depth: Annotated[int, Field(ge=1)] = 3  # of a tree
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1  # share of each tree
    subsample: Annotated[float, Field(gt=0, le=1)] = 0.8  # share of the samples that a tree sees
    members: Annotated[int, Field(ge=2)] = 4
    seed: Annotated[int, Field(ge=0)] = 0  # of the subsamples

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        rng = np.random.default_rng(self.seed)
        self._mean, n = float(y_N.mean()), len(y_N)
        parts, unseen_EN, said_EN = [], np.ones((self.members, n)), np.zeros((self.members, n))
        for member in range(self.members):
            rows = rng.integers(n, size=n)
            unseen_EN[member, rows] = 0
            model = self._boosted(X_NF[rows], y_N[rows] - self._mean, member)
            said_EN[member] = model.predict(X_NF)
            parts.append([_table(step[0].tree_, self.learning_rate) for step in model.estimators_])
        n_N = unseen_EN.sum(0)
        said_N = (said_EN * unseen_EN).sum(0)[n_N > 0] / n_N[n_N > 0]
        self._noise = float(np.sqrt(((y_N[n_N > 0] - self._mean - said_N) ** 2).mean()))
        self._nodes = _joined(parts)
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        each_EM = _walk(self._nodes, X_MF).reshape(self.members, -1, len(X_MF)).sum(1)
        return self._mean + each_EM.mean(0), np.sqrt(each_EM.var(0, ddof=1) / self.members + self._noise**2)

    def _boosted(self, X_NF: np.ndarray, t_N: np.ndarray, member: int) -> Any:
        from sklearn.ensemble import GradientBoostingRegressor

        return GradientBoostingRegressor(
            n_estimators=self.trees, max_depth=self.depth, learning_rate=self.learning_rate, subsample=self.subsample,
            init="zero", random_state=self.seed * self.members + member,
        ).fit(X_NF, t_N)  # fmt: skip

    @property
    def state(self) -> dict[str, Any]:
        return {"mean": self._mean, "noise": self._noise, **self._nodes}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._mean, self._noise = float(state["mean"]), float(state["noise"])
        self._nodes = {name: np.array(state[name]) for name in (*_COLUMNS, "first")}


def _table(tree: Any, rate: float) -> dict[str, np.ndarray]:
    """The nodes of one tree; a leaf leads to itself."""
    at = np.arange(tree.node_count)
    is_leaf = tree.children_left < 0
    return {
        "feature": np.where(is_leaf, 0, tree.feature),
        "threshold": np.where(is_leaf, 0.0, tree.threshold),
        "left": np.where(is_leaf, at, tree.children_left),
        "right": np.where(is_leaf, at, tree.children_right),
        "value": np.where(is_leaf, rate * tree.value[:, 0, 0], 0.0),
    }


def _joined(parts: list[list[dict[str, np.ndarray]]]) -> dict[str, np.ndarray]:
    """All trees of all members in one table, with the first node of each."""
    trees = [tree for member in parts for tree in member]
    first_T = np.cumsum([0, *(len(tree["value"]) for tree in trees)])[:-1]
    moved = [t | {"left": t["left"] + at, "right": t["right"] + at} for t, at in zip(trees, first_T, strict=True)]
    return {name: np.concatenate([tree[name] for tree in moved]) for name in _COLUMNS} | {"first": first_T}


def _walk(nodes: dict[str, np.ndarray], X_MF: np.ndarray) -> np.ndarray:
    """[T, M] what each tree says of each sample."""
    X_MF = X_MF.astype(np.float32)  # as scikit-learn compares
    rows_M = np.arange(len(X_MF))
    at_TM = np.repeat(nodes["first"][:, None], len(X_MF), axis=1)
    while True:
        goes_left_TM = X_MF[rows_M, nodes["feature"][at_TM]] <= nodes["threshold"][at_TM]
        next_TM = np.where(goes_left_TM, nodes["left"][at_TM], nodes["right"][at_TM])
        if (next_TM == at_TM).all():
            return nodes["value"][at_TM]
        at_TM = next_TM
