"""Chip: up to four cores, each with its dataflow, its share of the processing elements and of the bandwidth.

Choose it as the target (``target: {chip: …}``) to have a chip designed together with the networks. A core may be
absent; the totals bind all cores together; the order of the cores means nothing.
Source: Yang et al. 2020, arXiv:2002.04116, section III (sub-accelerators <dataflow, PEs, bandwidth>); the defaults are
its two cores, 4096 PEs in steps of 32 and 64 GB/s in steps of 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from archip.core import registry
from archip.core.errors import UserError, nearest
from archip.core.knobs import Choice, IntRange, Knob, KnobSpace
from archip.hardware.accelerator import Accelerator
from archip.hardware.chip.totals import Bandwidth, PEs, quantity

__all__ = ["Chip"]

_ABSENT = "none"
Count = Annotated[int, Field(ge=1)]


class Core(NamedTuple):
    """One core of a design; bandwidth in bytes/s. Cores are ordered by these fields."""

    dataflow: str
    pes: int
    bandwidth: int


class _Share(NamedTuple):
    """A resource that the cores divide: n cores hold `low` + `step` x (0, 1, …) each, `total` at most together."""

    total: int
    step: int
    low: int

    @property
    def values(self) -> range:
        return range(self.low, self.total + 1, self.step)

    def slack(self, n: int) -> int:
        """Steps left when each of `n` cores holds the least; negative where `n` cores do not fit."""
        return (self.total - n * self.low) // self.step

    def split(self, n: int, rng: np.random.Generator) -> list[int]:
        """Shares of `n` cores, uniform over all ways to divide the resource or a part of it."""
        places = np.sort(rng.choice(self.slack(n) + n, size=n, replace=False))
        return [self.low + self.step * int(gap - 1) for gap in np.diff(places, prepend=-1)]


@dataclass(frozen=True)
class Chip(KnobSpace):
    """Genes ``core0.dataflow core0.pes core0.bandwidth core1.dataflow …``; ``none`` is an absent core.

    Attributes:
        cores: the most cores a design may have. min_cores: the fewest.
        dataflows: accelerator templates to choose from.
        pes: processing elements of the whole chip.
        bandwidth: bandwidth of the whole chip.
        clock: frequency of all cores.
        technology: process node of the energies and areas (``hardware/technology``).
    """

    cores: Annotated[int, Field(ge=1, le=4)] = 2
    min_cores: Annotated[int, Field(ge=1, le=4)] = 1
    dataflows: tuple[str, ...] = ("nvdla", "shidiannao", "eyeriss")
    pes: PEs = field(default_factory=PEs)
    bandwidth: Bandwidth = field(default_factory=Bandwidth)
    clock: str = "1 GHz"
    technology: Literal["65nm", "45nm", "28nm", "16nm", "7nm"] = "65nm"

    def __post_init__(self) -> None:
        known = registry.names("hardware/templates")
        for name in self.dataflows:
            if name not in known:
                raise UserError(f"unknown dataflow {name!r}", "dataflows", nearest(name, known))
        if not self.dataflows or len(set(self.dataflows)) < len(self.dataflows):
            raise UserError("dataflows are empty or repeated", "dataflows", "each template once, e.g. [nvdla, eyeriss]")
        if self.min_cores > self.cores:
            raise UserError(f"{self.min_cores} cores at least and {self.cores} at most", "min_cores", "at most cores")
        if self.clock_hz <= 0:
            raise UserError(f"{self.clock!r} is no frequency to run at", "clock", "e.g. 1 GHz")
        for where, share in self._shares.items():
            if min(share) <= 0 or share.slack(self.min_cores) < 0:
                given = f"total {share.total}, step {share.step}, min {share.low}"
                raise UserError(f"no core fits: {given}", where, "positive numbers, min (or step) at most total")

    @property
    def clock_hz(self) -> float:
        return quantity(self.clock, "clock", "frequency")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        pes, bandwidth = self._shares.values()
        knobs: dict[str, Knob] = {}
        for i in range(self.cores):
            dataflows = self.dataflows if i < self.min_cores else (*self.dataflows, _ABSENT)
            knobs[f"core{i}.dataflow"] = Choice(dataflows, ordered=False)
            knobs[f"core{i}.pes"] = IntRange(pes.low, pes.total, pes.step)
            knobs[f"core{i}.bandwidth"] = IntRange(bandwidth.low, bandwidth.total, bandwidth.step)
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        core, _, gene = name.partition(".")
        return gene == "dataflow" or genes[f"{core}.dataflow"] != _ABSENT

    def permits(self, genes: Mapping[str, Any]) -> bool:
        cores = self.design(genes)
        pes, bandwidth = self._shares.values()
        return sum(c.pes for c in cores) <= pes.total and sum(c.bandwidth for c in cores) <= bandwidth.total

    def collapse(self, genes: Mapping[str, Any]) -> dict[str, Any]:
        return self._genotype(sorted(self.design(genes)))

    def genotype(self, cores: Iterable[Core]) -> dict[str, Any]:
        """The genotype of a chip of these cores (the way back from `design`)."""
        return self.canonical(self._genotype(sorted(cores)))

    def design(self, genotype: Mapping[str, Any]) -> list[Core]:
        """The cores that are present, in the order of the genotype."""
        present = (i for i in range(self.cores) if genotype[f"core{i}.dataflow"] != _ABSENT)
        return [Core(*(genotype[f"core{i}.{gene}"] for gene in Core._fields)) for i in present]

    def accelerators(self, genotype: Mapping[str, Any]) -> list[Accelerator]:
        """The accelerator of each core that is present, in the order of `design`."""
        return [_accelerator(core, self.clock_hz, self.technology) for core in self.design(genotype)]

    # The totals forbid nearly all combinations of knobs (of four cores 99.9 %), and the order of cores counts each
    # design up to 24 times: drawing, counting and listing by rejection would not do, so these three are written out.

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        """Dataflows uniform (of those that fit), then a uniform split of PEs and of bandwidth."""
        shares = self._shares.values()
        while True:
            choices = [self.knobs[f"core{i}.dataflow"].values for i in range(self.cores)]
            present = [d for values in choices if (d := values[int(rng.integers(len(values)))]) != _ABSENT]
            if all(share.slack(len(present)) >= 0 for share in shares):
                splits = [share.split(len(present), rng) for share in shares]
                return self._genotype(sorted(map(Core, present, *splits)))

    @property
    def size(self) -> int:
        """Number of distinct chips, exact.

        Multisets of n cores by the recurrence of complete homogeneous symmetric polynomials,
        n h_n = sum over k = 1 … n of p_k h_(n-k), where p_k stands for one core k times; the two axes of an array
        count the steps of PEs and of bandwidth above the least.
        """
        shares = list(self._shares.values())
        h_N = [np.zeros([share.slack(1) + 1 for share in shares], dtype=object)]
        h_N[0][0, 0] = 1
        n_chips = 0
        for n in range(1, self.cores + 1):
            terms = [len(self.dataflows) * _repeated_sums(h_N[n - k], k) for k in range(1, n + 1)]
            h_N.append(np.sum(terms, axis=0) // n)
            fitting = [slice(0, max(0, share.slack(n) + 1)) for share in shares]
            n_chips += h_N[n][tuple(fitting)].sum() if n >= self.min_cores else 0
        return int(n_chips)

    def enumerate(self) -> Iterator[dict[str, Any]]:
        """Every distinct chip, once; those of fewer cores come before the ones that extend them."""
        pes, bandwidth = self._shares.values()
        every = [Core(*c) for c in product(sorted(self.dataflows), pes.values, bandwidth.values)]

        def extend(cores: list[Core], begin: int, pes_left: int, bandwidth_left: int) -> Iterator[dict[str, Any]]:
            for i in range(begin, len(every)):
                core = every[i]
                if core.pes <= pes_left and core.bandwidth <= bandwidth_left:
                    if len(cores) + 1 >= self.min_cores:
                        yield self._genotype([*cores, core])
                    if len(cores) + 1 < self.cores:
                        yield from extend([*cores, core], i, pes_left - core.pes, bandwidth_left - core.bandwidth)

        return extend([], 0, pes.total, bandwidth.total)

    @cached_property
    def _shares(self) -> dict[str, _Share]:
        """PEs, and bandwidth in bytes/s."""
        b = self.bandwidth
        texts = {"total": b.total, "step": b.step, "min": b.step if b.min is None else b.min}
        values = {k: round(quantity(v, f"bandwidth.{k}", "bandwidth")) for k, v in texts.items()}
        return {
            "pes": _Share(self.pes.total, self.pes.step, self.pes.step if self.pes.min is None else self.pes.min),
            "bandwidth": _Share(values["total"], values["step"], values["min"]),
        }

    def _genotype(self, cores: list[Core]) -> dict[str, Any]:
        genes: dict[str, Any] = {}
        for i in range(self.cores):
            if i < len(cores):
                genes |= {f"core{i}.{gene}": value for gene, value in zip(Core._fields, cores[i], strict=True)}
            else:
                genes[f"core{i}.dataflow"] = _ABSENT
        return genes


def _repeated_sums(counts: np.ndarray, k: int) -> np.ndarray:
    """Sums along both axes over places a multiple of `k` apart: a product with 1 / ((1 - x^k) (1 - y^k))."""
    for axis in (0, 1):
        counts = np.moveaxis(counts, axis, 0).copy()
        for i in range(k, len(counts)):
            counts[i] += counts[i - k]
        counts = np.moveaxis(counts, 0, axis)
    return counts


_template = lru_cache(partial(registry.find, "hardware/templates"))


@lru_cache(maxsize=65536)
def _accelerator(core: Core, clock_hz: float, technology: str) -> Accelerator:
    node = "nm" + technology.removesuffix("nm")
    return _template(core.dataflow)(pes=core.pes, bandwidth=core.bandwidth, clock_hz=clock_hz, node=node).accelerator()
