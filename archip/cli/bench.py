"""``archip bench``: strategies compared on a table whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from archip.cli.progress import RichProgress
from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem import Plug
from archip.core.record import metric
from archip.core.units import parse_quantity

__all__ = ["register"]

_DEFAULT = ("auto", "random_search", "local_search", "regularized_evolution")
_MARKS = (50, 100, 200, 500, 1000)


def _complete_table(incomplete: str) -> list[str]:
    from archip.data._table_spec import table_names

    return [name for name in table_names() if name.startswith(incomplete)]


def _complete_strategy(incomplete: str) -> list[str]:
    return [name for name in registry.names("strategies") if name.startswith(incomplete)]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def bench(
        table: Annotated[
            str | None,
            typer.Argument(help="A table, or a YAML file that declares one.", autocompletion=_complete_table),
        ] = None,
        strategy: Annotated[
            list[str] | None,
            typer.Argument(help="Names, or 'name: {option: value}'.", autocompletion=_complete_strategy),
        ] = None,
        seeds: Annotated[int, typer.Option(min=1, help="Searches of each strategy.")] = 100,
        budget: Annotated[int | None, typer.Option(min=1, help="Queries of a search (200, or by --seconds).")] = None,
        data: Annotated[Path | None, typer.Option(help="Folder with the table's files.")] = None,
        protocol: Annotated[str, typer.Option(help="full: full training is shown; early: the short one is.")] = "full",
        metric: Annotated[str | None, typer.Option(help="What is searched for, by default the table's first.")] = None,
        limit: Annotated[list[str] | None, typer.Option(help="METRIC=bound with unit, e.g. 'latency=5 ms'.")] = None,
        seconds: Annotated[float | None, typer.Option(min=0, help="Simulated training time of a search.")] = None,
        promote: Annotated[
            int, typer.Option(min=1, help="early: train so many of the best in full, paid with queries.")
        ] = 1,
        batch: Annotated[int, typer.Option(min=1, help="Candidates asked for at once.")] = 1,
        merge: Annotated[bool, typer.Option(help="Rows that are the same network are one query.")] = True,
        jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
        out: Annotated[Path | None, typer.Option(help="Folder for report.html, report.md and curves.json.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Compare strategies on a table: regret and test value by queries, with random and local search beside them.

        Without a table, the known ones are listed.

        Examples:

          archip bench nb201 regularized_evolution --seeds 100 --budget 200 --data tables/

          archip bench nb201 'nsga2: {population: 20}' --protocol early --out report/

          archip bench nb201 --limit "latency=5 ms" --json

          archip bench my_table.yaml random_search local_search
        """
        from archip.search._bench_report import as_json as to_json
        from archip.search._bench_report import write_report
        from archip.search.bench import Bench, run_bench, setting

        if table is None:
            _list_tables()
            return
        if protocol not in ("full", "early"):
            raise UserError(f"unknown protocol {protocol!r}", "--protocol", "full or early")
        if promote > 1 and protocol != "early":
            raise UserError("only the early protocol promotes", "--promote", "--protocol early")
        folder = None if data is None else str(data)
        chosen = Bench(
            table=table, data=folder, metric=metric, protocol=protocol,
            budget=budget or (200 if seconds is None else 5000), limits=_limits(table, folder, limit or []),
            seconds=seconds, promote=promote, batch=batch, merge=merge,
        )  # fmt: skip
        strategies = _strategies(strategy or [])
        here = setting(chosen)
        console = Console(stderr=True)
        with RichProgress(console, quiet=as_json and not console.is_terminal) as progress:
            handle = progress.start(f"{here.table.name}, {protocol}", seeds * len(strategies))
            found = run_bench(chosen, strategies, seeds, jobs, lambda n: progress.advance(handle, n))
            progress.finish(handle)
        marks = sorted({q for q in _MARKS if q < chosen.budget} | {chosen.budget})[-4:]
        if out is not None:
            write_report(out, here, found, marks)
        if as_json:
            typer.echo(json.dumps(to_json(here, found)))
        else:
            _show(Console(), here, found, marks)


def _list_tables() -> None:
    from archip.data._table_spec import read_spec, table_names

    shown = Table("table", "what it is", "searches", box=None, pad_edge=False)
    for name in table_names():
        spec, _ = read_spec(name)
        shown.add_row(name, spec.title, ", ".join(spec.searches))
    Console().print(shown)


def _limits(table: str, data: str | None, texts: list[str]) -> tuple[tuple[str, float], ...]:
    """(metric of the table, bound in SI units) of each ``name=bound``."""
    from archip.data._table import load_table

    limits = []
    for text in texts:
        name, sign, bound = text.partition("=")
        if not sign:
            raise UserError(f"{text!r} is no limit", "--limit", "METRIC=bound, e.g. 'latency=5 ms'")
        full = load_table(table, data).metric_name(name.strip())
        limits.append((full, parse_quantity(bound, metric(full).dimension).value))
    return tuple(limits)


def _strategies(texts: list[str]) -> dict[str, Plug]:
    """Name → strategy with options; random and local search are always among them, two of one name get numbers."""
    from archip.search._bench_report import BASELINES

    plugs = [_plug(text) for text in texts or _DEFAULT]
    plugs += [Plug(name) for name in BASELINES if name not in [p.name for p in plugs]]
    strategies: dict[str, Plug] = {}
    for plug in plugs:
        registry.create("strategies", plug.name, plug.options)
        name = plug.name
        while name in strategies:
            name = f"{plug.name} {sum(n.startswith(plug.name) for n in strategies) + 1}"
        strategies[name] = plug
    return strategies


def _plug(text: str) -> Plug:
    """``name``, ``name: {option: value}`` or ``{name: {option: value}}``."""
    name, colon, options = text.partition(":")
    try:
        value: Any = yaml.safe_load(text if not colon or text.startswith("{") else f"{name}: {options}")
        return Plug.of(value)
    except (yaml.YAMLError, ValueError):
        raise UserError(f"{text!r} is not a strategy", "STRATEGY", "name, or 'name: {option: value}'") from None


def _show(console: Console, here: Any, found: Any, marks: list[int]) -> None:
    from archip.search._bench_report import markdown

    lines = markdown(here, found, marks).splitlines()[2:]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    shown = Table(box=None, pad_edge=False)
    for i, title in enumerate(cells[0]):
        shown.add_column(title, justify="right" if i else "left", no_wrap=True)
    for row in cells[1:]:
        shown.add_row(*row)
    if not console.is_terminal:
        console = Console(width=max(console.width, 200))
    for line in lines:
        if line.startswith("| strategy"):
            console.print(shown)
        elif line and not line.startswith("|"):
            console.print(line, markup=False, highlight=False)
