"""``archip import``: what was evaluated elsewhere, into a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from archip.cli._runs import JsonFlag, StoreUrl, complete_run, opened
from archip.core.errors import UserError
from archip.core.store_url import without_password

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command("import")
    def import_records(
        file: Annotated[str, typer.Argument(help="A CSV file of records, or the URL of an Optuna storage.")],
        into: Annotated[
            str, typer.Option(help="The run's folder; with --store its name.", autocompletion=complete_run)
        ],
        study: Annotated[str | None, typer.Option(help="Of the storage, where it has several.")] = None,
        metrics: Annotated[
            str | None, typer.Option(help="What the study's values are: a,b. [default: the run's objectives]")
        ] = None,
        store: StoreUrl = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Add evaluated candidates to a run, as a search of their own with its front, marked with their source.

        A CSV file has the columns of archip export --records, or a column for each gene (net.TASK/GENE, hw/GENE), and
        metrics in SI units. Nothing enters twice, and nothing at all if one line cannot be used.

        Examples:

          archip import measured.csv --into runs/two_tasks

          archip import sqlite:///study.db --study cells --metrics quality,latency_s --into runs/two_tasks
        """
        from archip.search.import_records import add_records, read_csv, read_optuna

        run = opened(into, store)
        try:
            if "://" in file:
                names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
                name, records = read_optuna(run.problem, file, study, names)
                source = f"study {name} of {without_password(file)}"
            elif study is not None or metrics is not None:
                raise UserError("--study and --metrics are for Optuna", right="name the storage as sqlite:///FILE")
            else:
                name, records = Path(file).stem, read_csv(run.problem, Path(file))
                source = str(Path(file).resolve())
            n_new = add_records(run, name, records, source)
        finally:
            run.close()
        if as_json:
            typer.echo(json.dumps({"search": f"import {name}", "read": len(records), "new": n_new}))
        else:
            typer.echo(f"{n_new:,} of {len(records):,} records are new, in the search 'import {name}'")
