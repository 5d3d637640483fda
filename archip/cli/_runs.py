"""What the verbs that look at runs share: their arguments, completion, and how metrics are shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from archip.core.record import METRICS, metric
from archip.core.units import format_quantity
from archip.search.runs import Run, find_runs, open_run

__all__ = ["JsonFlag", "RunName", "StoreUrl", "complete_run", "opened", "shown", "shown_metrics"]

_DEFAULT_ROOT = "runs"


def complete_run(incomplete: str) -> list[str]:
    """Folders of runs below ``runs`` and below what has been typed so far."""
    typed = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    roots = {root for root in (_DEFAULT_ROOT, str(typed)) if root not in (".", "/") and Path(root).is_dir()}
    found = {str(run.folder) for root in sorted(roots) for run in find_runs(root)}
    return sorted(name for name in found if name.startswith(incomplete))


RunName = Annotated[str, typer.Argument(help="A run's folder; with --store its name.", autocompletion=complete_run)]
StoreUrl = Annotated[
    str | None, typer.Option("--store", help="The store that has the records: a path or postgresql://user@host/db.")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def opened(name: str, store: str | None) -> Run:
    """The run of a folder, or of that name in a store.

    Raises:
        UserError: there is none.
    """
    if store is None:
        return open_run(name)
    return open_run(store, Path(name).name)


def shown(name: str, value: float | None) -> str:
    """A metric's value with its unit."""
    if value is None:
        return "-"
    if name.rsplit(".", 1)[-1] not in METRICS:
        return f"{value:.4g}"
    if metric(name).dimension == "share":
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4f}"
    return format_quantity(value, metric(name).dimension)


def shown_metrics(metrics: Mapping[str, float]) -> str:
    """All metrics in a line."""
    return ", ".join(f"{name} {shown(name, value)}" for name, value in metrics.items())
