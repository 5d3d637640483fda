"""``archip compare``: runs side by side."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from archip.cli._runs import JsonFlag, StoreUrl, complete_run, opened, shown
from archip.core.errors import UserError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def compare(
        runs: Annotated[list[str], typer.Argument(help="Folders of runs, or names.", autocompletion=complete_run)],
        baselines: Annotated[bool, typer.Option("--baselines", help="The baselines of each run as well.")] = False,
        store: StoreUrl = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Compare runs with the same objectives and limits: hypervolume, best value, candidates, time.

        Hypervolumes are shares of the box from the best values of all fronts to one reference point a tenth behind the
        worst, so they compare within one call. Runs that differ in their seed only are repeats; methods with repeats
        are compared by the Mann-Whitney test with Holm's correction.

        Examples:

          archip compare runs/first runs/second

          archip compare runs/* --baselines --json
        """
        from archip.search.compare_runs import compare_runs, searches_of

        found = []
        for name in dict.fromkeys(runs):
            run = opened(name, store)
            try:
                found += searches_of(run, baselines)
            finally:
                run.close()
        if len(found) < 2:
            raise UserError("one search alone compares with nothing", right="name several runs, or --baselines")
        result = compare_runs(found)
        if as_json:
            typer.echo(json.dumps(result, indent=2))
        else:
            _show(Console(), result)


def _show(console: Console, result: dict[str, Any]) -> None:
    first = result["objectives"][0]
    columns = ("run", "method", "seed", "candidates", "feasible", "front", f"best {first}", "hypervolume", "seconds")
    table = Table(*columns, box=None, pad_edge=False)
    for row in result["rows"]:
        counts = (f"{row['records']:,}", f"{row['feasible']:,}", f"{row['front']:,}")
        seconds = "-" if row["seconds"] is None else f"{row['seconds']:,.0f}"
        values = (shown(first, row["best"]), f"{row['hypervolume']:.4f}", seconds)
        table.add_row(row["run"], row["method"], str(row["seed"]), *counts, *values)
    console.print(table)
    if result["reference"]:
        at = zip(result["objectives"], result["reference"], strict=True)
        console.print("reference: " + ", ".join(f"{name} {shown(name, value)}" for name, value in at), highlight=False)
    for test in result["tests"]:
        (a, b), (n, m) = test["methods"], test["repeats"]
        console.print(
            f"{test['quantity']}: {a} ({n}) is better than {b} ({m}) with chance {test['chance_better']:.2f}, "
            f"p = {test['p_corrected']:.3g}",
            highlight=False,
        )
