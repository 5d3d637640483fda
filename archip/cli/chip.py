"""``archip chip``: the best chip for networks that are fixed, or all chips that matter, with a proof."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from archip.cli._chip_plot import check_plot_name, write_chip_plot
from archip.cli.progress import RichProgress
from archip.core.errors import UserError
from archip.core.files import make_folder, write_text
from archip.core.units import format_quantity

if TYPE_CHECKING:
    from archip.hardware.chip.explore import ChipResult, FoundChip
    from archip.hardware.chip.space import ChipSpec
    from archip.ir.workload import Workload

__all__ = ["register"]

_NOT_FEASIBLE = 3
_INTERRUPTED = 130
_SHOWN = 20  # points of a Pareto set on the screen


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def chip(
        models: Annotated[
            list[str],
            typer.Argument(
                help="ONNX files, layer tables (a.csv or a.csv:NETWORK), or SPACE:GENES@CxHxW.", metavar="MODEL"
            ),
        ],
        spec: Annotated[
            Path | None, typer.Option(help="YAML file: what may be built. [default: NASAIC's space]")
        ] = None,
        limits: Annotated[str, typer.Option(help='E.g. "latency=8e5 cycles,energy=2 mJ,area=4 mm2".')] = "",
        minimise: Annotated[
            Literal["energy", "latency", "area"] | None,
            typer.Option(help="What the best chip has least of. [default: energy]"),
        ] = None,
        front: Annotated[bool, typer.Option("--front", help="The whole Pareto set in place of the best chip.")] = False,
        cost_model: Annotated[
            Literal["maestro", "loopnest"] | None, typer.Option(help="In place of the spec's. [default: maestro]")
        ] = None,
        graph: Annotated[
            Literal["chain", "dag"] | None,
            typer.Option(help="dag: branches may run side by side. In place of the spec's. [default: chain]"),
        ] = None,
        dram: Annotated[
            str | None, typer.Option(help="Bandwidth that all cores share, e.g. '16 GB/s'. In place of the spec's.")
        ] = None,
        tolerance: Annotated[
            float, typer.Option(min=0, help="Share within which --front need not be exact (dag, dram, free mapping).")
        ] = 0.0,
        time_limit: Annotated[
            float | None,
            typer.Option(
                min=0, help="Seconds; then the best found and the proven gap. Costs are priced first, and kept."
            ),
        ] = None,
        threads: Annotated[int, typer.Option(min=1, help="For the Pareto set.")] = 2,
        classes: Annotated[
            bool, typer.Option("--classes", help="Also the best chip of each class: one core, twins, one dataflow.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
        out: Annotated[
            Path | None, typer.Option("--out", "-o", help="Folder for result, chip, schedule and report.")
        ] = None,
        plot: Annotated[
            Path | None, typer.Option(help="Write the chips as an HTML page: metrics, cores on hover.")
        ] = None,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    ) -> None:
        """Find the best chip for networks that are fixed, proven, or the exact Pareto set of latency, energy and area.

        Cost tables are kept in the user's cache folder: an interrupted or repeated command prices nothing twice.
        Exit codes: 0 done, 2 the input cannot be used, 3 no chip keeps all limits, 130 interrupted.

        Examples:

          archip chip a.onnx b.onnx --spec examples/chip.yaml --limits "latency=2 ms,area=500 mm2"

          archip chip layers.csv:resnet18 --cost-model loopnest --minimise latency --limits "area=4 mm2"

          archip chip resnet9:32,128,2,256,2,256,2@3x32x32 unet:5,16,32,64,128,256@3x96x96 --front --plot front.html
        """
        from archip.search.chip import cache_folder, load_spec, read_networks
        from archip.search.chip import chip as find_chip

        if plot is not None:
            check_plot_name(plot)
        if front and minimise is not None:
            raise UserError("the Pareto set has the least of everything", "--minimise", "either --front or --minimise")
        networks, space = read_networks(models), load_spec(spec, cost_model, graph, dram)
        try:
            with RichProgress(Console(stderr=True), quiet or not front) as progress:
                bar = _Bar(progress)
                result = find_chip(
                    networks,
                    space,
                    limits,
                    minimise=None if front else minimise or "energy",
                    time_limit_s=math.inf if time_limit is None else time_limit,
                    threads=threads,
                    cache=cache_folder(),
                    advanced=bar.advanced,
                    classes=classes,
                    tolerance=tolerance,
                )
        except KeyboardInterrupt:
            typer.echo("interrupted; costs that were computed are kept, the same command goes on from them", err=True)
            raise typer.Exit(_INTERRUPTED) from None
        if plot is not None and result.front:
            write_chip_plot(plot, result, _proof(result))
        if out is not None:
            _write(out, result, networks, space)
        if as_json:
            typer.echo(json.dumps(result.as_json()))
        else:
            _show(Console(), result)
            _show_classes(Console(), result)
        if not result.front:
            raise typer.Exit(_NOT_FEASIBLE)


class _Bar:
    """Chips done, on a progress bar that begins when their number is known."""

    def __init__(self, progress: RichProgress) -> None:
        self.progress, self.handle, self.done = progress, None, 0

    def advanced(self, done: int, total: int) -> None:
        if self.handle is None:
            self.handle = self.progress.start("chips that the cheap bounds leave", total)
        self.progress.advance(self.handle, done - self.done)
        self.done = done


def _write(folder: Path, result: ChipResult, networks: Mapping[str, Workload], space: ChipSpec) -> None:
    """``result.json``, and the report of the best chip (of a Pareto set: the first point) with its files."""
    make_folder(folder)
    write_text(folder / "result.json", json.dumps(result.as_json()) + "\n")
    if result.front:
        from archip.export.chip_report import ChipReport

        ChipReport().write(folder, networks, space, result.front[0], _proof(result))


def _show(console: Console, result: ChipResult) -> None:
    if not result.front:
        _show_why_not(console, result)
    else:
        step = max(1, math.ceil(len(result.front) / _SHOWN))
        _show_chips(console, {str(i): chip for i, chip in enumerate(result.front) if i % step == 0})
        if step > 1:
            console.print(f"every {step}th of {len(result.front):,} points by area; --json has all", highlight=False)
    console.print("\n" + _proof(result), highlight=False)


def _show_classes(console: Console, result: ChipResult) -> None:
    """The best chip of each class for each metric, and what the wider classes are worth."""
    for metric, of_class in result.classes.items():
        console.print(f"\nLeast {metric} of each class:")
        names = {kind: kind.replace("_", " ") for kind in of_class}
        _show_chips(console, {names[kind]: best.chip for kind, best in of_class.items() if best.chip is not None})
        for kind, best in of_class.items():
            if best.chip is None:
                why = "the space has none" if best.certificate is None else "none within the limits"
                console.print(f"{names[kind]}: {why}", highlight=False)
            elif best.certificate is not None and best.certificate.gap != 0:
                gap = best.certificate.gap
                known = "unknown" if gap is None else f"at most {100 * gap:.2g} %"
                console.print(f"{names[kind]}: not proven, gap {known}", highlight=False)
        shares = ", ".join(
            f"without {name.replace('_', ' ')} {100 * share:+.3g} %"
            if share
            else f"{name.replace('_', ' ')} save nothing"
            for name, share in result.worth[metric].items()
            if share is not None
        )
        console.print(shares, highlight=False)


def _proof(result: ChipResult) -> str:
    """What became of all chips, and how good the answer is for certain."""
    told = result.certificate
    pruned = ", ".join(f"{name} {count:,}" for name, count in told.pruned.items() if count)
    text = f"{told.enumerated:,} chips: excluded by {pruned or 'nothing'}; solved {told.solved:,}"
    if told.n_open:
        gap = "unknown" if told.gap is None else f"at most {100 * told.gap:.2g} %"
        return f"{text}\n{told.n_open:,} chips are open; gap {gap}"
    if told.gap:
        return f"{text}\nproven within {100 * told.gap:.2g} % in {result.seconds:.2g} s"
    return f"{text}\nproven optimal in {result.seconds:.2g} s" if result.front else text


def _show_chips(console: Console, chips: dict[str, FoundChip]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("", "latency", "energy", "area", "cores: dataflow, PEs, bandwidth"):
        table.add_column(title, justify="left" if title in ("", "cores: dataflow, PEs, bandwidth") else "right")
    for name, chip in chips.items():
        metrics = (
            f"{chip.latency_cycles:,} cycles",
            format_quantity(chip.energy_j, "energy"),
            format_quantity(chip.area_mm2, "area"),
        )
        table.add_row(name, *metrics, "; ".join(_core(core) for core in chip.cores))
    console.print(table)


def _core(core: dict[str, Any]) -> str:
    text = f"{core['dataflow']}, {core['pes']}, {format_quantity(core['bandwidth'], 'bandwidth')}"
    return text if core["buffers"] == 1 else f"{text}, buffers x {core['buffers']:g}"


def _show_why_not(console: Console, result: ChipResult) -> None:
    if result.last_bound is None:
        console.print("No chip was found in the time given. Costs are kept: the same command begins behind them.")
        return
    console.print(f"No chip keeps all limits; the last ones were excluded by: {result.last_bound}.", highlight=False)
    chips = {f"least {metric}": chip for metric, chip in result.nearest.items() if chip is not None}
    if chips:
        console.print("The chip nearest to each limit, within the other ones:")
        _show_chips(console, chips)
    for metric in (name for name, chip in result.nearest.items() if chip is None):
        console.print(f"Without the limit on {metric} nothing is feasible either.", highlight=False)
    if result.alone:
        console.print("The least of these of any chip, whatever the other limits:")
        _show_chips(console, {f"least {metric}": chip for metric, chip in result.alone.items()})
