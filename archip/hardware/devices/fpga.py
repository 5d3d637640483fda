"""FPGA: an array of engines that is divided anew for every candidate, in the way that makes its networks fastest.

Choose it as the target, ``target: {device: {fpga: {dsps: 360, clock: 200 MHz}}}``, where networks are searched together
with the accelerator that is built for them. One engine for each kind of layer (k x k, pointwise, depthwise) serves the
layers of all networks of a candidate, one after the other; an integer program gives each its parallel factors within
the DSP slices, LUTs and block RAMs. `strategies/hao.py` is the search that was published with it; any other works, too.
Source: Dong et al. 2021, arXiv:2104.12766; `hardware/schedule/hao.py` has the model and its choices. Budgets by default
are those of the ZU3EG; its clock is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from archip.core.errors import UserError
from archip.core.units import parse_quantity
from archip.hardware.devices._device import Deployed, Device
from archip.hardware.schedule.hao import HAO, Plan
from archip.ir.workload import Workload, workload

__all__ = ["Fpga"]

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Fpga(Device):
    """What may be divided between engines.

    Attributes:
        dsps, luts, brams: slices, look-up tables, block RAMs of 18 Kb.
        clock: of all engines. bandwidth: to and from DRAM.
    """

    dsps: Count = 360
    luts: Count = 70_560
    brams: Count = 432
    clock: str = "200 MHz"
    bandwidth: str = "3.2 GB/s"

    def __post_init__(self) -> None:
        for option in ("clock", "bandwidth"):
            if self._value(option) <= 0:
                raise UserError(f"{getattr(self, option)!r} is not positive", option)

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset({"latency_cycles", "latency_s"})

    @property
    def key(self) -> Any:
        return [self.dsps, self.luts, self.brams, self._value("clock"), self._value("bandwidth")]

    def costs(self, networks: Sequence[Deployed]) -> dict[str, float]:
        cycles = self.plan(networks).cycles
        return {"latency_cycles": float(cycles), "latency_s": cycles / self._value("clock")}

    def plan(self, networks: Sequence[Deployed]) -> Plan:
        """The engines, and the cycles of one pass of all networks.

        Raises:
            CandidateError: an operator without an engine, or engines that do not fit together.
        """
        return self._model.plan(Workload.concat([workload(n.graph, **n.bits) for n in networks]))

    @cached_property
    def _model(self) -> HAO:
        width = self._value("bandwidth") / self._value("clock")
        return HAO(dsps=self.dsps, luts=self.luts, brams=self.brams, bytes_per_cycle=width)

    def _value(self, option: str) -> float:
        try:
            dimension = {"clock": "frequency", "bandwidth": "bandwidth"}[option]
            return parse_quantity(getattr(self, option), dimension).value
        except UserError as error:
            raise error.at(option) from None
