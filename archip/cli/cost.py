"""``archip cost``: cycles, energy and bottleneck of every layer of a network on an accelerator."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from archip.cli import _cost_loopnest, _cost_peers
from archip.cli._cost_model import Source, read_model
from archip.core import registry
from archip.core.errors import UserError
from archip.core.files import write_text
from archip.core.units import format_quantity

__all__ = ["register"]

Model = Literal["loopnest", "maestro", "systolic"]
# The options that each model takes; any other one that is given is refused rather than ignored.
_TAKES = {
    "loopnest": {
        "on",
        "pes",
        "bandwidth",
        "clock",
        "node",
        "objective",
        "plot",
        "density",
        "mapper",
        "mappings",
        "device",
    },
    "maestro": {"dataflow", "pes", "cluster", "noc", "offchip", "corrected"},
    "systolic": {"dataflow", "array", "sram", "corrected"},
}


def _complete_accelerator(incomplete: str) -> list[str]:
    return [name for name in _cost_loopnest.accelerator_names() if name.startswith(incomplete)]


def _complete_mapper(incomplete: str) -> list[str]:
    return [name for name in registry.names("mappers") if name.startswith(incomplete)]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def cost(
        model: Annotated[
            str, typer.Argument(help="An ONNX file, a layer table (.csv), or a torch module: package.module:name.")
        ],
        on: Annotated[
            str | None,
            typer.Option(
                help="Accelerator: a template, a shipped instance (archip list accelerators), or a YAML file.",
                autocompletion=_complete_accelerator,
            ),
        ] = None,
        cost_model: Annotated[Model, typer.Option("--model", help="Cost model.")] = "loopnest",
        shapes: Annotated[
            list[str] | None, typer.Option("--input", help="NAME=1x3x224x224, where the file leaves it open.")
        ] = None,
        values: Annotated[
            list[str] | None, typer.Option("--value", help="NAME=16000: decides conditions on an input of the file.")
        ] = None,
        network: Annotated[str | None, typer.Option(help="Only this network of a layer table.")] = None,
        weight_bits: Annotated[int, typer.Option(min=1, max=64, help="Where the model states none.")] = 8,
        activation_bits: Annotated[int, typer.Option(min=1, max=64, help="Where the model states none.")] = 8,
        density: Annotated[
            list[str] | None,
            typer.Option(help="Share of the weights that are not zero: 0.5 of all layers, or LAYER=0.5 of one."),
        ] = None,
        pes: Annotated[int | None, typer.Option(min=1, help="Processing elements, of a template or maestro.")] = None,
        bandwidth: Annotated[str | None, typer.Option(help="Template: to the off-chip memory, e.g. 16 GB/s.")] = None,
        clock: Annotated[str | None, typer.Option(help="Template: frequency, e.g. 1 GHz.")] = None,
        node: Annotated[str | None, typer.Option(help="Template: nm65, nm45, nm28, nm16 or nm7.")] = None,
        objective: Annotated[
            str | None, typer.Option(help="Best mapping by cycles, energy or edp; by default cycles.")
        ] = None,
        mapper: Annotated[
            str | None,
            typer.Option(
                help="What finds the mappings (archip list mappers); by default exhaustive.",
                autocompletion=_complete_mapper,
            ),
        ] = None,
        mappings: Annotated[
            int | None, typer.Option(min=1, help="Mappings of each layer that a sampling mapper costs.")
        ] = None,
        device: Annotated[
            str | None, typer.Option(help="Cost random mappings in torch there: cpu, cuda or cuda:0.")
        ] = None,
        dataflow: Annotated[
            str | None, typer.Option(help="maestro: kcp_ws, yxp_os, rs, ykp_os, xp_ws; systolic: ws, os, is.")
        ] = None,
        cluster: Annotated[int | None, typer.Option(min=1, help="maestro: PEs in a cluster.")] = None,
        noc: Annotated[int | None, typer.Option(min=1, help="maestro: elements a cycle on the NoC.")] = None,
        offchip: Annotated[int | None, typer.Option(min=1, help="maestro: elements a cycle off the chip.")] = None,
        array: Annotated[str | None, typer.Option(help="systolic: rows x columns, e.g. 32x32.")] = None,
        sram: Annotated[str | None, typer.Option(help="systolic: KiB of inputs, filters, outputs: 64,64,64.")] = None,
        corrected: Annotated[
            bool | None, typer.Option("--corrected", help="maestro, systolic: mend the tool's faults.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
        csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the layers as CSV.")] = None,
        plot: Annotated[
            Path | None, typer.Option(help="Draw roofline and bars of the layers: a .html page or a .png picture.")
        ] = None,
    ) -> None:
        """Price every layer of a network on an accelerator, each with its best mapping; layers run one after the other.

        Operators that archip cannot cost are named and left out of the totals.

        Examples:

          archip cost model.onnx --on nvdla --pes 1024 --bandwidth "32 GB/s"

          archip cost model.onnx --on eyeriss_like --input image=1x3x320x320 --json --plot costs.html

          archip cost layers.csv --network resnet18 --on my_accelerator.yaml --csv costs.csv

          archip cost model.onnx --on examples/my_accelerator.yaml --density 0.5 --plot costs.png

          archip cost model.onnx --on tpu_like --device cuda --mappings 1000000

          archip cost mypackage.nets:resnet --on nvdla --input 0=1x3x224x224

          archip cost layers.csv --model maestro --dataflow kcp_ws --pes 256 --cluster 64 --noc 64 --csv maestro.csv

          archip cost layers.csv --model systolic --dataflow ws --array 32x32
        """
        options = {
            "on": on, "pes": pes, "bandwidth": bandwidth, "clock": clock, "node": node, "objective": objective,
            "dataflow": dataflow, "cluster": cluster, "noc": noc, "offchip": offchip, "array": array, "sram": sram,
            "corrected": corrected, "plot": plot, "density": density or None, "mapper": mapper, "mappings": mappings,
            "device": device,
        }  # fmt: skip
        given = _for_model(cost_model, {k: v for k, v in options.items() if v is not None})
        source = Source(model, tuple(shapes or ()), tuple(values or ()), network, weight_bits, activation_bits)
        read = read_model(source)
        if cost_model == "loopnest":
            result = _cost_loopnest.priced(read, given)
        else:
            result = _cost_peers.priced(cost_model, read, given)
        if csv_file is not None:
            _write_csv(csv_file, result["layers"])
        if as_json:
            typer.echo(json.dumps({k: result[k] for k in ("total", "layers", "unsupported")}, indent=2))
        else:
            _show(Console(), result)


def _for_model(model: Model, given: dict[str, Any]) -> dict[str, Any]:
    """The options, none of which this model would ignore."""
    for name in given:
        if name not in _TAKES[model]:
            takers = " or ".join(f"--model {m}" for m, names in _TAKES.items() if name in names)
            raise UserError(f"--{name} means nothing to {model}", f"--{name}", takers)
    if model == "loopnest" and "on" not in given:
        templates = ", ".join(registry.names("templates"))
        raise UserError("no accelerator is named", "--on", f"one of {templates}, an instance, or a YAML file")
    return given


def _write_csv(path: Path, layers: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(layers[0]) if layers else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(layers)
    write_text(path, text.getvalue())


def _show(console: Console, result: Mapping[str, Any]) -> None:
    """The columns that a screen has room for, the totals, and what was left out."""
    table = Table(box=None, pad_edge=False)
    for title, shown in result["shown"].items():
        table.add_column(title, justify="left" if isinstance(shown, str) and shown in _TEXTS else "right")
    for row in result["layers"]:
        if any(row.get(key) for key in ("cycles", "energy_j", "runtime_cycles", "total_cycles")):
            table.add_row(*(_cell(key, row[key]) for key in result["shown"].values()))
    console.print(table)
    total = result["total"]
    parts = [f"{total['macs']:,} MACs, {total['params']:,} parameters; {total['cycles']:,} cycles"]
    if total["latency_s"] is not None:
        parts[0] += f" ({format_quantity(total['latency_s'], 'time')})"
    if total["energy_j"] is not None:
        parts.append(format_quantity(total["energy_j"], "energy"))
    if result.get("area_mm2"):
        parts.append(format_quantity(result["area_mm2"], "area"))
    console.print("\n" + ", ".join(parts), highlight=False)
    for entry in result["unsupported"]:
        text = f"not costed: {entry['node']} ({entry['operator']}): {entry['reason']}"
        console.print(text, style="yellow", markup=False, highlight=False)


_TEXTS = ("layer", "bottleneck", "dataflow")


def _cell(key: str, value: Any) -> str:
    if key == "energy_j":
        return format_quantity(value, "energy")
    if key == "utilisation":
        return f"{100 * value:.0f} %"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
