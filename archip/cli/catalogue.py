"""``archip list`` and ``archip show``: which methods there are, and what one of them does."""

from __future__ import annotations

import inspect
import json
import sys
from importlib.resources import files
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from archip.core import registry
from archip.core.errors import UserError, nearest

__all__ = ["register"]


_ACCELERATORS = "accelerators"  # shipped as YAML, so no kind of the registry


def _complete_kind(incomplete: str) -> list[str]:
    kinds = [*(full.rsplit("/", 1)[-1] for full in registry.KINDS), _ACCELERATORS]
    return [kind for kind in kinds if kind.startswith(incomplete)]


def _complete_name(incomplete: str) -> list[str]:
    return sorted({n for kind in registry.KINDS for n in registry.names(kind) if n.startswith(incomplete)})


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""

    @app.command("list")
    def list_methods(
        kind: Annotated[str | None, typer.Argument(help="A kind of method.", autocompletion=_complete_kind)] = None,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """List the kinds of methods, or the methods of one kind.

        Examples:

          archip list

          archip list strategies

          archip list accelerators
        """
        if kind is None:
            rows = {k.rsplit("/", 1)[-1]: f"{about} ({len(registry.names(k))})" for k, about in registry.KINDS.items()}
            rows[_ACCELERATORS] = f"shipped accelerators ({len(_accelerators())})"
        elif kind == _ACCELERATORS:
            rows = _accelerators()
        else:
            rows = {name: registry.describe(kind, name) for name in registry.names(kind)}
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
            return
        table = Table("name", "what it is", box=None, pad_edge=False)
        for name, about in rows.items():
            table.add_row(name, escape(about))
        Console().print(table)

    @app.command("show")
    def show(
        name: Annotated[str, typer.Argument(help="A method.", autocompletion=_complete_name)],
        kind: Annotated[str | None, typer.Option(help="Its kind, where two kinds share the name.")] = None,
    ) -> None:
        """Show what a method does, when to choose it, its source and its options.

        Examples:

          archip show nsga2

          archip show cost --kind evaluators
        """
        if name in _accelerators() and kind in (None, _ACCELERATORS):
            typer.echo((files("archip.hardware.accelerators") / f"{name}.yaml").read_text(encoding="utf-8"))
            return
        kinds = [k for k in ([kind] if kind else registry.KINDS) if name in registry.names(k)]
        if not kinds:
            raise UserError(f"there is no method {name!r}", right=nearest(name, _complete_name("")))
        console = Console()
        for found in kinds:
            _show_one(console, found, name)


def _accelerators() -> dict[str, str]:
    from archip.hardware.instances import describe_instance, instance_names

    return {name: describe_instance(name) for name in instance_names()}


def _show_one(console: Console, kind: str, name: str) -> None:
    cls = registry.find(kind, name)
    module = sys.modules[cls.__module__]
    text = inspect.getdoc(module) or ""
    console.print(f"[bold]{name}[/bold] ({kind})\n")
    console.print(text, markup=False, highlight=False)
    rows = registry.option_table(cls)
    if rows:
        table = Table("option", "type", "default", box=None, pad_edge=False, title="\nOptions", title_justify="left")
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
