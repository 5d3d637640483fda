"""Chosen by cross-validation: the predictor that orders left-out samples best and comes closest, with its error.

Choose it where it is not known which predictor suits, the numbers themselves count (latencies) and their error is to
be stated; where the order counts (accuracies), `normal_scores` as it is loses less. Every candidate, on every prefix of
the features that is offered, predicts samples that it has not seen; the best by Kendall's tau plus the share within
10 % is fitted to all of them. The error that is stated belongs to such held-out predictions. The best of several looks
better than it is; by how much is estimated from the same predictions, and taken off.
Source: the correction follows Tsamardinos et al. 2018, Machine Learning 107 (bootstrap bias corrected cross-validation,
algorithm 4): the choice is made anew on bootstrap samples and judged on the rest. Differs: the loss against the final
choice on the same rest is taken off the full estimate, so that the small size of the rest does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem import Plug
from archip.predictors._agreement import Agreement, agreement, for_ranks, interval
from archip.predictors._left_out import left_out
from archip.predictors._predictor import Predictor, from_json

__all__ = ["CrossValidated"]

_BOOTSTRAPS = 200
_JUDGED = 1000  # samples at most, by which the choice is judged; beyond, the error is known well enough


@dataclass(frozen=True)
class HeldOutError:
    """What a choice is worth on samples that it has not seen.

    Attributes:
        n: samples.
        expected: after the correction for having chosen. low, high: 95 % interval of each number (`interval`).
        candidates: predictor and number of features → its own agreement, uncorrected.
    """

    n: int
    expected: Agreement
    low: Agreement
    high: Agreement
    candidates: Mapping[str, Agreement]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HeldOutError:
        known = {key: Agreement(**value[key]) for key in ("expected", "low", "high")}
        return cls(value["n"], candidates={k: Agreement(**v) for k, v in value["candidates"].items()}, **known)


@dataclass
class CrossValidated(Predictor):
    """The best of several predictors.

    Attributes:
        candidates: predictors by name, with options if need be.
        prefixes: how many of the first features are tried; all of them where this is empty.
        folds: parts of the samples that are left out in turn.
    """

    candidates: tuple[Any, ...] = ("ridge", "additive", "gp", "boosted_trees")
    prefixes: tuple[Annotated[int, Field(ge=1)], ...] = ()
    folds: Annotated[int, Field(ge=2)] = 10
    seed: Annotated[int, Field(ge=0)] = 0  # of the folds

    def __post_init__(self) -> None:
        self._plugs = [Plug.of(candidate) for candidate in self.candidates]
        if not self._plugs:
            raise UserError("there is no predictor to choose from", "candidates", "at least one")
        for plug in self._plugs:
            registry.create("predictors", plug.name, plug.options)

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        if len(y_N) < 4:
            raise UserError(f"{len(y_N)} samples are too few to choose a predictor by", "cross_validated", "4 at least")
        widths = self.prefixes or (X_NF.shape[1],)
        tried = [
            (plug, width, left_out(plug, X_NF[:, :width], y_N, self.folds, self.seed))
            for plug in self._plugs
            for width in widths
        ]
        able = [(plug, width, row_2N[0]) for plug, width, row_2N in tried if row_2N is not None]
        if not able:
            raise UserError("no candidate can learn from these samples", "cross_validated.candidates")
        names = [f"{plug.name}, {width} features" for plug, width, _ in able]
        best, self.error = _judged(names, np.array([row_N for *_, row_N in able]), y_N, self.seed)
        plug, self._width, _ = able[best]
        self.chosen: Predictor = registry.create("predictors", plug.name, plug.options)
        self.chosen.fit(X_NF[:, : self._width], y_N)
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.chosen.predict(X_MF[:, : self._width])

    @property
    def state(self) -> dict[str, Any]:
        return {"width": self._width, "chosen": self.chosen.to_json(), "error": self.error.to_json()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._width, self.chosen = int(state["width"]), from_json(state["chosen"])
        self.error = HeldOutError.from_json(state["error"])


def _judged(names: Sequence[str], held_out_CN: np.ndarray, y_N: np.ndarray, seed: int) -> tuple[int, HeldOutError]:
    """The best candidate and its error; C candidates."""
    rng = np.random.default_rng(seed)
    if len(y_N) > _JUDGED:
        rows = rng.choice(len(y_N), _JUDGED, replace=False)
        held_out_CN, y_N = held_out_CN[:, rows], y_N[rows]
    score = _Score(held_out_CN, y_N)
    best = int(np.argmax(score(np.ones((1, len(y_N))))[0]))
    counts_BN = rng.multinomial(len(y_N), np.full(len(y_N), 1 / len(y_N)), size=_BOOTSTRAPS)
    winners_B = np.argmax(score(counts_BN), axis=1)
    rests = [(counts_N == 0, winner) for counts_N, winner in zip(counts_BN, winners_B, strict=True) if winner != best]
    losses = [_values(held_out_CN[best, r], y_N[r]) - _values(held_out_CN[w, r], y_N[r]) for r, w in rests if r.any()]
    correction = np.sum(losses, axis=0) / _BOOTSTRAPS if losses else 0.0
    expected = Agreement.of_values(_values(held_out_CN[best], y_N) - correction)
    low, high = interval(held_out_CN[best], y_N, expected)
    error = HeldOutError(
        n=len(y_N),
        expected=expected,
        low=low,
        high=high,
        candidates={name: agreement(row_N, y_N) for name, row_N in zip(names, held_out_CN, strict=True)},
    )
    return best, error


def _values(predicted_N: np.ndarray, y_N: np.ndarray) -> np.ndarray:
    return agreement(predicted_N, y_N).values


class _Score:
    """Kendall's tau-b plus the share within 10 %, for samples that count several times or not at all."""

    def __init__(self, held_out_CN: np.ndarray, y_N: np.ndarray) -> None:
        ranked_N, ranked_CN = for_ranks(y_N), for_ranks(held_out_CN)
        self._order_NN = np.sign(ranked_N[:, None] - ranked_N)
        self._orders_CNN = np.sign(ranked_CN[:, :, None] - ranked_CN[:, None, :])
        self._close_CN = np.abs(held_out_CN - y_N) <= 0.1 * np.abs(y_N)

    def __call__(self, counts_BN: np.ndarray) -> np.ndarray:
        """[B, C] score of each candidate for each weighting of the samples."""
        pairs = lambda M_NN: ((counts_BN @ M_NN) * counts_BN).sum(1)  # noqa: E731
        untied_B = pairs(np.abs(self._order_NN))
        columns = []
        for orders_NN, close_N in zip(self._orders_CNN, self._close_CN, strict=True):
            norm_B = np.sqrt(np.maximum(pairs(np.abs(orders_NN)) * untied_B, 1e-300))
            columns.append(pairs(orders_NN * self._order_NN) / norm_B + counts_BN @ close_N / counts_BN.sum(1))
        return np.stack(columns, 1)
