"""Roofline and bars of the layers as one HTML page, for ``archip cost --plot``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archip.core.errors import UserError
from archip.core.files import write_text

if TYPE_CHECKING:
    from archip.hardware.accelerator import Accelerator

__all__ = ["write_plot"]

_COLOURS = ("#2f6fdf", "#e08a1e", "#2e9e6b", "#8e44ad", "#c2185b", "#607d8b", "#0b3d91", "#b00020")


def write_plot(path: Path, layers: list[dict[str, Any]], bytes_of: dict[str, float], accelerator: Accelerator) -> None:
    """Write the page.

    Args:
        path: ends in ``.html``.
        layers: rows of ``archip cost``.
        bytes_of: layer → bytes of its operands, each moved once.
        accelerator: whose roof is drawn: multipliers and off-chip width, per second.

    Raises:
        UserError: another kind of file.
    """
    if path.suffix != ".html":
        raise UserError(f"cannot draw a {path.suffix or 'file without ending'}", "--plot", "a name that ends in .html")
    from plotly.subplots import make_subplots

    costly = [row for row in layers if row["cycles"]]
    figure = make_subplots(
        rows=3, cols=1, subplot_titles=("Roofline", "Cycles", "Energy"), row_heights=[0.5, 0.25, 0.25]
    )
    _roofline(figure, [row for row in costly if row["macs"]], bytes_of, accelerator)
    _bars(figure, costly, "cycles", 1.0, 2)
    _bars(figure, costly, "energy_j", 1e6, 3)
    figure.update_xaxes(showticklabels=False, row=2, col=1)  # the names stand below the next bars
    figure.update_yaxes(title_text="cycles", row=2, col=1)
    figure.update_yaxes(title_text="energy [µJ]", row=3, col=1)
    figure.update_layout(height=1100, title=f"Layers on {accelerator.name}", font_family="system-ui, sans-serif")
    write_text(path, figure.to_html(include_plotlyjs=True, full_html=True))


def _colours(layers: list[dict[str, Any]]) -> dict[str, str]:
    names = dict.fromkeys(row["bottleneck"] for row in layers)
    return {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}


def _roofline(figure: Any, layers: list[dict[str, Any]], bytes_of: dict[str, float], accelerator: Accelerator) -> None:
    """Attained multiplications a second over multiplications per byte, under what array and off-chip link allow."""
    import plotly.graph_objects as go

    peak = accelerator.n_units * accelerator.clock_hz
    bandwidth = accelerator.off_chip.width_bits[1] / 8 * accelerator.clock_hz
    points = [(row, row["macs"] / bytes_of[row["layer"]]) for row in layers]
    ends = [intensity for _, intensity in points] or [peak / bandwidth]
    roof = sorted({min(ends) / 2, peak / bandwidth, max(*ends, peak / bandwidth) * 2})
    figure.add_trace(
        go.Scatter(x=roof, y=[min(peak, x * bandwidth) for x in roof], mode="lines", name="roof", line_color="#808895"),
        row=1, col=1,
    )  # fmt: skip
    for name, colour in _colours(layers).items():
        chosen = [(row, x) for row, x in points if row["bottleneck"] == name]
        rates = [row["macs"] * accelerator.clock_hz / row["cycles"] for row, _ in chosen]
        figure.add_trace(
            go.Scatter(x=[x for _, x in chosen], y=rates, mode="markers", name=f"waits for {name}",
                       text=[row["layer"] for row, _ in chosen], marker_color=colour,
                       hovertemplate="%{text}<br>%{y:.3s} MAC/s"),
            row=1, col=1,
        )  # fmt: skip
    figure.update_xaxes(type="log", title_text="MACs per byte", row=1, col=1)
    figure.update_yaxes(type="log", title_text="MACs per second", row=1, col=1)


def _bars(figure: Any, layers: list[dict[str, Any]], key: str, factor: float, row: int) -> None:
    import plotly.graph_objects as go

    colours = _colours(layers)
    figure.add_trace(
        go.Bar(x=[layer["layer"] for layer in layers], y=[factor * layer[key] for layer in layers], showlegend=False,
               marker_color=[colours[layer["bottleneck"]] for layer in layers]),
        row=row, col=1,
    )  # fmt: skip
