"""Quantities with units: text such as ``2 mJ`` or ``64 GB/s`` to SI numbers and back.

Inside archip every number is SI without prefixes (mm² for area is the one exception). KB, MB, GB are
1024-based for sizes (``256 KB`` of SRAM) and 1000-based in bandwidths (``64 GB/s``), as data sheets use them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from archip.core.errors import UserError, nearest

__all__ = ["Quantity", "format_quantity", "parse_quantity"]

_PREFIX = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def _prefixed(symbol: str, prefixes: str) -> dict[str, float]:
    return {symbol: 1.0} | {p + symbol: _PREFIX[p] for p in prefixes}


# dimension -> unit text -> factor to the dimension's base unit (the first key with factor 1)
_UNITS: dict[str, dict[str, float]] = {
    "time": _prefixed("s", "pnuµm") | {"min": 60.0, "h": 3600.0},
    "energy": _prefixed("J", "pnuµmk"),
    "power": _prefixed("W", "nuµmk"),
    "area": {"mm2": 1.0, "mm²": 1.0, "um2": 1e-6, "µm²": 1e-6, "cm2": 100.0, "cm²": 100.0},
    "cycles": {"cycles": 1.0, "cycle": 1.0} | {p + "cycles": _PREFIX[p] for p in "kMG"},
    "frequency": _prefixed("Hz", "kMGT"),
    "size": {
        "B": 1.0,
        "KB": 1024.0,
        "KiB": 1024.0,
        "MB": 1024.0**2,
        "MiB": 1024.0**2,
        "GB": 1024.0**3,
        "GiB": 1024.0**3,
    },
    "bandwidth": {"B/s": 1.0, "KB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12},
    "share": {"": 1.0, "%": 0.01},
}
_DIMENSION_OF = {unit: dimension for dimension, units in _UNITS.items() for unit in units}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*$")
_DISPLAY = {
    "time": ("s", "ms", "us", "ns"),
    "energy": ("J", "mJ", "uJ", "nJ", "pJ"),
    "power": ("W", "mW", "uW"),
    "area": ("mm2",),
    "cycles": ("cycles",),
    "frequency": ("GHz", "MHz", "kHz", "Hz"),
    "size": ("GB", "MB", "KB", "B"),
    "bandwidth": ("TB/s", "GB/s", "MB/s", "KB/s", "B/s"),
    "share": ("",),
}


@dataclass(frozen=True)
class Quantity:
    """A value in the base unit of its dimension (s, J, W, mm², cycles, Hz, B, B/s, or a plain share)."""

    value: float
    dimension: str

    def __str__(self) -> str:
        return format_quantity(self.value, self.dimension)


def parse_quantity(text: object, *dimensions: str) -> Quantity:
    """Read ``2 mJ``, ``8e5 cycles``, ``0.9``; the unit must belong to one of `dimensions` (any, if none is named).

    Raises:
        UserError: not a number with a unit, an unknown unit, or a unit of another dimension.
    """
    allowed = dimensions or tuple(_UNITS)
    examples = {"time": "5 ms", "energy": "2 mJ", "power": "100 mW", "area": "4 mm2", "cycles": "8e5 cycles",
                "frequency": "1 GHz", "size": "256 KB", "bandwidth": "64 GB/s", "share": "0.9"}  # fmt: skip
    right = "write e.g. " + " or ".join(examples[d] for d in allowed)
    match = _NUMBER.match(str(text))
    if match is None or isinstance(text, bool):
        raise UserError(f"{text!r} is not a quantity", right=right)
    number, unit = float(match[1]), match[2].replace("\u03bc", "\u00b5")  # Greek mu → micro sign
    if not math.isfinite(number):
        raise UserError(f"{text!r} is not finite", right=right)
    dimension = _DIMENSION_OF.get(unit)
    if dimension is None:
        known = [u for d in allowed for u in _UNITS[d]]
        raise UserError(f"unknown unit {unit!r} in {text!r}", right=nearest(unit, known))
    if dimension not in allowed:
        named = "has no unit" if unit == "" else f"is a quantity of {dimension}"
        raise UserError(f"{text!r} {named}, not of {' or '.join(allowed)}", right=right)
    return Quantity(number * _UNITS[dimension][unit], dimension)


def format_quantity(value: float, dimension: str) -> str:
    """Text with a prefix that suits: ``format_quantity(0.002, "energy") == "2 mJ"``."""
    units = _UNITS[dimension]
    if not math.isfinite(value):
        return f"{value}"
    for unit in _DISPLAY[dimension]:
        if abs(value) >= units[unit] * 0.9995:
            break
    else:
        unit = _DISPLAY[dimension][-1] if value else _DISPLAY[dimension][0]
    return f"{value / units[unit]:.4g} {unit}".rstrip()
