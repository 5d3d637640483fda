"""An accelerator that is given: cycles, energy and area by the cost model, one layer after the other.

Choose it as the target where the chip exists: ``target: {accelerator: eyeriss_like}``, ``{accelerator: my_chip.yaml}``
or ``{accelerator: {template: {nvdla: {pes: 256, bandwidth: 16 GB/s}}}}``. `archip list templates` names the templates;
a file says what `docs/accelerators.md` lists. The area is a metric where the accelerator states one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from archip.core.errors import UserError
from archip.hardware.accelerator import Accelerator
from archip.hardware.instances import load_accelerator

__all__ = ["FixedAccelerator"]


class _Core(NamedTuple):
    """The one core, in the terms of a designed chip (`spaces/chip.py`); bandwidth in bytes/s."""

    dataflow: str
    pes: int
    bandwidth: int


@dataclass
class FixedAccelerator:
    """Answers as a chip of one core does, whatever the candidate.

    Attributes:
        name: of an accelerator that archip ships, or the path of a file.
        template: in its place, one template with its knobs.
    """

    name: str | None = None
    template: dict[str, dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.template is None) or len(self.template or "1") != 1:
            right = "eyeriss_like, a file, or {template: {nvdla: {pes: 256, …}}}"
            raise UserError("needs a name, or one template with its knobs", "name", right)
        if self.accelerator.dataflow is None:
            raise UserError(
                f"{self.accelerator.name} says nothing of its dataflow", "name", "unrollings and loop orders"
            )

    @cached_property
    def accelerator(self) -> Accelerator:
        if self.template is None:
            return load_accelerator(str(self.name))
        ((name, knobs),) = self.template.items()
        return load_accelerator(name, **knobs)

    @property
    def metrics(self) -> frozenset[str]:
        area = {"area_mm2"} if self.accelerator.area_parts else set()
        return frozenset({"latency_s", "latency_cycles", "energy_j"} | area)

    @property
    def clock_hz(self) -> float:
        return self.accelerator.clock_hz

    @property
    def technology(self) -> str:
        """Empty: what its numbers are from stands in the accelerator's own file."""
        return ""

    def design(self, genotype: Mapping[str, Any] | None) -> list[_Core]:
        a = self.accelerator
        return [_Core(a.name, a.n_units, round(a.off_chip.width_bits[1] * a.clock_hz / 8))]

    def accelerators(self, genotype: Mapping[str, Any] | None) -> list[Accelerator]:
        return [self.accelerator]
