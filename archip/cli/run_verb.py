"""``archip run``: the main job, with progress on stderr and a closing table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from archip.cli.progress import RichProgress
from archip.core.problem import Problem
from archip.core.record import metric
from archip.core.targets import load_problems
from archip.core.units import format_quantity

if TYPE_CHECKING:
    from archip.search.run import Result

__all__ = ["register", "run_and_show"]

_NOT_FEASIBLE = 3


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command("run")
    def run(
        file: Annotated[Path, typer.Argument(help="A problem file; archip init writes one.")],
        out: Annotated[
            str | None, typer.Option("--out", "-o", help="The run's folder, or a URL of one. [default: runs/NAME]")
        ] = None,
        seed: Annotated[int | None, typer.Option(min=0, help="In place of the problem's seed.")] = None,
        store: Annotated[
            str | None,
            typer.Option(help="Keep the records there, not in the folder: a path or postgresql://user@host/db."),
        ] = None,
        workers: Annotated[
            str | None, typer.Option(help="Where evaluations run: a number of processes, ray, or ray://HOST:PORT.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    ) -> None:
        """Search, train, export and report. Run the same command again to continue an interrupted run.

        Exit codes: 0 done, 2 the input cannot be used, 3 no candidate keeps all limits, 130 interrupted.

        Examples:

          archip run examples/two_tasks.yaml

          archip run problem.yaml --out runs/second --seed 1

          archip run problem.yaml --store postgresql://me@db.example/archip

          archip run examples/many_targets.yaml

          archip run problem.yaml --workers 4

          archip run problem.yaml --json > summary.json
        """
        problems = load_problems(file)
        if seed is not None:
            problems = {name: replace(problem, seed=seed) for name, problem in problems.items()}
        if workers is not None:
            problems = {name: problem.run_by(workers) for name, problem in problems.items()}
        if "" not in problems:
            _run_targets(problems, out, store, as_json, quiet)
            return
        problem = problems[""]
        run_and_show(problem if store is None else problem.kept_in(store), out, as_json, quiet)


def run_and_show(problem: Problem, out: str | Path | None, as_json: bool, quiet: bool) -> None:
    """Run a problem with progress, show what came out, and end with the exit code that says so."""
    from archip.search.run import run as search_and_finish

    with RichProgress(Console(stderr=True), quiet) as progress:
        result = search_and_finish(problem, out, progress)
    if as_json:
        typer.echo(json.dumps(result.summary, indent=2))
    else:
        _closing(Console(), result)
    if not result.summary["feasible"]:
        raise typer.Exit(_NOT_FEASIBLE)


def _run_targets(problems: dict[str, Problem], out: str | None, store: str | None, as_json: bool, quiet: bool) -> None:
    """Run every target of a problem, and show the answers side by side."""
    from archip.search.many_targets import run_targets

    with RichProgress(Console(stderr=True), quiet) as progress:
        results = run_targets(problems, out, progress, store)
    if as_json:
        typer.echo(json.dumps({"targets": {name: result.summary for name, result in results.items()}}, indent=2))
    else:
        _target_table(Console(), results)
    if not all(result.summary["feasible"] for result in results.values()):
        raise typer.Exit(_NOT_FEASIBLE)


def _target_table(console: Console, results: dict[str, Result]) -> None:
    table = Table("target", "test", "limits", "seconds", "report", box=None, pad_edge=False)
    for target, result in results.items():
        summary = result.summary
        test = ", ".join(f"{name} {task['value']:.4f}" for name, task in summary["tasks"].items())
        limits = ", ".join(f"{r['name']} {r['value_text']} of {r['limit_text']}" for r in summary["limits"])
        shown = (test, limits) if summary["feasible"] else ("[red]no candidate keeps all limits[/red]", "")
        table.add_row(target, *shown, f"{summary['seconds']:.1f}", str(result.folder / "report.html"))
    console.print(table)


def _closing(console: Console, result: Result) -> None:
    """What came out, for people."""
    summary = result.summary
    if not summary["feasible"]:
        _nothing_feasible(console, summary)
    else:
        _limit_table(console, summary["limits"])
        if summary.get("table"):
            _answer_table(console, summary["table"])
        else:
            _task_table(console, summary["tasks"])
        if summary["chip"]:
            _chip_table(console, summary["chip"])
        if summary["device"]:
            _device_table(console, summary["device"])
        for name, files in summary["artifacts"].items():
            shown = files if isinstance(files, str) else ", ".join(files.values())
            console.print(f"  {name}: {shown}", highlight=False)
    counts, stages = summary["candidates"], summary["stages"]
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in stages.items())
    console.print(
        f"\n{counts['evaluated']} candidates evaluated, {counts['failed']} failed, {counts['cached']} cached; "
        f"{summary['seconds']:.0f} s ({times})",
        highlight=False,
    )
    console.print(f"report: {result.folder / 'report.html'}", highlight=False)


def _limit_table(console: Console, limits: list[dict[str, Any]]) -> None:
    if not limits:
        return
    table = Table("limit", "value", "bound", "", box=None, pad_edge=False)
    for row in limits:
        verdict = "[green]kept[/green]" if row["ok"] else "[red]broken[/red]"
        table.add_row(row["name"], row["value_text"], row["limit_text"], verdict)
    console.print(table, "")


def _task_table(console: Console, tasks: dict[str, dict[str, Any]]) -> None:
    table = Table(
        "task", "metric", "test", "validation", "baseline", "parameters", "ONNX Runtime", box=None, pad_edge=False
    )
    for name, t in tasks.items():
        measured = format_quantity(t["onnx"]["latency_s"], "time")
        row = (
            t["metric"],
            f"{t['value']:.4f}",
            f"{t['val']:.4f}",
            f"{t['baseline']:.4f}",
            f"{t['params']:,}",
            measured,
        )
        table.add_row(name, *row)
    console.print(table, "")


def _answer_table(console: Console, found: dict[str, Any]) -> None:
    table = Table(found["full"], *found["tests"], "costs", "network", box=None, pad_edge=False)
    for row in found["finalists"]:
        table.add_row(row["full"], *row["tests"], row["costs"], " ".join(map(str, row["genotype"].values())))
    console.print(table, "")
    console.print(
        f"best of the table within the limits: {found['optimum_text']} ({found['tests'][0]}); "
        f"{found['better']} of {found['rows']:,} networks have a better {found['full']}\n",
        highlight=False,
    )


def _chip_table(console: Console, chip: dict[str, Any]) -> None:
    table = Table("core", "dataflow", "PEs", "bandwidth", "area", box=None, pad_edge=False)
    for i, core in enumerate(chip["cores"]):
        bandwidth = format_quantity(core["bandwidth_bytes_per_s"], "bandwidth")
        table.add_row(str(i), core["dataflow"], str(core["pes"]), bandwidth, format_quantity(core["area_mm2"], "area"))
    console.print(table, "")


def _device_table(console: Console, device: dict[str, Any]) -> None:
    table = Table(device["about"]["device"], "predicted", "measured", box=None, pad_edge=False)
    for row in device["rows"]:
        table.add_row(row["metric"], row["predicted_text"], row["measured_text"])
    console.print(table)
    console.print(device["note"] + "\n", highlight=False)


def _nothing_feasible(console: Console, summary: dict[str, Any]) -> None:
    found = summary["binding"]
    console.print("[red]No candidate keeps all limits.[/red]")
    if found["limit"]:
        console.print(f"The limit that binds: {found['limit']}", highlight=False)
    if found["nearest"]:
        metrics = found["nearest"]["metrics"]
        text = ", ".join(f"{k} {format_quantity(v, metric(k).dimension)}" for k, v in metrics.items())
        console.print(f"The nearest candidate has {text}", highlight=False)
