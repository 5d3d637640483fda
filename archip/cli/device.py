"""``archip device``: calibrate a device, show a device file, predict with it."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from archip.cli.progress import RichProgress
from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.core.units import format_quantity

__all__ = ["register"]

_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_STEADY = 0.1  # drift of the first network over a calibration
_RUNNERS = ("onnxruntime",)
_ROWS = {"expected": "expected", "low": "95 % from", "high": "to", "other_rows": "on the rows not used"}


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    device = typer.Typer(help="Calibrate a device, show a device file, predict with it.", no_args_is_help=True)
    app.add_typer(device, name="device")

    @device.command()
    def calibrate(
        out: Annotated[Path, typer.Option("--out", "-o", help="The device file to write.")],
        runner: Annotated[str, typer.Option(help="What measures: onnxruntime.")] = "onnxruntime",
        budget: Annotated[int, typer.Option(min=1, help="Measurements.")] = 50,
        threads: Annotated[int, typer.Option(min=1, help="Threads of the runner.")] = 1,
        problem: Annotated[
            Path | None, typer.Option(help="Draw networks from this problem's spaces, at its data's sizes.")
        ] = None,
        table: Annotated[Path | None, typer.Option(help="CSV of measurements, in place of a runner.")] = None,
        latency: Annotated[str | None, typer.Option(help="Column of the table that was measured.")] = None,
        unit: Annotated[str | None, typer.Option(help="Its unit: s, ms, us, ns; by default from its name.")] = None,
        features: Annotated[str | None, typer.Option(help="Columns that describe a network: a,b,c.")] = None,
        networks: Annotated[Path | None, typer.Option(help="CSV with these columns, if the table lacks them.")] = None,
        key: Annotated[str | None, typer.Option(help="Column that both tables share.")] = None,
        seed: Annotated[int, typer.Option(min=0, help="Of the networks that are drawn.")] = 0,
        as_json: Annotated[bool, typer.Option("--json", help="Error and provenance as JSON on stdout.")] = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    ) -> None:
        """Measure networks, fit a predictor, and write a portable device file with its error.

        The predictor is chosen by cross-validation, and the error is that on held-out measurements.
        Measurements are kept beside the file; the same command goes on after an interruption.

        Examples:

          archip device calibrate --runner onnxruntime --budget 50 -o my_device.yaml

          archip device calibrate --problem problem.yaml -o my_device.yaml

          archip device calibrate --table latency.csv --latency lat_ms_phone --features op0,op1,op2 -o phone.yaml
        """
        from archip.hardware.devices.fitted import write_device

        if table is None:
            contents = _measured(out, runner, budget, threads, problem, seed, quiet)
        else:
            contents = _from_table(out.stem, table, latency, unit, features, networks, key, budget, seed)
        write_device(out, contents)
        _told(contents, as_json)

    @device.command()
    def show(
        file: Annotated[Path, typer.Argument(help="A device file.")],
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Show what a device file was made from, which predictor was chosen, and its error.

        Example:

          archip device show my_device.yaml
        """
        from archip.hardware.devices.fitted import read_device

        _told(read_device(file), as_json)

    @device.command()
    def predict(
        file: Annotated[Path, typer.Argument(help="A device file.")],
        model: Annotated[Path, typer.Argument(help="An ONNX file, or a table with the columns the file knows.")],
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Predict the latency of a network, or of every row of a table (as CSV on stdout).

        Examples:

          archip device predict my_device.yaml model.onnx

          archip device predict phone.yaml networks.csv > latency.csv
        """
        from archip.hardware.devices._table import read_table

        fitted = registry.create("hardware/devices", "fitted", {"path": str(file)})
        if model.suffix == ".onnx":
            _one(fitted, model, as_json)
            return
        means, stds = (values.tolist() for values in fitted.predict_rows(read_table(model)))
        if as_json:
            typer.echo(json.dumps({"latency_s": means, "std_s": stds}))
            return
        writer = csv.writer(sys.stdout)
        writer.writerow(["latency_s", "std_s"])
        writer.writerows(zip(means, stds, strict=True))


def _measured(
    out: Path, runner: str, budget: int, threads: int, problem: Path | None, seed: int, quiet: bool
) -> dict[str, Any]:
    from archip.search.calibrate import calibrate, sources

    if runner not in _RUNNERS:
        raise UserError(f"{runner!r} measures nothing", "--runner", f"one of: {', '.join(_RUNNERS)}")
    device = registry.create("hardware/devices", runner, {"threads": threads})
    drawn_from = sources(None if problem is None else Problem.load(problem))
    log = out.with_name(f"{out.name}.measurements.jsonl")
    with RichProgress(Console(stderr=True), quiet) as progress:
        return calibrate(out.stem, device, drawn_from, budget, seed, log, progress)


def _from_table(
    name: str,
    table: Path,
    latency: str | None,
    unit: str | None,
    features: str | None,
    networks: Path | None,
    key: str | None,
    budget: int,
    seed: int,
) -> dict[str, Any]:
    from archip.hardware.devices._calibration import calibrate_table
    from archip.hardware.devices._table import joined, read_table

    if latency is None or features is None:
        raise UserError("a table needs --latency and --features", "--table", "the names of its columns")
    rows = read_table(table)
    if networks is not None:
        if key is None:
            raise UserError("two tables need --key", "--networks", "a column that both have")
        rows = joined(rows, read_table(networks), key)
    names = [part.strip() for part in features.split(",")]
    return calibrate_table(name, rows, latency, _unit_s(unit, latency), names, budget, seed)


def _unit_s(unit: str | None, column: str) -> float:
    """Seconds of a unit; the one that stands in the column's name where none is given."""
    known = [part for part in re.split(r"[^A-Za-z]+", column) if part in _UNITS]
    if unit is None and len(known) != 1:
        raise UserError(f"the unit of {column!r} is not clear", "--unit", "one of: " + ", ".join(_UNITS))
    if (unit or known[0]) not in _UNITS:
        raise UserError(f"unknown unit {unit!r}", "--unit", "one of: " + ", ".join(_UNITS))
    return _UNITS[unit or known[0]]


def _one(fitted: Any, model: Path, as_json: bool) -> None:
    from archip.hardware.devices._device import Deployed
    from archip.ir.read_onnx import read_onnx

    costs = fitted.costs([Deployed(read_onnx(str(model)))])
    if as_json:
        typer.echo(json.dumps(costs))
    else:
        typer.echo(f"{format_quantity(costs['latency_s'], 'time')} ({format_quantity(costs['memory_bytes'], 'size')})")


def _told(contents: dict[str, Any], as_json: bool) -> None:
    if as_json:
        told = {k: contents[k] for k in ("device", "made", "error", "tried") if k in contents}
        typer.echo(json.dumps(told, indent=2))
        return
    console = Console()
    console.print(f"[bold]{contents['device']}[/bold]", highlight=False)
    console.print(", ".join(f"{k} {v}" for k, v in contents["made"].items()), highlight=False, markup=False)
    if contents["made"].get("drift", 0) > _STEADY:
        console.print("[yellow]The machine was not steady[/yellow]: the same network took up to "
                      f"{100 * contents['made']['drift']:.0f} % longer or shorter; calibrate again when it is idle.",
                      highlight=False)  # fmt: skip
    error = contents["error"]
    chosen = error["chosen"]
    console.print(
        f"\n{chosen['predictor']} on {chosen['features']} features; its error on held-out measurements "
        f"({error['measurements']} measurements, cross-validated):", highlight=False,
    )  # fmt: skip
    table = Table("", "Spearman", "Kendall", "within 5 %", "within 10 %", "median error", box=None, pad_edge=False)
    for row, title in _ROWS.items():
        if row in error:
            e = error[row]
            shares = (f"{100 * e[k]:.1f} %" for k in ("within_5", "within_10", "relative"))
            table.add_row(title, f"{e['spearman']:.4f}", f"{e['kendall']:.4f}", *shares)
    console.print(table)
