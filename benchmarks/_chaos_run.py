"""The program that `benchmarks/chaos.py` disturbs: one search with workers, leases, records and front in a store.

It is the search of `archip run` without the trainings at its end: the same recorder, store, executor, cascade and loop
on candidates of arithmetic. Run again with the same arguments it goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import time
from pathlib import Path

from archip.core import registry
from archip.core.problem import Budget, Problem
from archip.search.cascade import Cascade
from archip.search.findings import Findings
from archip.search.loop import search
from archip.search.recorder import Recorder
from archip.search.work import Work
from benchmarks._synthetic import GOALS, SPACE, TASK, Call, Fragile

PROBLEM = {"name": "chaos", "tasks": {"a": {"data": {"synthetic": {}}, "net": "resnet9"}}, "baselines": []}
SEARCH = "nsga2"


def run(options: argparse.Namespace) -> None:
    """Search until the budget is spent."""
    stage = Fragile(seconds=options.seconds, hangs_at=options.hangs_at)
    executor = registry.create("distribute", "processes", {"n": options.workers, "retries": 100})
    with contextlib.closing(executor), Recorder(Problem.from_dict(PROBLEM), options.folder, options.store) as recorder:
        cascade = Cascade([stage], GOALS, recorder.store, [TASK], work=Work(recorder.store, executor, Call, 3.0))
        found = Findings(GOALS)

        def seen(records):
            recorder.told(SEARCH, records)
            found.add(records)

        budget = Budget(candidates=options.candidates, batch=16, lag=1)
        search(registry.create("strategies", "nsga2", {"population": 16}), SPACE, cascade, GOALS, budget, 0, seen)
        recorder.done({"front": [r.candidate.id for r in found.front]})


class JumpingClock:
    """The time of day, off by up to a day, by another amount after one call in twenty."""

    def __init__(self, seed: int) -> None:
        self._rng, self._real, self._offset = random.Random(seed), time.time, 0.0

    def __call__(self) -> float:
        if self._rng.random() < 0.05:
            self._offset = self._rng.uniform(-86400, 86400)
        return self._real() + self._offset


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--store")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=0.01)
    parser.add_argument("--hangs-at", type=int, default=-1)
    parser.add_argument("--clock", type=int)
    parser.add_argument("--file-bytes", type=int, help="no file may become larger: stands for a full disk")
    given = parser.parse_args()
    if given.clock is not None:
        time.time = JumpingClock(given.clock)
    if given.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_bytes, given.file_bytes))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run(given)
