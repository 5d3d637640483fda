"""What predictors share: the interface, its duties, and how a fitted one becomes JSON and comes back.

Legend: N samples, M samples to predict, F features.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from pydantic import TypeAdapter

from archip.core import registry
from archip.core.errors import UserError

__all__ = ["Predictor", "Scaling", "from_json"]


@dataclass
class Predictor(ABC):
    """Learns a number from features. The dataclass fields of an implementation are its options.

    Fitting the same samples in the same order gives the same predictor: what is random has a ``seed`` among the
    options. A fitted predictor is options and plain arrays, nothing else.
    """

    @abstractmethod
    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        """Learn from samples; returns itself. What was learned before is forgotten.

        Raises:
            UserError: samples that this predictor cannot learn from.
        """

    @abstractmethod
    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(mean_M, std_M): what is expected, and the standard deviation of a new observation, both in units of y."""

    @property
    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learned, as numbers, texts and arrays by name."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a `state` whose arrays have become lists."""

    # What follows is final.

    @final
    def to_json(self) -> dict[str, Any]:
        """Name, options and state as JSON; `from_json` gives a predictor with the same predictions, bit by bit."""
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        return {
            "predictor": type(self).__module__.rpartition(".")[2],
            "options": TypeAdapter(dict[str, Any]).dump_python(options, mode="json"),
            "state": {name: _plain(value) for name, value in self.state.items()},
        }


def from_json(value: Mapping[str, Any]) -> Predictor:
    """The fitted predictor that `Predictor.to_json` wrote.

    Raises:
        UserError: an unknown predictor or option, or a state that is not its own.
    """
    try:
        predictor = registry.create("predictors", value["predictor"], value["options"])
        predictor.restore(value["state"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"not a fitted predictor: {error!r}", "predictor", "what archip wrote, unchanged") from None
    return predictor


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class Scaling:
    """Features brought to mean 0 and standard deviation 1; constant ones become 0."""

    mean_F: np.ndarray
    scale_F: np.ndarray

    @classmethod
    def of(cls, X_NF: np.ndarray) -> Scaling:
        std_F = X_NF.std(0)
        varies_F = std_F > 1e-12 * np.abs(X_NF).max(0, initial=0)
        return cls(X_NF.mean(0), np.divide(1.0, std_F, out=np.zeros_like(std_F), where=varies_F))

    def __call__(self, X_MF: np.ndarray) -> np.ndarray:
        return (X_MF - self.mean_F) * self.scale_F

    @property
    def state(self) -> dict[str, np.ndarray]:
        return {"mean_F": self.mean_F, "scale_F": self.scale_F}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Scaling:
        return cls(np.array(state["mean_F"]), np.array(state["scale_F"]))
