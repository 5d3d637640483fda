"""ONNX-Net: networks of any space, read as text; the better of two is to have the higher score.

Choose it to learn from the networks of one space what to expect in another; `OnnxNet.features` turns graphs into what
it is fitted to. Within one space the space's own features say more.
Source: ONNX-Net, arXiv:2510.04938: the text of the graph and the pairwise ranking loss with its margin. Our choice,
which the paper has a language model for: hashed sequences of words, and a score linear in them; shapes are left out of
the text, since another space has others. The loss is squared, with a penalty by which samples of other folds are
ordered best (Kendall's tau); the way from scores to answers, and the uncertainty, are a line through their scores.

Legend: N samples, P pairs, F features, R directions that the samples span.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field
from scipy.optimize import minimize

from archip.ir.graph import Graph
from archip.predictors._agreement import kendall
from archip.predictors._graph_text import graph_text, text_features
from archip.predictors._predictor import Predictor, Scaling

__all__ = ["OnnxNet"]

_PAIRS = 20_000  # at most; beyond, more pairs of the same samples say little new


@dataclass
class OnnxNet(Predictor):
    """A linear score, learnt from pairs.

    Attributes:
        margin: by which the better one of a pair is to be ahead.
        penalties: of the squared weights; the one that suits is chosen.
        folds: parts of the samples that are left out in turn.
    """

    margin: Annotated[float, Field(gt=0)] = 0.1
    penalties: tuple[Annotated[float, Field(gt=0)], ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    folds: Annotated[int, Field(ge=2)] = 5
    seed: Annotated[int, Field(ge=0)] = 0  # of the initial weights

    @staticmethod
    def features(graphs: Sequence[Graph]) -> np.ndarray:
        """[N, F] what this predictor is fitted to, the same for the same network whatever its nodes are called."""
        return text_features([graph_text(graph, shapes=False) for graph in graphs])

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        rng = np.random.default_rng(self.seed)
        self._scaling = Scaling.of(X_NF)
        U_NR, s_R, Vt_RF = np.linalg.svd(self._scaling(X_NF), full_matrices=False)
        Z_NR = U_NR * s_R  # a penalised score has no part outside of what the samples span
        fold_N = rng.permutation(len(y_N)) % self.folds
        left_out = [self._left_out(Z_NR, y_N, fold_N, penalty, rng) for penalty in self.penalties]
        best = int(np.argmax([kendall(score_N, y_N) for score_N in left_out]))
        weights_R = self._learnt(Z_NR, y_N, self.penalties[best], rng)
        self._set_line(left_out[best], y_N, Z_NR @ weights_R)
        self._weights_F = Vt_RF.T @ weights_R
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        score_M = self._scaling(X_MF) @ self._weights_F
        return self._mean + self._slope * score_M, np.full(len(X_MF), self._sigma)

    def _left_out(self, Z_NR: np.ndarray, y_N: np.ndarray, fold_N: np.ndarray, penalty: float, rng: Any) -> np.ndarray:
        """The score of each sample by what the other folds teach."""
        score_N = np.zeros(len(y_N))
        for fold in range(self.folds):
            rest, out = fold_N != fold, fold_N == fold
            score_N[out] = (Z_NR[out] - Z_NR[rest].mean(0)) @ self._learnt(Z_NR[rest], y_N[rest], penalty, rng)
        return score_N

    def _learnt(self, Z_NR: np.ndarray, y_N: np.ndarray, penalty: float, rng: Any) -> np.ndarray:
        better_P, worse_P = np.nonzero(y_N[:, None] > y_N)
        if len(better_P) > _PAIRS:
            kept = rng.choice(len(better_P), _PAIRS, replace=False)
            better_P, worse_P = better_P[kept], worse_P[kept]

        def loss(weights_R: np.ndarray) -> tuple[float, np.ndarray]:
            score_N = Z_NR @ weights_R
            lacks_P = np.maximum(self.margin - score_N[better_P] + score_N[worse_P], 0)
            pull_N = np.bincount(worse_P, lacks_P, len(y_N)) - np.bincount(better_P, lacks_P, len(y_N))
            n = max(len(better_P), 1)
            gradient_R = 2 * (Z_NR.T @ pull_N / n + penalty * weights_R)
            return float((lacks_P**2).sum() / n + penalty * weights_R @ weights_R), gradient_R

        return minimize(loss, np.zeros(Z_NR.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x

    def _set_line(self, score_N: np.ndarray, y_N: np.ndarray, own_N: np.ndarray) -> None:
        """From scores to answers, by samples that the score had not seen; the mean is that of all samples."""
        off_N = score_N - score_N.mean()
        power = float(off_N @ off_N)
        self._slope = float(off_N @ (y_N - y_N.mean())) / power if power else 0.0
        self._mean = float(y_N.mean() - self._slope * own_N.mean())
        self._sigma = float(np.sqrt(((y_N - y_N.mean() - self._slope * off_N) ** 2).mean()))

    @property
    def state(self) -> dict[str, Any]:
        learned = {"weights_F": self._weights_F, "mean": self._mean, "slope": self._slope, "sigma": self._sigma}
        return self._scaling.state | learned

    def restore(self, state: Mapping[str, Any]) -> None:
        self._scaling = Scaling.restored(state)
        self._weights_F = np.array(state["weights_F"])
        self._mean, self._slope, self._sigma = (float(state[name]) for name in ("mean", "slope", "sigma"))
