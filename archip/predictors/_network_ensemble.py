"""A small ensemble of neural networks that are trained side by side; a method says what a network is.

Source: the ensemble and its use for architectures, White et al. 2021, arXiv:1910.11858 (BANANAS); the ranking loss with
its margin, that of ONNX-Net, arXiv:2510.04938, for all pairs. Our choice: every member has a bootstrap sample and stops
when the samples that it did not draw are predicted best. The uncertainty: the variance of the members' mean is added to
the mean squared error that they have on samples which they have not seen.

Legend: E members, N samples, M samples to predict, F features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from archip.predictors._predictor import Predictor, Scaling

__all__ = ["NetworkEnsemble"]

_CHECKED_EACH = 10  # steps between looks at the samples that a member has not drawn
_FAR = 4.0  # standard deviations beyond which a feature counts as no farther: nothing was learnt out there
_AT_ONCE = 2000  # samples that are predicted at once


@dataclass
class NetworkEnsemble(Predictor):
    """A predictor by three methods: `initial`, `forward` and, if need be, `inputs`.

    Attributes:
        steps: of Adam on all samples, at most.
        decay: weight decay (AdamW).
        rank: weight of the ranking loss beside the squared error, both of standardised answers.
        margin: by which the better sample of a pair is to be ahead, in standard deviations.
    """

    members: Annotated[int, Field(ge=2)] = 5  # networks of the ensemble
    hidden: Annotated[int, Field(ge=1)] = 32  # units of a layer
    steps: Annotated[int, Field(ge=1)] = 300
    learning_rate: Annotated[float, Field(gt=0)] = 0.01  # of AdamW
    decay: Annotated[float, Field(ge=0)] = 1.0
    rank: Annotated[float, Field(ge=0)] = 0.0
    margin: Annotated[float, Field(ge=0)] = 0.1
    seed: Annotated[int, Field(ge=0)] = 0  # of the initial weights

    @abstractmethod
    def initial(self, n_features: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Weights of all members by name, before training."""

    @abstractmethod
    def forward(self, Z: Any, weights: Mapping[str, Any], tanh: Callable[[Any], Any]) -> Any:
        """[E, N] what each member says, in standard deviations; of tensors or of arrays."""

    def scaling(self, X_NF: np.ndarray) -> Scaling:
        """How features are scaled, by those of the samples."""
        return Scaling.of(X_NF)

    def inputs(self, Z_MF: np.ndarray) -> np.ndarray:
        """[M, …] what networks read, of scaled features."""
        return Z_MF

    # What follows is final.

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        rng = np.random.default_rng(self.seed)
        self._scaling, n = self.scaling(X_NF), len(y_N)
        self._mean, self._unit = float(y_N.mean()), float(y_N.std()) or 1.0
        drawn_EN = rng.multinomial(n, np.full(n, 1 / n), size=self.members)
        self._weights = self._trained(self._scaled(X_NF), (y_N - self._mean) / self._unit, drawn_EN, rng)
        unseen_EN = drawn_EN == 0
        n_N, said_EN = unseen_EN.sum(0), self._each(X_NF)
        said_N = (said_EN * unseen_EN).sum(0)[n_N > 0] / n_N[n_N > 0]
        self._noise = float(np.sqrt(((y_N[n_N > 0] - said_N) ** 2).mean())) if n_N.any() else self._unit
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        each_EM = self._each(X_MF)
        return each_EM.mean(0), np.sqrt(each_EM.var(0, ddof=1) / self.members + self._noise**2)

    def _each(self, X_MF: np.ndarray) -> np.ndarray:
        """[E, M] what each member says, in units of y."""
        parts = [X_MF[first : first + _AT_ONCE] for first in range(0, max(len(X_MF), 1), _AT_ONCE)]
        said = [self.forward(self.inputs(self._scaled(part)), self._weights, np.tanh) for part in parts]
        return self._mean + self._unit * np.concatenate(said, axis=1)

    def _scaled(self, X_MF: np.ndarray) -> np.ndarray:
        return np.clip(self._scaling(X_MF), -_FAR, _FAR)

    def _trained(self, Z_NF: np.ndarray, t_N: np.ndarray, drawn_EN: np.ndarray, rng: Any) -> dict[str, np.ndarray]:
        """The weights of all members; they are trained side by side and know nothing of each other."""
        import torch

        arrays = (self.inputs(Z_NF), t_N, drawn_EN, drawn_EN == 0)
        Z, t, drawn, unseen = (torch.as_tensor(array, dtype=torch.float64) for array in arrays)
        weights = {k: torch.tensor(v, requires_grad=True) for k, v in self.initial(Z_NF.shape[1], rng).items()}
        optimizer = torch.optim.AdamW(weights.values(), lr=self.learning_rate, weight_decay=self.decay)
        best_E = torch.full((self.members,), torch.inf, dtype=torch.float64)
        best = {name: value.detach().clone() for name, value in weights.items()}
        for step in range(self.steps):
            f_EN = self.forward(Z, weights, torch.tanh)
            error_EN = (f_EN - t) ** 2
            if step % _CHECKED_EACH == 0:
                held_out_E = (unseen * error_EN.detach()).sum(1)
                better_E = held_out_E < best_E
                best_E = torch.where(better_E, held_out_E, best_E)
                for name, value in weights.items():
                    best[name][better_E] = value.detach()[better_E]
            loss = (drawn * error_EN).sum() / len(t)
            if self.rank:
                loss = loss + self.rank * self._ranking(f_EN, t, drawn)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return {name: value.numpy() for name, value in best.items()}

    def _ranking(self, f_EN: Any, t: Any, drawn: Any) -> Any:
        """Sum over members of the mean, over pairs of drawn samples, of what the better one lacks to its margin."""
        pairs_ENN = drawn[:, :, None] * drawn[:, None, :] * (t[:, None] > t)
        lacks_ENN = (self.margin - f_EN[:, :, None] + f_EN[:, None, :]).clamp(min=0)
        return ((pairs_ENN * lacks_ENN).sum((1, 2)) / pairs_ENN.sum((1, 2)).clamp(min=1)).sum()

    @property
    def state(self) -> dict[str, Any]:
        return self._scaling.state | {"mean": self._mean, "unit": self._unit, "noise": self._noise} | self._weights

    def restore(self, state: Mapping[str, Any]) -> None:
        self._scaling = Scaling.restored(state)
        self._mean, self._unit, self._noise = (float(state[name]) for name in ("mean", "unit", "noise"))
        self._weights = {name: np.array(state[name]) for name in self.initial(1, np.random.default_rng(0))}
