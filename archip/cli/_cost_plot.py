"""Roofline and bars of the layers as one HTML page or one picture, for ``archip cost --plot``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archip.core.errors import UserError
from archip.core.files import write_text

if TYPE_CHECKING:
    from archip.hardware.accelerator import Accelerator

__all__ = ["Roofline", "colours", "write_plot"]

_COLOURS = ("#2f6fdf", "#e08a1e", "#2e9e6b", "#8e44ad", "#c2185b", "#607d8b", "#0b3d91", "#b00020")


def write_plot(path: Path, layers: list[dict[str, Any]], bytes_of: dict[str, float], accelerator: Accelerator) -> None:
    """Write the page or the picture.

    Args:
        path: ends in ``.html`` or ``.png``.
        layers: rows of ``archip cost``.
        bytes_of: layer → bytes of its operands, each moved once.
        accelerator: whose roof is drawn: multipliers and off-chip width, per second.

    Raises:
        UserError: another kind of file.
        MissingExtra: matplotlib, which draws pictures, is not installed.
    """
    if path.suffix == ".png":
        from archip.cli._cost_picture import write_picture

        return write_picture(path, Roofline.of(layers, bytes_of, accelerator), layers, accelerator.name)
    if path.suffix != ".html":
        right = "a name that ends in .html or .png"
        raise UserError(f"cannot draw a {path.suffix or 'file without ending'}", "--plot", right)
    from plotly.subplots import make_subplots

    costly = [row for row in layers if row["cycles"]]
    figure = make_subplots(
        rows=3, cols=1, subplot_titles=("Roofline", "Cycles", "Energy"), row_heights=[0.5, 0.25, 0.25]
    )
    _draw_roofline(figure, Roofline.of(layers, bytes_of, accelerator), colours(costly))
    _bars(figure, costly, "cycles", 1.0, 2)
    _bars(figure, costly, "energy_j", 1e6, 3)
    figure.update_xaxes(showticklabels=False, row=2, col=1)  # the names stand below the next bars
    figure.update_yaxes(title_text="cycles", row=2, col=1)
    figure.update_yaxes(title_text="energy [µJ]", row=3, col=1)
    figure.update_layout(height=1100, title=f"Layers on {accelerator.name}", font_family="system-ui, sans-serif")
    write_text(path, figure.to_html(include_plotlyjs=True, full_html=True))


@dataclass(frozen=True)
class Roofline:
    """What array and off-chip link allow, and what the layers reach.

    Attributes:
        roof: (MACs per byte, MACs per second), from left to right.
        points: layer, MACs per byte, MACs per second, what it waits for.
    """

    roof: list[tuple[float, float]]
    points: list[tuple[str, float, float, str]]

    @classmethod
    def of(cls, layers: list[dict[str, Any]], bytes_of: dict[str, float], accelerator: Accelerator) -> Roofline:
        """Of the layers that multiply."""
        clock_hz = accelerator.clock_hz
        peak, bandwidth = accelerator.n_units * clock_hz, accelerator.off_chip.width_bits[1] / 8 * clock_hz
        points = [
            (
                row["layer"],
                row["macs"] / bytes_of[row["layer"]],
                row["macs"] * clock_hz / row["cycles"],
                row["bottleneck"],
            )
            for row in layers
            if row["cycles"] and row["macs"]
        ]
        knee = peak / bandwidth
        ends = [intensity for _, intensity, _, _ in points] or [knee]
        places = sorted({min(ends) / 2, knee, max(*ends, knee) * 2})
        return cls([(x, min(peak, x * bandwidth)) for x in places], points)


def colours(layers: list[dict[str, Any]]) -> dict[str, str]:
    """One for each thing that layers wait for."""
    names = dict.fromkeys(row["bottleneck"] for row in layers)
    return {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}


def _draw_roofline(figure: Any, roofline: Roofline, colour_of: dict[str, str]) -> None:
    """Attained multiplications a second over multiplications per byte, under what array and off-chip link allow."""
    import plotly.graph_objects as go

    x, y = zip(*roofline.roof, strict=True)
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name="roof", line_color="#808895"), row=1, col=1)
    for name, colour in colour_of.items():
        chosen = [point for point in roofline.points if point[3] == name]
        figure.add_trace(
            go.Scatter(x=[p[1] for p in chosen], y=[p[2] for p in chosen], mode="markers", name=f"waits for {name}",
                       text=[p[0] for p in chosen], marker_color=colour, hovertemplate="%{text}<br>%{y:.3s} MAC/s"),
            row=1, col=1,
        )  # fmt: skip
    figure.update_xaxes(type="log", title_text="MACs per byte", row=1, col=1)
    figure.update_yaxes(type="log", title_text="MACs per second", row=1, col=1)


def _bars(figure: Any, layers: list[dict[str, Any]], key: str, factor: float, row: int) -> None:
    import plotly.graph_objects as go

    colour_of = colours(layers)
    figure.add_trace(
        go.Bar(x=[layer["layer"] for layer in layers], y=[factor * layer[key] for layer in layers], showlegend=False,
               marker_color=[colour_of[layer["bottleneck"]] for layer in layers]),
        row=row, col=1,
    )  # fmt: skip
