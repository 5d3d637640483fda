"""What the cores of a chip divide between them: processing elements and bandwidth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from archip.core.errors import UserError
from archip.core.units import parse_quantity

__all__ = ["Bandwidth", "PEs", "quantity"]

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class PEs:
    """Processing elements: the total of all cores, the step between designs, the least of a core (default: a step)."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    total: Count = 4096
    step: Count = 32
    min: Count | None = None


@dataclass(frozen=True)
class Bandwidth:
    """Bandwidth to the shared memory, as text with its unit: total, step, and least of a core (default: a step)."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    total: str = "64 GB/s"
    step: str = "8 GB/s"
    min: str | None = None


def quantity(text: str, where: str, dimension: str) -> float:
    """A quantity with its unit as SI; an error names `where`."""
    try:
        return parse_quantity(text, dimension).value
    except UserError as error:
        raise error.at(where) from None
