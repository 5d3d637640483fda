"""The space of chips: core designs, and how many cores may divide the totals between them.

A core is a dataflow with its processing elements, bandwidth and buffers; a chip is a set of one to four of them whose
processing elements and bandwidths stay within the totals. The order of the cores means nothing.
Source of the defaults: Yang et al. 2020, arXiv:2002.04116, section V (4096 PEs in steps of 32, 64 GB/s in steps of 8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from archip.core import registry
from archip.core.errors import UserError, nearest
from archip.hardware.chip.totals import Bandwidth, PEs, quantity

__all__ = ["MAESTRO_DATAFLOWS", "ChipSpec", "CoreDesign", "n_chips"]

# Template → MAESTRO's dataflow of that kind and the cluster size of its files (rs has none of its own).
MAESTRO_DATAFLOWS = {"nvdla": ("kcp_ws", 64), "shidiannao": ("yxp_os", 8), "eyeriss": ("rs", 1)}
# Energy of an 8-bit MAC: MAESTRO's own factor (0.00023 nJ a unit); multiplication and addition in Horowitz 2014, 45 nm.
_MAC_ENERGY = "0.23 pJ"
_MOST_TOTAL, _MOST_STEPS = 2**53, 4096
Count = Annotated[int, Field(ge=1)]


class CoreDesign(NamedTuple):
    """One core; bandwidth in bytes/s, `buffers` is the size of its buffers relative to the template's rule."""

    dataflow: str
    pes: int
    bandwidth: int
    buffers: float = 1.0


@dataclass(frozen=True)
class ChipSpec:
    """What may be built, and which model prices it.

    Attributes:
        cores: the most cores of a chip. min_cores: the fewest.
        dataflows: accelerator templates to choose from.
        pes, bandwidth: of the whole chip.
        buffers: sizes of a core's buffers relative to the template's rule; `loopnest` only.
        clock: frequency of all cores.
        cost_model: ``maestro`` sizes buffers as the layers require and leaves out DRAM energy and all operators
            without MACs; ``loopnest`` prices the templates of ``hardware/templates``.
        technology: process node of ``loopnest`` (default 65nm).
        mapping: clusters of ``maestro``: ``fixed`` as its files have them (default), for every layer the ``fastest``
            power of two up to 256, or ``free``: the schedule chooses, so that slower and more frugal ones count.
        corrected: ``maestro`` with the tool's faults mended.
        mac_energy: energy of ``maestro``'s unit, one MAC (default 0.23 pJ; 1 nJ gives the figures of NASAIC).
        graph: layers of a network run one after the other (``chain``), or wait only for what they read (``dag``).
        dram: bandwidth that all cores share; None leaves DRAM contention out.
    """

    cores: Annotated[int, Field(ge=1, le=4)] = 2
    min_cores: Annotated[int, Field(ge=1, le=4)] = 1
    dataflows: tuple[str, ...] = ("nvdla", "shidiannao", "eyeriss")
    pes: PEs = field(default_factory=PEs)
    bandwidth: Bandwidth = field(default_factory=Bandwidth)
    buffers: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    clock: str = "1 GHz"
    cost_model: Literal["maestro", "loopnest"] = "maestro"
    technology: Literal["65nm", "45nm", "28nm", "16nm", "7nm"] | None = None
    mapping: Literal["fixed", "fastest", "free"] | None = None
    corrected: bool = False
    mac_energy: str | None = None
    graph: Literal["chain", "dag"] = "chain"
    dram: str | None = None

    def __post_init__(self) -> None:
        known = MAESTRO_DATAFLOWS if self.cost_model == "maestro" else registry.names("hardware/templates")
        for name in self.dataflows:
            if name not in known:
                raise UserError(f"{self.cost_model} knows no dataflow {name!r}", "dataflows", nearest(name, known))
        if not self.dataflows or len(set(self.dataflows)) < len(self.dataflows):
            raise UserError("dataflows are empty or repeated", "dataflows", "each template once, e.g. [nvdla, eyeriss]")
        if not self.buffers or len(set(self.buffers)) < len(self.buffers):
            raise UserError("buffers are empty or repeated", "buffers", "each size once, e.g. [0.5, 1, 2]")
        if self.min_cores > self.cores:
            raise UserError(f"{self.min_cores} cores at least and {self.cores} at most", "min_cores", "at most cores")
        self._check_what_the_model_ignores()
        for where, (total, step, least) in self._shares.items():
            if min(total, step, least) <= 0 or self.min_cores * least > total:
                right = "positive numbers, min (or step) times min_cores at most total"
                raise UserError(f"no chip fits: total {total}, step {step}, min {least}", where, right)
            if total >= _MOST_TOTAL or (total - least) // step >= _MOST_STEPS:
                right = f"a total below 2^53 in at most {_MOST_STEPS:,} steps"
                raise UserError(f"too many: total {total}, step {step}", where, right)
        if self.clock_hz <= 0 or self.mac_j <= 0:
            raise UserError("is not positive", "clock" if self.clock_hz <= 0 else "mac_energy")
        if self.dram is not None and quantity(self.dram, "dram", "bandwidth") <= 0:
            raise UserError("is not positive", "dram")
        if self.cost_model == "maestro" and any(b % self.clock_hz for b in self._shares["bandwidth"]):
            raise UserError("maestro counts whole bytes a cycle", "bandwidth", f"multiples of 1 byte at {self.clock}")

    def _check_what_the_model_ignores(self) -> None:
        if self.cost_model == "maestro":
            given = {"technology": self.technology is not None, "buffers": self.buffers != (1.0,)}
        else:
            mapping, mac_energy = self.mapping is not None, self.mac_energy is not None
            given = {"mapping": mapping, "corrected": self.corrected, "mac_energy": mac_energy}
        for name, is_given in given.items():
            if is_given:
                raise UserError(f"{self.cost_model} has no use for it", name, "leave it out, or change cost_model")

    @property
    def clock_hz(self) -> float:
        return quantity(self.clock, "clock", "frequency")

    @property
    def mac_j(self) -> float:
        return quantity(self.mac_energy or _MAC_ENERGY, "mac_energy", "energy")

    @cached_property
    def designs(self) -> tuple[CoreDesign, ...]:
        """Every core: dataflow by dataflow, then by PEs, bandwidth and buffers."""
        pes, bandwidth = (range(least, total + 1, step) for total, step, least in self._shares.values())
        return tuple(CoreDesign(*core) for core in product(self.dataflows, pes, bandwidth, self.buffers))

    @property
    def totals_R(self) -> np.ndarray:
        """Most PEs and most bytes/s of a chip."""
        return np.array([total for total, _, _ in self._shares.values()])

    @cached_property
    def _shares(self) -> dict[str, tuple[int, int, int]]:
        """(total, step, least) of PEs and bandwidth."""
        b = self.bandwidth
        texts = {"total": b.total, "step": b.step, "min": b.step if b.min is None else b.min}
        total, step, least = (round(quantity(v, f"bandwidth.{k}", "bandwidth")) for k, v in texts.items())
        pes = self.pes
        return {
            "pes": (pes.total, pes.step, pes.step if pes.min is None else pes.min),
            "bandwidth": (total, step, least),
        }


def n_chips(use_DR: np.ndarray, totals_R: np.ndarray, min_cores: int, cores: int) -> int:
    """Number of sets of `min_cores` to `cores` designs (one may occur twice) whose uses stay within the totals.

    By the recurrence of complete homogeneous symmetric polynomials, n h_n = sum over k of p_k h_(n-k), where p_k stands
    for one design k times, as polynomials in the resources.
    """
    unit_R = np.gcd.reduce(np.vstack([use_DR, totals_R]), axis=0)
    sizes, spots_DR = totals_R // unit_R + 1, use_DR // unit_R
    spots_SR, count_S = np.unique(spots_DR, axis=0, return_counts=True)
    h_N = [np.zeros(sizes, dtype=object)]
    h_N[0][0, 0] = 1
    for n in range(1, cores + 1):
        h = np.zeros(sizes, dtype=object)
        for k in range(1, n + 1):
            for (pes, bandwidth), count in zip((k * spots_SR).tolist(), count_S.tolist(), strict=True):
                if pes < sizes[0] and bandwidth < sizes[1]:
                    h[pes:, bandwidth:] += count * h_N[n - k][: sizes[0] - pes, : sizes[1] - bandwidth]
        h_N.append(h // n)
    return int(sum(h.sum() for h in h_N[min_cores:]))
