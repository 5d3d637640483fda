"""Cascade: candidates through the stages of evaluation, cheapest first, with the store as a cache.

A stage's result is keyed by what the stage reads, so the same network on another chip is not trained again. A
candidate that breaks a limit is not evaluated further (early pruning, as in NASAIC); one that fails keeps its reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archip.core.candidate import Candidate, digest
from archip.core.objectives import Goals, Limit
from archip.core.protocols import Progress, Stage, Store, Task
from archip.core.record import Outcome, Record, Status, metric
from archip.core.units import format_quantity
from archip.search.work import Work

__all__ = ["Cascade", "Counts"]

_log = logging.getLogger(__name__)


@dataclass
class Counts:
    """Outcomes by where they came from: evaluated now, failed now, answered by the store."""

    evaluated: int = 0
    failed: int = 0
    cached: int = 0


@dataclass
class Cascade:
    """Evaluates candidates through `stages` in order. Several threads may do so at once.

    Attributes:
        tasks: name, metric and weight of each task, from which ``quality`` follows.
        work: evaluates what the store does not know; in this process, if none is given.
        replayed_s: time that stored results, which answered in place of an evaluation, had taken.
        prunes: whether a candidate that breaks a limit is spared the stages after; `search/loop.py` asks the strategy.
    """

    stages: Sequence[Stage]
    goals: Goals
    store: Store
    tasks: Sequence[Task]
    progress: Progress | None = None
    prunes: bool = True
    work: Work | None = None
    counts: Counts = field(default_factory=Counts)
    replayed_s: float = 0.0
    _prepared: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._work = self.work or Work(self.store)

    @property
    def n_workers(self) -> int:
        return self._work.executor.n_workers if self._work.executor else 1

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Record]:
        """One record for each candidate, in order."""
        found: list[list[Outcome]] = [[] for _ in candidates]
        alive = list(range(len(candidates)))
        cached_everywhere = [True] * len(candidates)
        for stage in self.stages:
            outcomes, cached = self._run(stage, [candidates[i] for i in alive])
            for i, outcome, hit in zip(alive, outcomes, cached, strict=True):
                found[i].append(outcome)
                cached_everywhere[i] &= hit
            alive = [i for i in alive if self._goes_on(found[i])]
        records = [self._record(c, outcomes) for c, outcomes in zip(candidates, found, strict=True)]
        with self._lock:
            for record, hit in zip(records, cached_everywhere, strict=True):
                self.counts.cached += hit
                self.counts.evaluated += not hit
                self.counts.failed += record.status is Status.FAILED
        return records

    def _goes_on(self, outcomes: Sequence[Outcome]) -> bool:
        last = outcomes[-1]
        return last.status is Status.OK and (not self.prunes or self.goals.violation(last.metrics) == 0.0)

    def _run(self, stage: Stage, candidates: Sequence[Candidate]) -> tuple[list[Outcome], list[bool]]:
        """Outcomes of one stage and whether the store had them."""
        keys = [digest([stage.name, stage.key, c.only(stage.reads)]) for c in candidates]
        known = self.store.get(list(dict.fromkeys(keys)))
        hits = [key in known for key in keys]
        todo = {key: c for key, c in zip(keys, candidates, strict=True) if key not in known}
        with self._lock:
            self.replayed_s += sum(outcome.seconds for outcome in known.values())
            if todo and stage.name not in self._prepared:
                stage.prepare(self.progress)
                self._prepared.add(stage.name)
        if todo:
            known |= self._work.outcomes(stage, todo)
        return [known[key] for key in keys], hits

    def _record(self, candidate: Candidate, outcomes: Sequence[Outcome]) -> Record:
        metrics = self._derived({k: v for o in outcomes for k, v in o.metrics.items()})
        last = outcomes[-1]
        status, reason = last.status, last.reason
        broken = [
            limit for limit in self.goals.limits if limit.metric in metrics and limit.violation(metrics[limit.metric])
        ]
        if status is Status.OK and broken:
            status, reason = Status.INFEASIBLE, "breaks " + ", ".join(_broken(b, metrics[b.metric]) for b in broken)
        if status is Status.FAILED:
            _log.info("candidate %s failed: %s", candidate.id, reason)
        return Record(candidate, metrics, status, reason, sum(o.seconds for o in outcomes))

    def _derived(self, metrics: Mapping[str, float]) -> dict[str, float]:
        parts = [(task.weight, metrics.get(f"{task.name}.{task.metric}")) for task in self.tasks]
        quality = (
            {"quality": sum(w * v for w, v in parts if v is not None)} if all(v is not None for _, v in parts) else {}
        )
        return {**metrics, **quality}


def _broken(limit: Limit, value: float) -> str:
    """The limit and by how much it is missed; bytes are counted out."""
    dimension, short = metric(limit.metric).dimension, abs(value - limit.bound)
    return f"{limit} by " + (f"{short:,.0f} bytes" if dimension == "size" else format_quantity(short, dimension))
