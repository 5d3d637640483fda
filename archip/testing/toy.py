"""A toy co-design problem: the widths of up to four layers (or more), and a chip of two knobs; 16,380 candidates.

Metrics follow from the genes by a formula, so that strategies are compared in milliseconds and the exact front is
known by counting. Quality saturates with width and depth and is rugged (bottlenecks and unlucky sums of widths cost
some); latency falls with the chip's size, energy rises with it; about a quarter of the candidates keep the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np

from archip.core.candidate import Candidate
from archip.core.knobs import Choice, IntRange, Knob, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status

__all__ = ["TOY_GOALS", "ToyKnobs", "ToySpace", "toy_record"]

TOY_GOALS = Goals((Objective("quality", +1), Objective("latency_s", -1)), (Limit("energy_j", 2e-8),))
_CHIPS = {"pes": Choice((16, 32, 64, 128, 256, 512, 1024)), "bandwidth": Choice((1, 2, 4))}
_LEAST = {"latency": "latency_s", "energy": "energy_j"}


@dataclass
class ToyKnobs(KnobSpace):
    """Depth, the width of each layer that there is, and (if it `has_chip`) PEs and bandwidth."""

    n_layers: int = 4
    has_chip: bool = True

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        widths = {f"width{i}": Choice((8, 16, 24, 32, 48)) for i in range(self.n_layers)}
        return {"depth": IntRange(1, self.n_layers), **widths, **(_CHIPS if self.has_chip else {})}

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        return not name.startswith("width") or int(name.removeprefix("width")) < genes["depth"]


class ToySpace:
    """The same as a space of candidates: a network of the task ``toy``, and (if it `has_chip`) hardware."""

    def __init__(self, n_layers: int = 4, has_chip: bool = True) -> None:
        self._knobs = ToyKnobs(n_layers, has_chip)
        self._known: dict[tuple[str, Goals, str], Candidate] = {}

    @property
    def networks(self) -> ToySpace:
        return ToySpace(self._knobs.n_layers, has_chip=False)

    @property
    def chips(self) -> list[dict[str, Any]]:
        """All chips."""
        return [dict(zip(_CHIPS, chip, strict=True)) for chip in product(*(knob.values for knob in _CHIPS.values()))]

    def designer(self, networks: Candidate, goals: Goals, least: str) -> Candidate:
        """The best of all chips, one by one: within the limits, then by `least`."""
        key = (networks.id, goals, least)
        if key not in self._known:
            candidates = [replace(networks, hw=chip) for chip in self.chips]
            records = [toy_record(c) for c in candidates]
            value = lambda r: (goals.violation(r.metrics), r.metrics.get(_LEAST.get(least, ""), 0.0))  # noqa: E731
            self._known[key] = min(records, key=value).candidate
        return self._known[key]

    def screen(self, candidates: Sequence[Candidate]) -> list[dict[str, float]]:
        """What candidates cost."""
        every = [dict(toy_record(c).metrics) for c in candidates]
        return [{name: value for name, value in metrics.items() if name != "quality"} for metrics in every]

    @property
    def size(self) -> float:
        return self._knobs.size

    def sample(self, rng: np.random.Generator) -> Candidate:
        return _candidate(self._knobs.sample(rng))

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        return _candidate(self._knobs.mutate(_genes(candidate), rng))

    def crossover(self, a: Candidate, b: Candidate, rng: np.random.Generator) -> Candidate:
        return _candidate(self._knobs.crossover(_genes(a), _genes(b), rng))

    def neighbours(self, candidate: Candidate) -> Iterator[Candidate]:
        return map(_candidate, self._knobs.neighbours(_genes(candidate)))

    def enumerate(self) -> Iterator[Candidate]:
        return map(_candidate, self._knobs.enumerate())

    @property
    def knobs(self) -> Mapping[str, Knob]:
        return self._knobs.knobs

    def decide(self, choose: Callable[[str, Sequence[int]], int]) -> Candidate | None:
        genes = self._knobs.decide(choose)
        return None if genes is None else _candidate(genes)

    def codes(self, candidates: Sequence[Candidate]) -> np.ndarray:
        return self._knobs.codes([_genes(c) for c in candidates])

    def encode(self, candidates: Sequence[Candidate]) -> np.ndarray:
        return self._knobs.encode([_genes(c) for c in candidates])

    def statistics(self, candidates: Sequence[Candidate]) -> np.ndarray:
        return np.zeros((len(candidates), 0))


def toy_record(candidate: Candidate) -> Record:
    """What the evaluation of a candidate of `ToySpace` gives."""
    genes = _genes(candidate)
    widths = [genes[f"width{i}"] for i in range(genes["depth"])]
    macs = [9 * a * b for a, b in pairwise([3, *widths])]
    pes, bandwidth = genes["pes"], genes["bandwidth"]
    cycles = sum(max(math.ceil(m / pes), 8 * math.sqrt(m) / bandwidth) for m in macs)
    bottlenecks = sum(abs(math.log2(b / a) - 0.5) for a, b in pairwise(widths))
    quality = 1 - 0.6 * math.exp(-sum(map(math.sqrt, widths)) / 9) - 0.02 * bottlenecks - 0.01 * (sum(widths) // 8 % 3)
    metrics = {
        "quality": quality,
        "latency_s": 1e-9 * cycles,
        "energy_j": 1e-12 * (sum(macs) * (1 + 0.002 * pes) + 0.05 * cycles * pes * bandwidth),
    }
    broken = TOY_GOALS.violation(metrics) > 0
    return Record(candidate, metrics, Status.INFEASIBLE if broken else Status.OK, "breaks energy_j" if broken else "")


def _genes(candidate: Candidate) -> dict[str, Any]:
    return {**candidate.net["toy"], **(candidate.hw or {})}  # type: ignore[dict-item]


def _candidate(genes: Mapping[str, Any]) -> Candidate:
    net = {name: value for name, value in genes.items() if name not in _CHIPS}
    return Candidate({"toy": net}, {name: genes[name] for name in _CHIPS} if "pes" in genes else None)
