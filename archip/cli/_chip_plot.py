"""The chips that were found as one HTML page, for ``archip chip --plot``: latency, energy and area, cores on hover."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archip.core.errors import UserError
from archip.core.files import write_text
from archip.core.units import format_quantity

if TYPE_CHECKING:
    from archip.hardware.chip.explore import ChipResult, FoundChip

__all__ = ["check_plot_name", "write_chip_plot"]

_COLOURS = (
    "#2f6fdf",
    "#e08a1e",
    "#2e9e6b",
    "#8e44ad",
    "#c2185b",
    "#607d8b",
    "#0b3d91",
    "#b00020",
    "#5d6d00",
    "#00838f",
)
_MOST_IN_SPACE = 20_000  # points that a browser turns smoothly


def check_plot_name(path: Path) -> None:
    """Refuse a name before the search begins.

    Raises:
        UserError: another kind of file.
    """
    if path.suffix != ".html":
        raise UserError(f"cannot draw a {path.suffix or 'file without ending'}", "--plot", "a name that ends in .html")


def write_chip_plot(path: Path, result: ChipResult, proof: str) -> None:
    """Write the page: all points by latency and energy with the area as colour, and in space by their dataflows.

    Args:
        proof: what the certificate says, in words.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    chips = sorted({_key(chip): chip for chip in result.front}.values(), key=lambda chip: chip.area_mm2)
    kinds = [[{"type": "xy"}], [{"type": "scene"}]]
    titles = ("Latency and energy, the area as colour", "Latency, energy and area by dataflows")
    figure = make_subplots(rows=2, cols=1, specs=kinds, row_heights=[0.45, 0.55], subplot_titles=titles)
    area = {"color": [c.area_mm2 for c in chips], "colorscale": "Viridis", "showscale": True, "size": 6}
    area["colorbar"] = {"title": "mm²", "len": 0.42, "y": 0.79}
    figure.add_trace(_trace(go.Scattergl, chips, {"name": "chips", "marker": area, "showlegend": False}), row=1, col=1)
    shown = chips[:: -(-len(chips) // _MOST_IN_SPACE) or 1]
    for i, kind in enumerate(dict.fromkeys(_dataflows(chip) for chip in chips)):
        of_kind = [chip for chip in shown if _dataflows(chip) == kind]
        marker = {"size": 3, "color": _COLOURS[i % len(_COLOURS)]}
        options = {"name": kind, "marker": marker, "z": [chip.area_mm2 for chip in of_kind]}
        figure.add_trace(_trace(go.Scatter3d, of_kind, options), row=2, col=1)
    figure.update_xaxes(title_text="latency [cycles]", type="log", row=1, col=1)
    figure.update_yaxes(title_text="energy [J]", type="log", row=1, col=1)
    axes = {"xaxis": "latency [cycles]", "yaxis": "energy [J]", "zaxis": "area [mm²]"}
    figure.update_scenes({axis: {"title": {"text": text}, "type": "log"} for axis, text in axes.items()})
    title = f"{len(result.front):,} chips that no other one meets or beats" if result.minimise is None else "Best chip"
    subtitle = proof.replace("\n", "<br>")
    figure.update_layout(
        height=1300, title={"text": f"{title}<br><sub>{subtitle}</sub>"}, margin={"t": 130}, font_family="system-ui"
    )
    write_text(path, figure.to_html(include_plotlyjs=True, full_html=True))


def _key(chip: FoundChip) -> tuple[float, float, float]:
    return chip.latency_cycles, chip.energy_j, chip.area_mm2


def _dataflows(chip: FoundChip) -> str:
    return " + ".join(sorted(str(core["dataflow"]) for core in chip.cores))


def _trace(kind: Any, chips: Sequence[FoundChip], options: dict[str, Any]) -> Any:
    """Points by latency and energy; on hover the cores with their layers, and the metrics."""
    return kind(
        x=[chip.latency_cycles for chip in chips],
        y=[chip.energy_j for chip in chips],
        mode="markers",
        text=[_hover(chip) for chip in chips],
        hovertemplate="%{text}<extra></extra>",
        **options,
    )


def _hover(chip: FoundChip) -> str:
    """Metrics, and a line for each core: what it is and how many layers it runs."""
    rows = [
        f"{chip.latency_cycles:,} cycles",
        f"{format_quantity(chip.energy_j, 'energy')}, {format_quantity(chip.area_mm2, 'area')}",
    ]
    for i, core in enumerate(chip.cores):
        width = format_quantity(core["bandwidth"], "bandwidth")
        rows.append(f"{core['dataflow']}, {core['pes']} PEs, {width}: {chip.assignment.count(i)} layers")
    return "<br>".join(rows)
