"""``archip data``: which data sets are at hand, what is in one, and how to get those that are missing."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from archip.cli.progress import RichProgress
from archip.core import registry
from archip.core.errors import UserError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    data = typer.Typer(no_args_is_help=True, help="Data sets: list, show, get.")
    app.add_typer(data, name="data")

    @data.command("list")
    def list_data() -> None:
        """List the data sets, where they were found, and how to get those that are missing.

        Example:

          archip data list
        """
        from archip.data._cache import available

        table = Table("name", "found", "how to get it", box=None, pad_edge=False)
        for row in available():
            table.add_row(row.name, row.where or "-", escape(row.how))
        Console().print(table)

    @data.command("show")
    def show(
        name: Annotated[
            str, typer.Argument(help="A data set.", autocompletion=lambda incomplete: registry.names("data"))
        ],
        options: Annotated[list[str] | None, typer.Option("--set", help="option=value, as in a problem file.")] = None,
    ) -> None:
        """Read a data set and say what is in it.

        Examples:

          archip data show digits

          archip data show npz --set path=mine.npz --set val=0.1
        """
        typer.echo(registry.create("data", name, _options(options or [])).load().describe())

    @data.command("get")
    def get(
        name: Annotated[str, typer.Argument(help="A data set with an official source.")],
    ) -> None:
        """Download a data set from its official source, check it, and keep it in the cache folder.

        Example:

          archip data get fashion_mnist
        """
        from archip.data._cache import fetch

        console = Console(stderr=True)
        with RichProgress(console, quiet=False) as progress:
            folder = fetch(name, progress)
        console.print(f"{name}: {folder}", highlight=False)


def _options(pairs: list[str]) -> dict[str, object]:
    """``option=value`` pairs, the values read as YAML."""
    options = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise UserError(f"{pair!r} is not option=value", "--set", "e.g. --set val=0.1")
        try:
            options[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            options[key] = value
    return options
