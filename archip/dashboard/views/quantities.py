"""Quantities: names and numbers of metrics as people read them; a column or an axis has one unit, its middle's."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from archip.core.record import METRICS, metric
from archip.core.units import format_quantity, parse_quantity

__all__ = ["Scale", "dimension", "is_known", "quantity", "text", "title", "typeset"]

_SUFFIXES = ("_cycles", "_bytes", "_mm2", "_per_s", "_s", "_j")
_COUNTS = frozenset({"params", "macs"})
_NOTHING = "–"


def is_known(name: str) -> bool:
    """Whether the metric table has it, as itself or as a task's own metric."""
    return name.rsplit(".", 1)[-1] in METRICS


def dimension(name: str) -> str:
    """Dimension of a metric; a plain number where nobody says."""
    return metric(name).dimension if is_known(name) else "share"


def typeset(shown: str) -> str:
    """A quantity as it is printed: us → µs, mm2 → mm²."""
    return re.sub(r"\bu(?=[sJW]\b)", "µ", shown).replace("mm2", "mm²")


def quantity(value: float, dimension: str) -> str:
    """A value with the prefix that suits."""
    return typeset(format_quantity(value, dimension))


def title(name: str) -> str:
    """``latency_s`` → latency, ``digits.accuracy`` → digits accuracy."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return {"params": "parameters", "macs": "MACs"}.get(name, name.replace(".", " ").replace("_", " "))


def text(name: str, value: float | None) -> str:
    """One value with its unit."""
    if value is None:
        return _NOTHING
    if name in _COUNTS or dimension(name) == "cycles":
        return f"{value:,.0f}" + (" cycles" if dimension(name) == "cycles" else "")
    return f"{value:.4f}" if dimension(name) == "share" else quantity(value, dimension(name))


@dataclass(frozen=True)
class Scale:
    """The unit of a column: a value in it is ``value / factor``, shown with so many `decimals`."""

    unit: str
    factor: float
    decimals: int

    @classmethod
    def of(cls, name: str, values: Iterable[float]) -> Scale:
        """The unit in which the middle value reads well, with four digits of it."""
        known = [abs(v) for v in values if math.isfinite(v)]
        middle = median(known) if known else 0.0
        if name in _COUNTS or dimension(name) == "cycles":
            return cls("cycles" if dimension(name) == "cycles" else "", 1.0, 0)
        if dimension(name) == "share":
            return cls("", 1.0, 4)
        unit = format_quantity(middle, dimension(name)).partition(" ")[2]
        factor = parse_quantity(f"1 {unit}", dimension(name)).value
        whole = len(str(int(middle / factor)))
        return cls(typeset(unit), factor, max(0, 4 - whole))

    def text(self, value: float | None) -> str:
        return _NOTHING if value is None else f"{value / self.factor:,.{self.decimals}f}"

    def axis(self, name: str) -> str:
        """Title of an axis."""
        return f"{title(name)} [{self.unit}]" if self.unit else title(name)
