"""Roofline and bars of the layers as one PNG picture, for ``archip cost --plot costs.png``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archip.cli._cost_plot import Roofline, colours
from archip.core.errors import MissingExtra
from archip.core.files import replacing

__all__ = ["write_picture"]

_MOST_NAMES = 60  # more names of layers than that cannot be read under the bars


def write_picture(path: Path, roofline: Roofline, layers: list[dict[str, Any]], accelerator: str) -> None:
    """Write the picture.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "plot", "a picture of the costs") from None
    costly = [row for row in layers if row["cycles"]]
    colour_of = colours(costly)
    figure = Figure(figsize=(10, 12), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, height_ratios=[2, 1, 1])
    figure.suptitle(f"Layers on {accelerator}")
    x, y = zip(*roofline.roof, strict=True)
    top.loglog(x, y, color="#808895", label="roof")
    for name, colour in colour_of.items():
        chosen = [point for point in roofline.points if point[3] == name]
        top.plot([p[1] for p in chosen], [p[2] for p in chosen], "o", color=colour, label=f"waits for {name}")
    top.set(title="Roofline", xlabel="MACs per byte", ylabel="MACs per second")
    top.legend()
    places, tints = range(len(costly)), [colour_of[row["bottleneck"]] for row in costly]
    middle.bar(places, [row["cycles"] for row in costly], color=tints)
    middle.set(title="Cycles", ylabel="cycles", xticks=[])
    bottom.bar(places, [1e6 * row["energy_j"] for row in costly], color=tints)
    bottom.set(title="Energy", ylabel="energy [µJ]", xticks=[])
    if len(costly) <= _MOST_NAMES:
        bottom.set_xticks(places, [row["layer"] for row in costly], rotation=90, fontsize=7)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)
