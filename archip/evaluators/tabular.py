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
from archip.data._table import Table
from archip.spaces.tabular import Tabular as TabularSpace

__all__ = ["Tabular"]


@dataclass(frozen=True)
class Tabular:
    """Looks up one metric of each task's network, and costs before it.

    Attributes:
        metric: a search of the table (`archip bench` lists them) or a metric; by default its first search.
        costs: metrics of the table that limits may bind; a network that breaks one is not looked up further. A problem
            fills them in.
        early: show what is known after a short training instead of a full one.
    """

    metric: str | None = None
    costs: tuple[str, ...] = ()
    early: bool = False

    def shown(self, table: Table) -> str:
        """Full name of the metric that a search sees.

        Raises:
            UserError: the table has no such search or metric, or none after a short training.
        """
        try:
            name, search = table.search(self.metric)
        except UserError as error:
            raise error.at("metric") from None
        if self.early and search.early is None:
            raise UserError(f"{table.name} has no early metric of {name}", "early", "early: false")
        return table.metric_name(search.early.metric if self.early and search.early else search.full)

    def stages(self, run: RunContext) -> Sequence[Stage]:
        stages: list[Stage] = []
        for task in run.tasks:
            if not isinstance(task.space, TabularSpace):
                raise UserError(f"the network space of {task.name} is no table", "evaluator: tabular", "net: tabular")
            table = task.space.rows
            costs = {table.metric_name(name): table.metric_name(name) for name in self.costs}
            if costs:
                stages.append(_TableStage(f"tabular.{task.name}.costs", task.name, task.space, costs))
            source = {f"{task.name}.{task.metric}": self.shown(table)}
            stages.append(_TableStage(f"tabular.{task.name}", task.name, task.space, source))
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
