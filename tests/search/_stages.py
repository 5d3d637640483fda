"""A stage that workers can import, and the form in which it travels."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from archip.core.candidate import Candidate
from archip.core.knobs import IntRange, KnobSpace
from archip.core.objectives import Goals, Objective
from archip.core.protocols import Task
from archip.core.record import Outcome
from archip.spaces.product import ProductSpace

GOALS = Goals((Objective("quality", 1), Objective("energy_j", -1)))


class Grid(KnobSpace):
    @cached_property
    def knobs(self):
        return {"i": IntRange(0, 99), "j": IntRange(0, 99)}


SPACE = ProductSpace({"net.a": Grid()})
TASK = Task("a", Grid(), lambda: None, "accuracy", 1.0)


@dataclass
class Toy:
    """Quality and energy of two genes; writes down each evaluation where it is told to.

    What it takes depends on the candidate, so that workers end in another order than they began.
    """

    seconds: float = 0.0
    dies_at: int = -1  # i
    hangs_at: int = -1
    log: Path | None = None
    name: str = "toy"
    reads: tuple[str, ...] = ("net.a",)
    key: dict = field(default_factory=dict)

    def prepare(self, progress):
        pass

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        return [self._outcome(c) for c in candidates]

    def _outcome(self, candidate: Candidate) -> Outcome:
        i, j = candidate.net["a"]["i"], candidate.net["a"]["j"]
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{candidate.id} {os.getpid()}\n")
        if i == self.dies_at:
            os._exit(9)
        while i == self.hangs_at:
            pass
        time.sleep(self.seconds * (1 + (7 * i + j) % 3))
        return Outcome({"a.accuracy": i / 100, "energy_j": 1.0 + (i * j) % 97}, seconds=self.seconds)


@dataclass(frozen=True)
class Call:
    stage: Toy

    def __call__(self, candidates):
        began = time.perf_counter()
        return self.stage.evaluate(candidates), time.perf_counter() - began
