"""``archip status``: the runs below a folder or in a store, and how far each is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from archip.cli._runs import JsonFlag, StoreUrl, complete_run, shown
from archip.core.errors import UserError
from archip.search.runs import Run, find_runs, open_run

__all__ = ["register"]

_COLOURS = {"running": "cyan", "done": "green", "interrupted": "yellow", "failed": "red"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def status(
        runs: Annotated[
            list[str] | None,
            typer.Argument(help="Folders of runs, or above them. [default: runs]", autocompletion=complete_run),
        ] = None,
        store: StoreUrl = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Show runs: whether they go on, how many candidates, how many keep the limits, the best so far.

        A run that has given no sign of life for half a minute is shown as interrupted: archip resume continues it.

        Examples:

          archip status

          archip status runs/two_tasks --json

          archip status --store postgresql://me@db.example/archip
        """
        rows = [_row(run) for run in _found(runs or [], store)]
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
        else:
            _table(Console(), rows)


def _found(names: list[str], store: str | None) -> list[Run]:
    """The runs that are meant, each once."""
    if store is not None:
        every = find_runs(store)
        missing = set(names) - {run.name for run in every}
        if missing:
            raise UserError(f"no run {min(missing)!r}", right="the store has: " + ", ".join(r.name for r in every))
        return [run for run in every if not names or run.name in names]
    if not names and not Path("runs").is_dir():
        raise UserError("no folder runs here", right="name the folder of the runs, or --store")
    found: dict[Any, Run] = {}
    for name in names or ["runs"]:
        below = find_runs(name) if "://" in name or Path(name).is_dir() else [open_run(name)]
        for run in below:
            found.setdefault(run.folder or (name, run.name), run)
    return list(found.values())


def _row(run: Run) -> dict[str, Any]:
    """What is known of a run; a damaged one says so."""
    row: dict[str, Any] = {"run": run.name, "folder": str(run.folder) if run.folder else None}
    try:
        stored, counts, best = run.stored, run.counts(), run.front()
        row |= {"state": run.state, **counts, "front": len(best), "best": None, "budget": None, "idle_s": None}
        if stored is not None:
            goals = stored.goals
            row["budget"] = stored.problem.get("budget", {}).get("candidates")
            row["objective"] = goals.objectives[0].metric
            row["best"] = min(best, key=goals.key).metrics.get(row["objective"]) if best else None
            row["idle_s"] = round(stored.idle_s, 1)
            row["strategy"] = run.searches()[0] if run.searches() else None
        return row
    except UserError as error:
        return row | {"state": "unreadable", "error": str(error)}
    finally:
        run.close()


def _table(console: Console, rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print("no runs")
        return
    run = Column("run", overflow="fold")
    table = Table(run, "state", "candidates", "feasible", "failed", "front", "best", box=None, pad_edge=False)
    for row in rows:
        state = f"[{_COLOURS.get(row['state'], 'red')}]{row['state']}[/]"
        if "error" in row:
            table.add_row(_place(row), state, row["error"])
            continue
        of = f" of {row['budget']:,}" if row["budget"] else ""
        best = "-" if row["best"] is None else f"{row['objective']} {shown(row['objective'], row['best'])}"
        counts = (f"{row['records']:,}{of}", f"{row['feasible']:,}", f"{row['failed']:,}", f"{row['front']:,}")
        table.add_row(_place(row), state, *counts, best)
    console.print(table)


def _place(row: dict[str, Any]) -> str:
    """The folder as one would type it here, or the name in the store."""
    if row["folder"] is None:
        return row["run"]
    folder = Path(row["folder"])
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
