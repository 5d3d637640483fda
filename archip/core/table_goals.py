"""TableGoals: what a problem may ask for whose networks are the rows of a benchmark table.

A table tells its own costs (latency on some device, parameters, …), so limits and objectives go by the names of its
metrics: in full (``raspi4.latency_s``), by an alias (``latency``) or in short (``raspi4``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archip.core import registry
from archip.core.errors import UserError
from archip.core.objectives import Limit, Objective
from archip.core.record import metric
from archip.core.units import parse_quantity

__all__ = ["TableGoals"]


@dataclass(frozen=True)
class TableGoals:
    """The names of one table, seen from a problem.

    Attributes:
        task: the problem's only task.
        table: of its space (`data/_table.py`).
        shown: full name of the metric that the search sees.
    """

    task: str
    table: Any
    shown: str

    @classmethod
    def of(cls, task: str, options: Mapping[str, Any], evaluator: Any) -> TableGoals:
        """The goals of a problem on a table.

        Args:
            options: of the task's network space.
            evaluator: the one that looks up.

        Raises:
            UserError: a table that cannot be read, or a metric that it lacks.
        """
        try:
            table = registry.create("spaces", "tabular", options).rows
        except UserError as error:
            raise error.at(f"tasks.{task}.net") from None
        try:
            shown = evaluator.shown(table)
            table.metric(shown)
        except UserError as error:
            raise error.at("evaluator") from None
        return cls(task, table, shown)

    @property
    def metric(self) -> str:
        """The task's own metric: what the last part of the metric shown says."""
        return self.shown.rpartition(".")[2]

    def limit(self, key: str, value: Any) -> Limit:
        """A limit of the file.

        Raises:
            UserError: a metric that the table lacks, or a bound that cannot be meant.
        """
        where = f"limits.{key}"
        name = key if key in ("quality", f"{self.task}.{self.metric}") else self._known(key, where)
        about = metric(name)
        try:
            bound = parse_quantity(value, about.dimension).value
        except UserError as error:
            raise error.at(where) from None
        if not math.isfinite(bound) or bound <= 0 or (name.endswith(("accuracy", "iou")) and bound > 1):
            raise UserError(f"{value!r} can never be met or never be missed", where, "a positive bound")
        return Limit(name, bound)

    def objectives(self, names: Sequence[str] | None) -> tuple[Objective, ...]:
        """The quality, and what else is named."""
        chosen = [name if name == "quality" else self._known(name, "objectives") for name in names or ["quality"]]
        if len(set(chosen)) < len(chosen):
            raise UserError("objectives are repeated", "objectives", "each metric once, e.g. [quality, latency]")
        return tuple(Objective.of(name) for name in chosen)

    def costs(self, limits: Sequence[Limit], objectives: Sequence[Objective]) -> list[str]:
        """Metrics of the table that limits and objectives need, each once."""
        named = dict.fromkeys([limit.metric for limit in limits] + [o.metric for o in objectives])
        return [name for name in named if name in self.table.metrics]

    def _known(self, name: str, where: str) -> str:
        """The metric's full name, its column read: an empty cell is said now, with its row."""
        try:
            full = self.table.metric_name(name)
            self.table.metric(full)
        except UserError as error:
            raise UserError(f"{error.where}: {error.what}" if error.where else error.what, where, error.right) from None
        return full
