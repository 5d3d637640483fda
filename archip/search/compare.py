"""Searches compared at equal budget: hypervolume of the feasible front, and the best feasible quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archip.core.pareto import hypervolume
from archip.search.findings import Findings

__all__ = ["compare"]


def compare(searches: Mapping[str, Findings]) -> dict[str, dict[str, Any]]:
    """Name of the search → candidates, feasible ones, size of the front, best quality, hypervolume.

    Hypervolumes are shares of the box between the best and the worst value of each objective over the feasible
    records of all searches, so that they compare within one call only.
    """
    lows = [f.low_M for f in searches.values() if f.low_M is not None]
    highs = [f.high_M for f in searches.values() if f.high_M is not None]
    return {
        name: {
            "candidates": found.n,
            "feasible": found.n_feasible,
            "front": len(found.front),
            "best_quality": found.best_quality,
            "hypervolume": _share(found.front.losses, np.min(lows, 0), np.max(highs, 0)) if found.front else 0.0,
        }
        for name, found in searches.items()
    }


def _share(front_losses: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    span = np.where(high > low, high - low, 1.0)
    return float(hypervolume((front_losses - low) / span, np.full(len(low), 1.0 + 1e-9)))
