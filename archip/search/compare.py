"""Searches compared at equal budget: hypervolume of the feasible front, and the best feasible quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archip.core.objectives import Goals
from archip.core.pareto import front, hypervolume
from archip.core.record import Record

__all__ = ["compare"]


def compare(searches: Mapping[str, Sequence[Record]], goals: Goals) -> dict[str, dict[str, Any]]:
    """Name of the search → candidates, feasible ones, size of the front, best quality, hypervolume.

    Hypervolumes are shares of the box between the best and the worst value of each objective over the feasible
    records of all searches, so that they compare within one call only.
    """
    losses = {name: goals.losses(front(records, goals)) for name, records in searches.items()}
    everything = [goals.losses([r for r in records if goals.feasible(r)]) for records in searches.values()]
    box = np.concatenate(everything)
    rows = {}
    for name, records in searches.items():
        feasible = [r for r in records if goals.feasible(r)]
        rows[name] = {
            "candidates": len(records),
            "feasible": len(feasible),
            "front": len(losses[name]),
            "best_quality": max((r.metrics["quality"] for r in feasible), default=None),
            "hypervolume": _share(losses[name], box),
        }
    return rows


def _share(front_losses: np.ndarray, box: np.ndarray) -> float:
    if not len(front_losses):
        return 0.0
    low, high = box.min(0), box.max(0)
    span = np.where(high > low, high - low, 1.0)
    return float(hypervolume((front_losses - low) / span, np.full(len(low), 1.0 + 1e-9)))
