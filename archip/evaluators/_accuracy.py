"""What evaluators of accuracy share: one stage a task, that reads its network and measures the task's own metric."""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from archip.core.candidate import Candidate, Genotype, bits_of
from archip.core.errors import CandidateError
from archip.core.protocols import Progress, RunContext, Task
from archip.core.record import Outcome, Status
from archip.core.rng import integer_seed

__all__ = ["AccuracyStage"]


class AccuracyStage(ABC):
    """The metric of one task on its validation split.

    Args:
        evaluator: its name, for the stage's name, seed and folder.
        fidelity: how the metric is obtained, as JSON: part of the key.
    """

    def __init__(self, evaluator: str, run: RunContext, task: Task, fidelity: Mapping[str, Any]) -> None:
        self.task = task
        self.data = task.load()
        self.name = f"{evaluator}.{task.name}"
        self.reads = (f"net.{task.name}", *([f"compress.{task.name}"] if run.quantizer else []))
        self.folder = run.folder / evaluator
        self.seed = integer_seed(run.seed, evaluator, task.name)
        options = {f.name: getattr(task.space, f.name) for f in dataclasses.fields(task.space)}
        space = {"space": type(task.space).__name__, "options": options}
        self.key = {**space, "data": self.data.digest, "metric": task.metric, "seed": self.seed, **fidelity}
        if run.quantizer is not None:
            self.key["quantizer"] = {type(run.quantizer).__name__: dataclasses.asdict(run.quantizer)}

    @abstractmethod
    def measure(self, genotype: Genotype, bits: Mapping[str, Any]) -> float:
        """The task's metric for a network.

        Args:
            bits: of its layers (`core.candidate.bits_of`); empty where none are searched, which only evaluators with
                ``quantizes`` are given.

        Raises:
            CandidateError: it cannot be built or trained.
        """

    def prepare(self, progress: Progress | None) -> None:  # noqa: B027 - only some have anything to prepare
        """Nothing, where networks are trained one by one."""

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        return [self._outcome(candidate) for candidate in candidates]

    def _outcome(self, candidate: Candidate) -> Outcome:
        began, name = time.perf_counter(), self.task.name
        try:
            score = self.measure(candidate.net[name], bits_of(candidate.compress.get(name, {})))
            metrics = {f"{name}.{self.task.metric}": score}
        except (CandidateError, RuntimeError) as error:  # torch reports what a network cannot do as RuntimeError
            reason = str(error).partition("\n")[0] or type(error).__name__
            return Outcome(status=Status.FAILED, reason=reason, seconds=time.perf_counter() - began)
        return Outcome(metrics, seconds=time.perf_counter() - began)
