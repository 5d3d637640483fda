"""What evaluators share that give a rank or a rating in the place of the task's metric."""

from __future__ import annotations

from archip.core.errors import UserError
from archip.core.protocols import RunContext

__all__ = ["refuse_limits"]


def refuse_limits(run: RunContext, says: str) -> None:
    """Refuse limits on metrics of tasks, which mean nothing where none is measured.

    Args:
        says: who says nothing of them, with the verb: ``zero-cost scores say``.

    Raises:
        UserError: naming the limit.
    """
    for limit in run.goals.limits:
        if limit.metric == "quality" or limit.metric.endswith((".accuracy", ".iou")):
            right = "another evaluator, or no such limit"
            raise UserError(f"{says} nothing of {limit.metric}", f"limits.{limit.metric}", right)
