"""``archip resume``: an interrupted run goes on from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archip.cli._runs import JsonFlag, StoreUrl, complete_run
from archip.cli.run_verb import run_and_show
from archip.core.problem import Problem
from archip.search.runs import open_run

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def resume(
        run: Annotated[Path, typer.Argument(help="A run's folder.", autocompletion=complete_run)],
        store: StoreUrl = None,
        as_json: JsonFlag = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    ) -> None:
        """Continue a run where it stopped, with the problem that its folder holds.

        The same as archip run with the same problem file and --out: nothing that is stored is evaluated again. Of a
        store whose password was in the URL, the folder does not know the password: set PGPASSWORD or give --store.

        Examples:

          archip resume runs/two_tasks
        """
        found = open_run(run)
        assert found.folder is not None
        problem = Problem.load(found.folder / "problem.yaml")
        run_and_show(problem if store is None else problem.kept_in(store), found.folder, as_json, quiet)
