"""Tabular: metrics are looked up in the table that the networks come from.

Choose it with the space `tabular`, to compare strategies on a published benchmark (`archip bench` does).
Source: ours; the tables name theirs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.protocols import Progress, RunContext, Stage
from archip.core.record import Outcome, Status
from archip.spaces.tabular import Tabular as TabularSpace

__all__ = ["Tabular"]


@dataclass(frozen=True)
class Tabular:
    """Looks up one metric of each task's network, and costs before it.

    Attributes:
        metric: of the table; by default what its first search shows after a full training.
        costs: metrics of the table that limits may bind; a network that breaks one is not looked up further.
    """

    metric: str | None = None
    costs: tuple[str, ...] = ()

    def stages(self, run: RunContext) -> Sequence[Stage]:
        stages: list[Stage] = []
        for task in run.tasks:
            if not isinstance(task.space, TabularSpace):
                raise UserError(f"the network space of {task.name} is no table", "evaluator: tabular", "net: tabular")
            table = task.space.rows
            costs = {table.metric_name(name): table.metric_name(name) for name in self.costs}
            if costs:
                stages.append(_TableStage(f"tabular.{task.name}.costs", task.name, task.space, costs))
            source = table.metric_name(self.metric) if self.metric else table.search()[1].full
            stages.append(
                _TableStage(f"tabular.{task.name}", task.name, task.space, {f"{task.name}.{task.metric}": source})
            )
        return stages


class _TableStage:
    """Metrics of one task's networks; `sources`: name of the metric in records → in the table."""

    def __init__(self, name: str, task: str, space: TabularSpace, sources: Mapping[str, str]) -> None:
        self.name, self.reads, self._task, self._space = name, (f"net.{task}",), task, space
        self.key: dict[str, Any] = {"table": space.rows.name, "metrics": dict(sources)}
        self._columns = {name: space.rows.metric(source).tolist() for name, source in sources.items()}

    def prepare(self, progress: Progress | None) -> None:
        """The table was read already."""

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        return [self._outcome(candidate) for candidate in candidates]

    def _outcome(self, candidate: Candidate) -> Outcome:
        row = self._space.row(candidate.net[self._task])  # pyright: ignore[reportArgumentType]
        metrics = {name: column[row] for name, column in self._columns.items()}
        missing = [name for name, value in metrics.items() if math.isnan(value)]
        if missing:
            return Outcome(status=Status.FAILED, reason=f"the table has no value of {', '.join(missing)}")
        return Outcome(metrics)
