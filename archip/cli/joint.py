"""``archip joint``: every network of a table on every chip of a space, and what nothing beats; exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from archip.cli.progress import RichProgress
from archip.core.errors import UserError
from archip.core.units import format_quantity

if TYPE_CHECKING:
    from archip.search.joint_front import JointFront, JointPoint

__all__ = ["register"]

_NOT_FEASIBLE = 3
_DIMENSIONS = {"latency": ("cycles", "time"), "energy": ("energy",), "area": ("area",)}
_BOUND_OF = {"cycles": "latency_cycles", "time": "latency_s", "energy": "energy_j", "area": "area_mm2"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def joint(
        table: Annotated[str, typer.Argument(help="A table whose networks can be built, or a YAML file of one.")],
        spec: Annotated[
            Path | None, typer.Option(help="YAML file: what may be built. [default: NASAIC's space]")
        ] = None,
        metric: Annotated[str | None, typer.Option(help="A search of the table. [default: its first]")] = None,
        limits: Annotated[str, typer.Option(help='E.g. "latency=2e6 cycles,energy=0.2 mJ,area=20 mm2".')] = "",
        tolerance: Annotated[
            float, typer.Option(min=0, help="Share of energy within which points may stand for each other; 0 is exact.")
        ] = 0.0,
        data: Annotated[Path | None, typer.Option(help="Folder with the table's files.")] = None,
        out: Annotated[
            Path | None, typer.Option("--out", "-o", help="File of the front. [default: in the user's cache]")
        ] = None,
        rebuild: Annotated[bool, typer.Option("--rebuild", help="Also where the file is there already.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    ) -> None:
        """Find the exact front of accuracy, latency, energy and area over all networks of a table and all chips.

        The front is kept as a file; the same question is answered from it. Exit codes: 0 done, 2 the input cannot be
        used, 3 no network has a chip that keeps all limits.

        Examples:

          archip joint nb201 --limits "latency=1.5e6 cycles,energy=0.2 mJ,area=15 mm2"

          archip joint nb201 --metric in16 --spec examples/chip.yaml --out in16.npz

          archip joint my_table.yaml --data tables/ --json
        """
        from archip.search.chip import load_spec
        from archip.search.joint import answers, front_file, joint_front
        from archip.search.joint_front import load_joint
        from archip.spaces.tabular import Tabular

        bounds = _bounds(limits)
        chips, space = load_spec(spec), Tabular(table, None if data is None else str(data))
        path = out or front_file(space, metric, chips, tolerance)
        if rebuild or not path.exists():
            with RichProgress(Console(stderr=True), quiet) as progress:
                found = joint_front(space, metric, chips, tolerance, progress)
            found.save(path)
        else:
            found = load_joint(path)
            if not answers(found, space, metric, chips, tolerance):
                raise UserError("answers another question", str(path), "--rebuild, or another --out")
        best = found.best(bounds)
        if as_json:
            told = {"file": str(path), "about": found.about, "limits": bounds, "best": _told(space, best)}
            typer.echo(json.dumps(told))
        else:
            _show(Console(), found, path, bounds, space)
        if best is None:
            raise typer.Exit(_NOT_FEASIBLE)


def _bounds(text: str) -> dict[str, float]:
    """Metric with its unit → bound in that unit, from ``latency=2e6 cycles,area=20 mm2``."""
    from archip.core.units import parse_quantity

    bounds: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, amount = (piece.strip() for piece in part.partition("="))
        if not sign or name not in _DIMENSIONS:
            raise UserError(f"{part!r} is no limit", "--limits", "latency=..., energy=... or area=..., with unit")
        try:
            quantity = parse_quantity(amount, *_DIMENSIONS[name])
        except UserError as error:
            raise error.at(f"--limits {name}") from None
        if quantity.value <= 0:
            raise UserError(f"{amount!r} allows nothing", f"--limits {name}", "a positive quantity")
        bound = _BOUND_OF[quantity.dimension]
        if bound in bounds:
            raise UserError(f"{name} is limited twice", "--limits")
        bounds[bound] = quantity.value
    return bounds


def _told(space: Any, point: JointPoint | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {**vars(point), "cores": [core._asdict() for core in point.cores], "network": space.genotype(point.row)}


def _show(console: Console, found: JointFront, path: Path, bounds: dict[str, float], space: Any) -> None:
    """For each accuracy within the limits the chip of least energy, then the whole in numbers."""
    import numpy as np

    kept = np.flatnonzero(found.within(bounds))
    if len(kept):
        console.print("Within the limits, the chip of least energy for each accuracy:")
        console.print(_table(found, kept))
        network = space.genotype(int(found.row_N[kept[0]]))
        console.print(f"The most accurate network: {network}", highlight=False, markup=False)
    else:
        console.print("No network of the table has a chip of this space that keeps all limits; that is proven.")
    about = found.about
    console.print(
        f"{about['networks']:,} networks are {about['profiles']:,} kinds by their layers; {about['relevant']:,} matter,"
        f" on {about['chips']:,} chips: {len(found):,} points in {about['seconds']} s, in {path}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _table(found: JointFront, kept: Any) -> Table:
    import numpy as np

    shown = Table(box=None, pad_edge=False)
    for title in (found.about["metric"], "latency", "energy", "area", "cores"):
        shown.add_column(title, no_wrap=title != "cores")
    scores = found.score_N[kept]
    for score in np.unique(scores)[::-1]:
        rows = kept[scores == score]
        point = found.point(int(rows[np.argmin(found.energy_N[rows])]))
        shown.add_row(
            f"{point.score:.5g}",
            f"{point.latency_cycles:,} cycles",
            format_quantity(point.energy_j, "energy"),
            f"{point.area_mm2:.3f} mm2",
            " + ".join(f"{c.dataflow} {c.pes} PEs {c.bandwidth / 1e9:g} GB/s" for c in point.cores),
        )
    return shown
