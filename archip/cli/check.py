"""``archip check`` and ``archip schema``: a problem file examined without running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from archip.core.problem_schema import json_schema
from archip.core.targets import load_problems

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""

    @app.command()
    def check(
        file: Annotated[Path, typer.Argument(help="A problem file.")],
        as_json: Annotated[bool, typer.Option("--json", help="JSON instead of YAML.")] = False,
        data: Annotated[bool, typer.Option(help="Also read the data sets and see that they suit the networks.")] = True,
    ) -> None:
        """Check a problem file and print it with all defaults filled in.

        Examples:

          archip check problem.yaml

          archip check problem.yaml --no-data --json
        """
        problems = load_problems(file)
        if data:
            from archip.search.setup import make_tasks

            make_tasks(next(iter(problems.values())))  # all targets have the same
        if as_json:
            values = {name: problem.to_json() for name, problem in problems.items()}
            typer.echo(json.dumps(values.get("", values), indent=2))
        else:
            typer.echo("---\n".join(problem.to_yaml() for problem in problems.values()), nl=False)

    @app.command()
    def schema() -> None:
        """Print the JSON Schema of problem files, for editors that complete and check YAML.

        Example:

          archip schema > problem.schema.json
        """
        typer.echo(json.dumps(json_schema(), indent=2))
