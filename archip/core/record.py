"""Record: what one evaluation of one candidate gave. Records are immutable; a failure is a record with a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from archip.core.candidate import Candidate

__all__ = ["METRICS", "Metric", "Outcome", "Record", "Status", "metric"]


class Status(StrEnum):
    """How an evaluation ended."""

    OK = "ok"
    INFEASIBLE = "infeasible"  # a limit is broken, so the costlier stages were not run
    FAILED = "failed"  # could not be built, mapped or trained


@dataclass(frozen=True)
class Metric:
    """What a number means. `dimension` is one of `units` (for text), `goal` +1 for more is better, -1 for less."""

    name: str
    dimension: str
    goal: int
    about: str


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("quality", "share", +1, "weighted mean of the tasks' own metrics"),
        Metric("accuracy", "share", +1, "share of samples classified correctly"),
        Metric("iou", "share", +1, "intersection over union of the foreground, over all pixels of the split"),
        Metric("loss", "share", -1, "loss or perplexity on held-out samples"),
        Metric("score", "share", +1, "a benchmark's own score"),
        Metric("throughput_per_s", "share", +1, "samples processed in a second"),
        Metric("train_s", "time", -1, "time of one training"),
        Metric("latency_s", "time", -1, "time from first input to last output of the whole workload"),
        Metric("latency_cycles", "cycles", -1, "makespan of the schedule in clock cycles"),
        Metric("energy_j", "energy", -1, "energy of one pass of the whole workload"),
        Metric("area_mm2", "area", -1, "silicon area of the chip"),
        Metric("flash_bytes", "size", -1, "flash of a microcontroller: weights of all networks, and code"),
        Metric("sram_bytes", "size", -1, "peak SRAM of a microcontroller, in the best order of operators"),
        Metric("memory_bytes", "size", -1, "memory of float networks: weights of all, and the most activations"),
        Metric("params", "share", -1, "number of weights of all networks"),
        Metric("macs", "share", -1, "multiply-accumulates of one pass of all networks"),
    )
}


def metric(name: str) -> Metric:
    """The table row of `name`; a task's own metric is written ``<task>.<metric>``."""
    return METRICS[name.rsplit(".", 1)[-1]]


@dataclass(frozen=True)
class Outcome:
    """What a stage says of one candidate, before it is stored. Metrics are finite SI numbers."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    status: Status = Status.OK
    reason: str = ""
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)  # JSON: anything worth keeping that is no metric

    def __post_init__(self) -> None:
        bad = {k: v for k, v in self.metrics.items() if not math.isfinite(v)}
        if bad:
            reason = "not finite: " + ", ".join(f"{k} = {v}" for k, v in bad.items())
            object.__setattr__(self, "metrics", {})
            object.__setattr__(self, "status", Status.FAILED)
            object.__setattr__(self, "reason", reason)


@dataclass(frozen=True)
class Record:
    """All that is known of one candidate after the cascade of evaluators."""

    candidate: Candidate
    metrics: Mapping[str, float]
    status: Status = Status.OK
    reason: str = ""
    seconds: float = 0.0
    number: int = -1  # position in the run, from 0

    @property
    def ok(self) -> bool:
        return self.status is Status.OK

    def to_json(self) -> dict[str, Any]:
        return {
            "candidate": self.candidate.to_json(),
            "metrics": dict(self.metrics),
            "status": str(self.status),
            "reason": self.reason,
            "seconds": self.seconds,
            "number": self.number,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Record:
        return cls(**{**value, "candidate": Candidate.from_json(value["candidate"]), "status": Status(value["status"])})
