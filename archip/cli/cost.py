"""``archip cost``: cycles, energy and bottleneck of every layer of a network on an accelerator."""

from __future__ import annotations

import csv
import importlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from archip.core import registry
from archip.core.errors import UserError
from archip.core.files import write_text
from archip.core.units import format_quantity, parse_quantity

if TYPE_CHECKING:
    from archip.ir.workload import Workload

__all__ = ["register"]

_COLUMNS: tuple[str, ...] = ("layer", "kind", "macs", "params", "cycles", "energy_j", "utilisation", "bottleneck")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def cost(
        model: Annotated[
            str, typer.Argument(help="An ONNX file, a layer table (.csv), or a torch module: package.module:name.")
        ],
        on: Annotated[
            str, typer.Option(help="Accelerator template.", autocompletion=lambda: registry.names("templates"))
        ],
        pes: Annotated[int, typer.Option(min=1, help="Processing elements.")] = 256,
        bandwidth: Annotated[str, typer.Option(help="To the off-chip memory.")] = "16 GB/s",
        clock: Annotated[str, typer.Option(help="Frequency.")] = "1 GHz",
        node: Annotated[str, typer.Option(help="Technology table: nm65 or nm45.")] = "nm65",
        shapes: Annotated[
            list[str] | None, typer.Option("--input", help="NAME=1x3x224x224, where the file leaves it open.")
        ] = None,
        network: Annotated[str | None, typer.Option(help="Only this network of a layer table.")] = None,
        weight_bits: Annotated[int, typer.Option(min=1, max=8)] = 8,
        activation_bits: Annotated[int, typer.Option(min=1, max=8)] = 8,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
        csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the layers as CSV.")] = None,
    ) -> None:
        """Price every layer of a network on an accelerator, each with its best mapping; layers run one after the other.

        Examples:

          archip cost model.onnx --on nvdla --pes 1024 --bandwidth "32 GB/s"

          archip cost model.onnx --on eyeriss --input image=1x3x320x320 --json

          archip cost layers.csv --network resnet18 --on shidiannao --csv costs.csv

          archip cost mypackage.nets:resnet --on nvdla --input 0=1x3x224x224
        """
        knobs = {
            "pes": pes,
            "bandwidth": _parsed(bandwidth, "--bandwidth", "bandwidth"),
            "clock_hz": _parsed(clock, "--clock", "frequency"),
            "node": node,
        }
        accelerator = registry.create("hardware/templates", on, knobs).accelerator()
        work = _read(model, _shapes(shapes or []), network, weight_bits, activation_bits)
        result = _priced(work, accelerator, knobs["clock_hz"])
        if csv_file is not None:
            _write_csv(csv_file, result["layers"])
        if as_json:
            typer.echo(json.dumps(result, indent=2))
        else:
            _show(Console(), result, accelerator.area_mm2)


def _parsed(text: str, option: str, dimension: str) -> float:
    try:
        return parse_quantity(text, dimension).value
    except UserError as error:
        raise error.at(option) from None


def _shapes(texts: list[str]) -> dict[str, int | tuple[int, ...]]:
    """``NAME=1x3x224x224`` texts as input → shape; ``NAME=1`` as the size of a dimension that the file names."""
    shapes: dict[str, int | tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.partition("=")
        try:
            shape = tuple(int(size) for size in sizes.lower().split("x"))
        except ValueError:
            raise UserError(f"{text!r} is not NAME=1x3x224x224", "--input") from None
        shapes[name] = shape[0] if len(shape) == 1 else shape
    return shapes


def _read(
    model: str, shapes: dict[str, int | tuple[int, ...]], network: str | None, weight_bits: int, activation_bits: int
) -> Workload:
    from archip.ir.workload import workload

    if network is not None and not model.endswith(".csv"):
        raise UserError("only layer tables hold several networks", "--network")
    if model.endswith(".csv"):
        from archip.ir.layer_table import from_table

        return from_table(model, network, weight_bits, activation_bits)
    if ":" in model and not Path(model).exists():
        return workload(_torch_graph(model, shapes), weight_bits, activation_bits)
    from archip.ir.read_onnx import read_onnx

    return workload(read_onnx(model, shapes), weight_bits, activation_bits)


def _torch_graph(path: str, shapes: dict[str, int | tuple[int, ...]]) -> Any:
    """The graph of ``package.module:name``, a torch module or something that makes one when called."""
    module_name, _, name = path.partition(":")
    if not shapes:
        raise UserError("a torch module does not say what it takes", path, "--input 0=1x3x224x224, one for each input")
    sys.path.insert(0, "")
    try:
        made = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"cannot be imported: {error}", path, "package.module:name") from None
    import torch

    from archip.ir.read_torch import read_torch

    module = made if isinstance(made, torch.nn.Module) else made()
    return read_torch(module, [torch.zeros(shape) for shape in shapes.values()])


def _priced(work: Workload, accelerator: Any, clock_hz: float) -> dict[str, Any]:
    """Layers and totals as JSON; refuses networks with a layer that the accelerator cannot map."""
    from archip.hardware.cost import layer_costs

    costs = layer_costs(work, [accelerator])
    layers = []
    for i, name in enumerate(work.names):
        if not costs.feasible_AL[0, i]:
            raise UserError(f"layer {name} cannot be mapped: {costs.reason(0, i)}", accelerator.name)
        numbers = (int(work.macs_L[i]), int(work.params_L[i]), int(costs.cycles_AL[0, i]), float(costs.energy_AL[0, i]))
        row = (name, work.kinds[i], *numbers, float(costs.utilisation_AL[0, i]), str(costs.bottleneck_AL[0, i]))
        layers.append(dict(zip(_COLUMNS, row, strict=True)))
    total = {key: sum(row[key] for row in layers) for key in ("macs", "params", "cycles", "energy_j")}
    return {"total": total | {"latency_s": total["cycles"] / clock_hz}, "layers": layers, "unsupported": []}


def _write_csv(path: Path, layers: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(layers)
    write_text(path, text.getvalue())


def _show(console: Console, result: dict[str, Any], area_mm2: float) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("layer", "MACs", "cycles", "energy", "utilisation", "bottleneck"):
        table.add_column(title, justify="left" if title in ("layer", "bottleneck") else "right")
    for row in result["layers"]:
        if row["cycles"] or row["energy_j"]:
            numbers = (f"{row['macs']:,}", f"{row['cycles']:,}", format_quantity(row["energy_j"], "energy"))
            table.add_row(escape(row["layer"]), *numbers, f"{100 * row['utilisation']:.0f} %", row["bottleneck"])
    console.print(table)
    total = result["total"]
    time = format_quantity(total["latency_s"], "time")
    energy = format_quantity(total["energy_j"], "energy")
    console.print(
        f"\n{total['macs']:,} MACs, {total['params']:,} parameters; {total['cycles']:,} cycles ({time}), {energy}, "
        f"{format_quantity(area_mm2, 'area')}",
        highlight=False,
    )
