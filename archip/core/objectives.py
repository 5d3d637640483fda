"""Objectives and limits: what a run optimises and what its result must respect.

Limits are contracts: every comparison puts feasible candidates first, then the smaller violation (Deb's
constraint domination, Deb et al. 2002, NSGA-II, definition 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archip.core.record import Record, Status, metric
from archip.core.units import format_quantity

__all__ = ["Goals", "Limit", "Objective"]


@dataclass(frozen=True)
class Objective:
    """A metric to maximise (goal +1) or minimise (goal -1)."""

    metric: str
    goal: int

    @classmethod
    def of(cls, name: str) -> Objective:
        """The objective with the goal that the metric table gives `name`."""
        return cls(name, metric(name).goal)


@dataclass(frozen=True)
class Limit:
    """A positive bound that the result must keep: an upper one for costs, a lower one for qualities."""

    metric: str
    bound: float

    def violation(self, value: float) -> float:
        """Relative overshoot: 0 where the limit holds, 0.1 where it is missed by a tenth of the bound."""
        if value != value:  # a NaN keeps no limit
            return float("inf")
        over = (self.bound - value) if metric(self.metric).goal > 0 else (value - self.bound)
        return max(0.0, over / self.bound)

    def __str__(self) -> str:
        sign = ">=" if metric(self.metric).goal > 0 else "<="
        return f"{self.metric} {sign} {format_quantity(self.bound, metric(self.metric).dimension)}"


@dataclass(frozen=True)
class Goals:
    """The objectives (the first one ranks where a single number is wanted) and the limits of a run."""

    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...] = ()

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Sum of the relative violations of those limits whose metric is known."""
        return sum(limit.violation(metrics[limit.metric]) for limit in self.limits if limit.metric in metrics)

    def feasible(self, record: Record) -> bool:
        """Evaluated in full and within all limits."""
        return record.ok and self.violation(record.metrics) == 0.0

    def violations(self, records: Sequence[Record]) -> np.ndarray:
        """[N] total violation; infinite for failed records."""
        return np.array([np.inf if r.status is Status.FAILED else self.violation(r.metrics) for r in records])

    def losses(self, records: Sequence[Record]) -> np.ndarray:
        """[N, objectives] values to minimise; infinite where a record lacks the metric."""
        rows = [
            [-o.goal * r.metrics[o.metric] if o.metric in r.metrics else np.inf for o in self.objectives]
            for r in records
        ]
        return np.array(rows, dtype=float).reshape(len(records), len(self.objectives))

    def key(self, record: Record) -> tuple[float, ...]:
        """Sort key, best first: violation, then whether it was evaluated in full, then the objectives in order."""
        violation = np.inf if record.status is Status.FAILED else self.violation(record.metrics)
        return (float(violation), float(not record.ok), *self.losses([record])[0].tolist())

    def to_json(self) -> dict[str, Any]:
        return {
            "objectives": [[o.metric, o.goal] for o in self.objectives],
            "limits": [[limit.metric, limit.bound] for limit in self.limits],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Goals:
        objectives = tuple(Objective(name, goal) for name, goal in value["objectives"])
        return cls(objectives, tuple(Limit(name, bound) for name, bound in value["limits"]))
