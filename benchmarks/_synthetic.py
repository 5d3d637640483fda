"""A problem without networks, to see what the driver itself costs: a stage of arithmetic that workers can import."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archip.core.candidate import Candidate
from archip.core.knobs import IntRange, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.protocols import Progress, Task
from archip.core.record import Outcome
from archip.spaces.product import ProductSpace

__all__ = ["GOALS", "SPACE", "TASK", "Arithmetic", "Call", "Fragile", "busy"]


class _Genes(KnobSpace):
    @cached_property
    def knobs(self) -> dict[str, Any]:
        return {f"g{i}": IntRange(0, 31) for i in range(12)}


SPACE = ProductSpace({"net.a": _Genes()})
TASK = Task("a", _Genes(), lambda: None, "accuracy", 1.0)
GOALS = Goals(
    (Objective("quality", 1), Objective("latency_s", -1), Objective("energy_j", -1)), (Limit("latency_s", 200.0),)
)


@dataclass
class Arithmetic:
    """Three metrics of twelve genes, after `seconds` of processor time."""

    seconds: float = 0.0
    name: str = "arithmetic"
    reads: tuple[str, ...] = ("net.a",)
    key: Mapping[str, Any] = field(default_factory=dict)

    def prepare(self, progress: Progress | None) -> None:
        """Nothing."""

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        return [self._outcome(c) for c in candidates]

    def _outcome(self, candidate: Candidate) -> Outcome:
        busy(self.seconds)
        genes = list(candidate.net["a"].values())  # pyright: ignore[reportAttributeAccessIssue]
        latency = float(sum(genes))
        energy = float(sum((g - 15.5) ** 2 for g in genes))
        quality = sum((i + 1) * g for i, g in enumerate(genes)) / (31 * 78)
        return Outcome({"a.accuracy": quality, "latency_s": 1.0 + latency, "energy_j": 1.0 + energy})


@dataclass
class Fragile(Arithmetic):
    """Arithmetic that never ends for the candidates whose first gene is `hangs_at`."""

    hangs_at: int = -1

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        for candidate in candidates:
            while candidate.net["a"]["g0"] == self.hangs_at:  # pyright: ignore[reportArgumentType, reportCallIssue]
                time.sleep(1)
        return super().evaluate(candidates)


@dataclass(frozen=True)
class Call:
    """The stage as it travels."""

    stage: Arithmetic

    def __call__(self, candidates: Sequence[Candidate]) -> tuple[list[Outcome], float]:
        began = time.perf_counter()
        return self.stage.evaluate(candidates), time.perf_counter() - began


def busy(seconds: float) -> int:
    """Spend processor time, however much of it other processes take."""
    n, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        n += sum(range(100))
    return n
