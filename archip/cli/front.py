"""``archip front``: the best candidates of a run, while it goes on or afterwards."""

from __future__ import annotations

import csv
import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from archip.cli._runs import JsonFlag, RunName, StoreUrl, opened, shown
from archip.core.errors import UserError, nearest
from archip.core.record import Record
from archip.search.runs import Run

__all__ = ["register"]

_COLUMNS = 7  # metrics that fit beside each other


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def front(
        run: RunName,
        search: Annotated[
            str | None, typer.Option(help="Another search of the run, e.g. 'baseline random_search'.")
        ] = None,
        store: StoreUrl = None,
        as_json: JsonFlag = False,
        as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout.")] = False,
    ) -> None:
        """Show the candidates that keep all limits and that no other one beats in every objective, the best first.

        Examples:

          archip front runs/two_tasks

          archip front runs/two_tasks --csv > front.csv

          archip front two_tasks --store postgresql://me@db.example/archip --json
        """
        if as_json and as_csv:
            raise UserError("--json and --csv are given together", right="choose one of them")
        found = opened(run, store)
        try:
            _checked(found, search)
            records = _ordered(found, search)
            metrics = _metrics(found, records)
        finally:
            found.close()
        if as_json:
            typer.echo(json.dumps([{"id": r.candidate.id, **r.to_json()} for r in records], indent=2))
        elif as_csv:
            _csv(records, metrics)
        else:
            _table(Console(), records, metrics)


def _checked(run: Run, search: str | None) -> None:
    known = run.searches()
    if search is not None and search not in known:
        raise UserError(f"the run has no search {search!r}", "--search", nearest(search, known))


def _ordered(run: Run, search: str | None) -> list[Record]:
    stored, records = run.stored, run.front(search)
    return sorted(records, key=stored.goals.key) if stored else records


def _metrics(run: Run, records: list[Record]) -> list[str]:
    """Objectives first, then what has a limit, then the rest."""
    stored = run.stored
    named = [] if stored is None else [o.metric for o in stored.goals.objectives] + [
        limit.metric for limit in stored.goals.limits
    ]  # fmt: skip
    return list(dict.fromkeys([*named, *(name for r in records for name in r.metrics)]))


def _csv(records: list[Record], metrics: list[str]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(["candidate", "number", *metrics, "genotypes"])
    for r in records:
        values: list[Any] = [r.metrics.get(name, "") for name in metrics]
        writer.writerow([r.candidate.id, r.number, *values, json.dumps(r.candidate.to_json())])


def _table(console: Console, records: list[Record], metrics: list[str]) -> None:
    if not records:
        console.print("no candidate keeps all limits yet")
        return
    some = metrics[:_COLUMNS]
    table = Table("candidate", "number", *some, box=None, pad_edge=False)
    for r in records:
        table.add_row(r.candidate.id, f"{r.number:,}", *(shown(name, r.metrics.get(name)) for name in some))
    console.print(table)
