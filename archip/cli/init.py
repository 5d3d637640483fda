"""``archip init``: writes a commented problem file to start from."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Annotated

import typer

from archip.core.errors import UserError, nearest

__all__ = ["register"]

_PLACES = (Path(__file__).parents[2] / "examples", Path(sysconfig.get_path("data")) / "share/archip/examples")


def _examples() -> dict[str, Path]:
    """Example name → file, from the checkout or from where the wheel put them."""
    return {p.stem: p for place in reversed(_PLACES) for p in sorted(place.glob("*.yaml"))}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def init(
        file: Annotated[Path, typer.Argument(help="Where to write; - for stdout.")] = Path("problem.yaml"),
        example: Annotated[
            str, typer.Option(help="Which example.", autocompletion=lambda incomplete: sorted(_examples()))
        ] = "two_tasks",
        force: Annotated[bool, typer.Option(help="Overwrite the file if it exists.")] = False,
    ) -> None:
        """Write a commented problem file to start from.

        Examples:

          archip init

          archip init mine.yaml --example one_task
        """
        found = _examples()
        if example not in found:
            raise UserError(f"there is no example {example!r}", "--example", nearest(example, found))
        text = found[example].read_text(encoding="utf-8")
        if str(file) == "-":
            typer.echo(text, nl=False)
            return
        if file.exists() and not force:
            raise UserError("the file exists", str(file), "choose another name, or --force")
        file.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {file}; next: archip check {file}", err=True)
