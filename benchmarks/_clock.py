"""A clock that ends a training when its time is over; what it has written goes on later."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from torch import nn

from archip.train.loop import FitResult, Recipe, fit
from archip.train.rule import Rule

__all__ = ["Clock", "trained_until"]


class Clock:
    """Says every epoch, and ends a training after one when the time is over.

    Attributes:
        end: on the clock `time.monotonic`.
    """

    def __init__(self, end: float) -> None:
        self.end = end

    def start(self, description: str, total: int) -> None:
        """Nothing to be said yet."""

    def advance(self, handle: Any, n: int = 1, **fields: object) -> None:
        if fields:
            print(time.strftime("%X"), fields, flush=True)
        if time.monotonic() > self.end:
            raise KeyboardInterrupt

    def finish(self, handle: Any) -> None:
        """The result says it."""


def trained_until(
    end: float, net: nn.Module, data: Any, recipe: Recipe, path: Path, rule: Rule, seed: int = 0
) -> FitResult | None:
    """Train until the time is over; the result once the training is done, else None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return fit(net, data, recipe, seed, Clock(end), path, rule)
    except KeyboardInterrupt:
        return None
