"""The main job: from a problem to trained networks, a designed chip, and a report, in one folder.

runs/<name>/problem.yaml   the problem as resolved      records.sqlite   every evaluation (or a store by URL)
            artifacts/     networks, chip, schedule     summary.json     the result in numbers
            report.html    the result to look at        log.jsonl        what happened when
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from archip.core.files import make_folder, replacing, write_text
from archip.core.pareto import binding, front
from archip.core.problem import Problem
from archip.core.protocols import Progress
from archip.core.record import Record, metric
from archip.core.units import format_quantity
from archip.export.report import Report
from archip.search.baseline import task_baseline
from archip.search.bill import bill
from archip.search.compare import compare
from archip.search.deliver import deliver
from archip.search.finish import Finalist, Trainer, choose, finish, measured, retrained
from archip.search.journal import Journal
from archip.search.loop import search
from archip.search.recorder import Recorder
from archip.search.setup import Setup, prepare
from archip.search.table_answer import table_answer

__all__ = ["Result", "run"]


@dataclass(frozen=True)
class Result:
    """What a run gave: the summary that ``summary.json`` holds, all records, the front, and the run's folder."""

    summary: dict[str, Any]
    records: tuple[Record, ...]
    front: tuple[Record, ...]
    folder: Path


def run(
    problem: Problem | Mapping[str, Any] | str | Path,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    store: str | None = None,
) -> Result:
    """Search, train, export and report. A run that was interrupted goes on where it stopped.

    Args:
        problem: a problem, its dict, or the path of a problem file.
        folder: the run's folder; by default ``runs/<name of the problem>``.
        store: path or URL of the records, in place of the problem's; by default they are in the folder.

    Raises:
        UserError: the problem, its data or the folder cannot be used; nothing has been written then.
    """
    if isinstance(problem, str | Path):
        problem = Problem.load(problem)
    elif not isinstance(problem, Problem):
        problem = Problem.from_dict(problem)
    folder = Path(folder or Path("runs") / problem.name)
    if store is not None:
        problem = problem.kept_in(store)
    setup = prepare(problem, folder)
    with Recorder(problem, make_folder(folder), problem.store) as recorder:
        result = _run(setup, recorder, progress)
        recorder.done(result.summary)
    return result


def _run(setup: Setup, recorder: Recorder, progress: Progress | None) -> Result:
    problem, folder, store = setup.problem, setup.run.folder, recorder.store
    write_text(folder / "problem.yaml", problem.to_yaml())
    journal = Journal(folder / "log.jsonl")
    journal.event("run begins", problem=problem.id, version=version("archip"), seed=problem.seed)
    cascade = setup.cascade(store, progress)
    with journal.stage("search"):
        records = _search(setup, cascade, setup.strategy(), problem.strategy.name, recorder, progress, journal)
    best = tuple(front(records, problem.goals))
    with journal.stage("baselines"):
        others = {
            plug.name: _search(
                setup,
                setup.cascade(store, progress),
                setup.strategy(plug),
                f"baseline {plug.name}",
                recorder,
                progress,
                journal,
            )
            for plug in problem.baselines
        }
    summary: dict[str, Any] = {
        "name": problem.name,
        "version": version("archip"),
        "problem": problem.id,
        "seed": problem.seed,
        "feasible": bool(best),
        "candidates": vars(cascade.counts).copy(),
        "comparison": compare({problem.strategy.name: records, **others}, problem.goals),
    }
    if best and problem.is_on_table:
        with journal.stage("finish"):
            summary |= table_answer(setup, records, folder)
            summary["limits"] = _limits(problem, summary["metrics"])
    elif best:
        with journal.stage("finish"):
            trainer = Trainer(problem.finish, problem.seed, folder / "finish", progress)
            finalists = finish(
                trainer, setup.run.tasks, choose(best, problem.goals, problem.finish.keep), problem.goals
            )
            seeds = retrained(trainer, finalists[0])
        with journal.stage("export"):
            summary |= _result(setup, finalists, seeds)
    else:
        summary |= {"limits": _limits(problem, {}), "tasks": {}, "chip": None, "device": None, "artifacts": {}}
        summary["binding"] = _binding(problem, records)
    summary |= {"seconds": journal.total_s, "stages": dict(journal.seconds), "peak_bytes": journal.peak_bytes}
    summary["bill"] = bill(journal.total_s, journal.cpu_s)
    _report(setup, summary, records, others, folder)
    write_text(folder / "summary.json", json.dumps(summary, indent=2))
    journal.event("run ends", seconds=round(journal.total_s, 3), feasible=bool(best))
    return Result(summary, tuple(records), best, folder)


def _search(
    setup: Setup,
    cascade: Any,
    strategy: Any,
    name: str,
    recorder: Recorder,
    progress: Progress | None,
    journal: Journal,
) -> list[Record]:
    """One search with its progress bar: best feasible quality so far, and how many candidates kept the limits."""
    problem = setup.problem
    handle = progress.start(name, problem.budget.candidates) if progress else None
    state: dict[str, Any] = {"feasible": 0, "best": None}

    def seen(batch: Sequence[Record]) -> None:
        recorder.told(name, batch)
        ok = [r for r in batch if problem.goals.feasible(r)]
        state["feasible"] += len(ok)
        known = [] if state["best"] is None else [state["best"]]
        state["best"] = max([*known, *(r.metrics["quality"] for r in ok)], default=None)
        journal.event("told", search=name, candidates=len(batch), feasible=state["feasible"], best=state["best"])
        if progress:
            best = "-" if state["best"] is None else f"{state['best']:.4f}"
            progress.advance(handle, len(batch), feasible=state["feasible"], best=best)

    records = search(strategy, setup.space, cascade, problem.goals, problem.budget, problem.seed, seen)
    if progress:
        progress.finish(handle)
    return records


def _result(setup: Setup, finalists: Sequence[Finalist], seeds: Mapping[str, list[float]]) -> dict[str, Any]:
    """Everything the summary says of the chosen candidate."""
    problem, winner = setup.problem, finalists[0]
    delivered = deliver(winner, finalists[1:], setup.run, setup.run.folder)
    tasks = {}
    for task in setup.run.tasks:
        net = winner.networks[task.name]
        about, score = task_baseline(task.load())
        tasks[task.name] = {
            "metric": task.metric,
            "value": net.test,
            "baseline": score,
            "baseline_is": about,
            "val": net.val,
            "searched": winner.record.metrics[f"{task.name}.{task.metric}"],
            "seeds": seeds[task.name],
            "epochs": net.epochs,
            "splits": task.load().split_note,
            **delivered["networks"][task.name],
        }
    return {
        "limits": _limits(problem, measured(winner)),
        "tasks": tasks,
        "chip": delivered["chip"],
        "artifacts": delivered["artifacts"],
        "schedule": delivered["schedule"],
        "device": delivered["device"],
        "metrics": measured(winner),
        "candidate": winner.record.candidate.to_json(),
        "finalists": [
            {"id": f.record.candidate.id, "quality": f.quality, "searched": f.record.metrics["quality"],
             "test": {n: t.test for n, t in f.networks.items()}, "metrics": measured(f)}
            for f in finalists
        ],
    }  # fmt: skip


def _limits(problem: Problem, metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """The limits as the file names them, with SI numbers and readable text."""
    rows = []
    for name, limit in zip(problem.limits, problem.goals.limits, strict=True):
        value = metrics.get(limit.metric)
        dimension = metric(limit.metric).dimension
        rows.append(
            {
                "name": name,
                "metric": limit.metric,
                "value": value,
                "limit": limit.bound,
                "ok": value is not None and limit.violation(value) == 0.0,
                "value_text": "-" if value is None else format_quantity(value, dimension),
                "limit_text": format_quantity(limit.bound, dimension),
            }
        )
    return rows


def _binding(problem: Problem, records: Sequence[Record]) -> dict[str, Any]:
    """Why nothing is feasible, as JSON."""
    found = binding(records, problem.goals)
    nearest = found.nearest
    return {
        "limit": None if found.limit is None else str(found.limit),
        "least_violation": {str(k): v for k, v in found.least_violation.items()},
        "nearest": None if nearest is None else nearest.to_json(),
    }


def _report(
    setup: Setup,
    summary: dict[str, Any],
    records: Sequence[Record],
    others: Mapping[str, Sequence[Record]],
    folder: Path,
) -> None:
    with replacing(folder / "report.html") as temporary:
        Report().write(temporary, setup.problem, summary, records, others)
