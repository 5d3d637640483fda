"""Runs for tests of the dashboard: candidates of real spaces with made-up metrics, written as a run writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.candidate import Candidate
from archip.core.files import make_folder, write_text
from archip.core.problem import Problem
from archip.core.record import Record, Status
from archip.search.journal import Journal
from archip.search.recorder import Recorder
from archip.search.setup import make_target
from archip.spaces.resnet9 import ResNet9

__all__ = ["HOSTILE", "made_records", "made_run", "problem", "writing"]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"


def problem(name: str = "toy", **changes: Any) -> Problem:
    return Problem.from_dict(
        {
            "name": name,
            "tasks": {"shapes": {"data": {"synthetic": {}}, "net": "resnet9"}},
            "target": {"chip": {"cores": 2, "pes": {"total": 512, "step": 64}}},
            "limits": {"latency": "1 ms", "energy": "1 mJ", "area": "10 mm2"},
            "budget": {"candidates": 400, "batch": 8},
            **changes,
        }
    )


def made_records(asked: Problem, n: int, first: int = 0, seed: int = 0) -> list[Record]:
    """Records numbered from `first`: most are fine, some break a limit, some failed for a hostile reason."""
    rng = np.random.default_rng([seed, first])
    nets, chips = ResNet9(), make_target(asked)
    records = []
    for number in range(first, first + n):
        candidate = Candidate(net={"shapes": nets.sample(rng)}, hw=chips.sample(rng))
        latency_s = float(10 ** rng.uniform(-5, -2.9))
        costs = {"latency_s": latency_s, "energy_j": float(10 ** rng.uniform(-6, -3.1)), "area_mm2": rng.uniform(1, 9)}
        if number % 10 == 3:
            records.append(Record(candidate, {}, Status.FAILED, f"cannot be built: {HOSTILE}", 0.01, number))
        elif latency_s > 1e-3:
            records.append(Record(candidate, costs, Status.INFEASIBLE, "latency 1.1 ms", 0.01, number))
        else:
            quality = float(np.clip(0.9 + 0.03 * np.log10(latency_s / 1e-5) + 0.02 * rng.normal(), 0, 0.999))
            scores = {"shapes.accuracy": quality, "quality": quality}
            records.append(Record(candidate, costs | scores, seconds=float(rng.uniform(0, 2)), number=number))
    return records


def made_run(folder: Path, n: int = 120, asked: Problem | None = None, is_done: bool = True) -> Path:
    """A run with `n` records of its own search and half as many of a baseline; unless it is done it is running."""
    asked = asked or problem(folder.name)
    for recorder in writing(folder, asked, is_done):
        recorder.told("nsga2", made_records(asked, n))
        recorder.told("baseline random_search", made_records(asked, n // 2, seed=1))
        if is_done:
            recorder.done(summary(asked, made_records(asked, n)))
    return folder


def writing(folder: Path, asked: Problem, is_done: bool) -> Iterator[Recorder]:
    """What a run does around its search."""
    make_folder(folder / "artifacts" / "shapes")
    write_text(folder / "problem.yaml", asked.to_yaml())
    write_text(folder / "artifacts" / "shapes" / "shapes.onnx", "not really a model")
    write_text(folder / "report.html", "<!doctype html><title>report</title><script>document.title = 'ran'</script>")
    Journal(folder / "log.jsonl").event("run begins", problem=asked.id, note=HOSTILE)
    recorder = Recorder(asked, folder, None)
    if is_done:
        with recorder:
            yield recorder
    else:  # as a killed process leaves it; its last sign of life is fresh
        yield recorder
        recorder.store.close()


def summary(asked: Problem, records: list[Record]) -> dict[str, Any]:
    """The parts of ``summary.json`` that the dashboard reads."""
    best = sorted((r for r in records if asked.goals.feasible(r)), key=asked.goals.key)[:4]
    finalists = [
        {
            "id": r.candidate.id,
            "quality": r.metrics["quality"] - 0.01 * i,
            "searched": r.metrics["quality"],
            "metrics": {**r.metrics, "quality": r.metrics["quality"] - 0.01 * i},
        }
        for i, r in enumerate(best)
    ]
    limits = [
        {"name": "latency", "metric": "latency_s", "value_text": "20 us", "limit_text": "1 ms", "ok": True},
    ]
    return {"name": asked.name, "feasible": True, "limits": limits, "tasks": {}, "finalists": finalists}
