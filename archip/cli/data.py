"""``archip data``: which data sets and benchmark tables are at hand, what is in one, and how to get missing ones."""

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
        from archip.data._cache import available, find_file
        from archip.data._table_spec import read_spec, table_names

        table = Table("name", "found", "how to get it", box=None, pad_edge=False)
        for row in available():
            table.add_row(row.name, row.where or "-", escape(row.how))
        Console().print(table)
        tables = Table("benchmark table", "found", "official data", box=None, pad_edge=False)
        for name in table_names():
            spec, _ = read_spec(name)
            tables.add_row(name, str(find_file(spec.file) or "-"), escape(spec.official))
        Console().print(tables)

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
        name: Annotated[str, typer.Argument(help="A data set with an official source, or a table.")],
    ) -> None:
        """Download a data set from its official source, check it, and keep it in the cache folder.

        Example:

          archip data get fashion_mnist
        """
        from archip.data._cache import fetch, find_file, folders
        from archip.data._table_spec import read_spec, table_names

        if name in table_names():
            spec, _ = read_spec(name)
            place = find_file(spec.file)
            if place is None:
                what = f"the table {name} has no address to fetch {spec.file} from"
                raise UserError(what, right=f"official data: {spec.official}; put the file into {folders()[0]}")
            typer.echo(f"{name}: {place}")
            return
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
