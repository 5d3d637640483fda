"""The main job: from a problem to trained networks, a designed chip, and a report, in one folder.

runs/<name>/problem.yaml   the problem as resolved      records.sqlite   every evaluation (or a store by URL)
            artifacts/     networks, chip, schedule     summary.json     the result in numbers
            report.html    the result to look at        log.jsonl        what happened when
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from archip.core.files import make_folder, replacing, write_text
from archip.core.problem import Problem
from archip.core.protocols import Executor, Progress
from archip.core.record import Record, metric
from archip.core.units import format_quantity
from archip.export.report import Report
from archip.search.baseline import task_baseline
from archip.search.bill import bill
from archip.search.compare import compare
from archip.search.deliver import deliver
from archip.search.findings import Findings
from archip.search.finish import Finalist, Trainer, choose, finish, measured, retrained
from archip.search.journal import Journal
from archip.search.lineage import LineageFile, traced
from archip.search.loop import search
from archip.search.ranking import ranking
from archip.search.recorder import Recorder
from archip.search.remote import is_url, staged
from archip.search.runs import open_run
from archip.search.setup import Setup, prepare
from archip.search.table_answer import table_answer
from archip.search.workforce import make_executor, make_work, train_ahead

__all__ = ["Result", "run"]


@dataclass(frozen=True)
class Result:
    """What a run gave: the summary that ``summary.json`` holds, the front, and the run's folder."""

    summary: dict[str, Any]
    front: tuple[Record, ...]
    folder: Path
    store: str | None = None  # where the records are, if not in the folder

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """All records of the search, read from the store."""
        run = open_run(self.store or self.folder, self.folder.resolve().name if self.store else None)
        try:
            return tuple(run.records(None, 0, self.summary["counts"]["all"]))
        finally:
            run.close()


def run(
    problem: Problem | Mapping[str, Any] | str | Path,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    store: str | None = None,
    workers: int | str | Mapping[str, Any] | None = None,
) -> Result:
    """Search, train, export and report. A run that was interrupted goes on where it stopped.

    Args:
        problem: a problem, its dict, or the path of a problem file.
        folder: the run's folder; by default ``runs/<name of the problem>``. A URL (``s3://bucket/run``) is worked on in
            a local folder and sent at the end.
        store: path or URL of the records, in place of the problem's; by default they are in the folder.
        workers: in place of the problem's: a number of processes, ``ray``, ``ray://HOST:PORT``, or an executor.

    Raises:
        UserError: the problem, its data or the folder cannot be used; nothing has been written then.
    """
    if isinstance(problem, str | Path):
        problem = Problem.load(problem)
    elif not isinstance(problem, Problem):
        problem = Problem.from_dict(problem)
    if folder is not None and is_url(folder):
        with staged(str(folder)) as stage:
            return run(problem, stage, progress, store, workers)
    folder = Path(folder or Path("runs") / problem.name)
    if store is not None:
        problem = problem.kept_in(store)
    if workers is not None:
        problem = problem.run_by(workers)
    setup = prepare(problem, folder)
    executor = make_executor(problem)
    ending = contextlib.nullcontext() if executor is None else contextlib.closing(executor)
    with ending, Recorder(problem, make_folder(folder), problem.store) as recorder:
        result = _run(setup, recorder, progress, executor)
        recorder.done(result.summary)
    return result


def _run(setup: Setup, recorder: Recorder, progress: Progress | None, executor: Executor | None) -> Result:
    problem, folder, store = setup.problem, setup.run.folder, recorder.store
    work = make_work(problem, folder, store, executor)
    write_text(folder / "problem.yaml", problem.to_yaml())
    journal = Journal(folder / "log.jsonl")
    journal.event("run begins", problem=problem.id, version=version("archip"), seed=problem.seed)
    cascade = setup.cascade(store, progress, work)
    with journal.stage("search"):
        found = _search(setup, cascade, setup.strategy(), problem.strategy.name, recorder, progress, journal)
    best = found.front
    with journal.stage("baselines"):
        others = {
            plug.name: _search(
                setup,
                setup.cascade(store, progress, work),
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
        "counts": {"all": found.n, "feasible": found.n_feasible, "failed": found.n_failed},
        "comparison": compare({problem.strategy.name: found, **others}),
    }
    if best and problem.is_on_table:
        with journal.stage("finish"):
            summary |= table_answer(setup, [*best, *found.shown], folder)
            summary["limits"] = _limits(problem, summary["metrics"])
    elif best:
        with journal.stage("finish"):
            trainer = setup.trainer(progress)
            finalists, seeds = _finished(setup, trainer, executor, best)
            ranked = ranking(setup, trainer)
        with journal.stage("export"):
            summary |= {**_result(setup, finalists, seeds), "ranking": ranked}
    else:
        summary |= {"limits": _limits(problem, {}), "tasks": {}, "chip": None, "device": None, "artifacts": {}}
        summary["binding"] = _binding(found)
    summary |= {"seconds": journal.total_s, "stages": dict(journal.seconds), "peak_bytes": journal.peak_bytes}
    is_whole = problem.workers.options.get("address") is None  # workers elsewhere are not measured
    summary["bill"] = bill(journal.total_s, journal.earlier_cpu_s + journal.cpu_s, journal.peak_bytes, is_whole)
    _report(setup, summary, found, others, folder)
    write_text(folder / "summary.json", json.dumps(summary, indent=2))
    journal.event("run ends", seconds=round(journal.total_s, 3), feasible=bool(best))
    return Result(summary, tuple(best), folder, problem.store)


def _finished(
    setup: Setup, trainer: Trainer, executor: Executor | None, best: Sequence[Record]
) -> tuple[list[Finalist], dict[str, list[float]]]:
    """The finalists trained in full, the best first, and the scores of that one with other seeds."""
    goals, tasks = setup.problem.goals, setup.run.tasks
    chosen = choose(best, goals, trainer.options.keep)
    if executor is not None and trainer.options.epochs != 0:
        wanted = [(task, record.candidate.net[task.name], 0) for record in chosen for task in tasks]
        trainer = train_ahead(executor, setup.problem, trainer, wanted)
    finalists = finish(trainer, tasks, chosen, goals)
    if executor is not None and trainer.options.seeds > 1:
        networks = finalists[0].networks.values()
        again = [(net.task, net.genotype, repeat) for net in networks for repeat in range(1, trainer.options.seeds)]
        trainer = train_ahead(executor, setup.problem, trainer, again)
    return finalists, retrained(trainer, finalists[0])


def _search(
    setup: Setup,
    cascade: Any,
    strategy: Any,
    name: str,
    recorder: Recorder,
    progress: Progress | None,
    journal: Journal,
) -> Findings:
    """One search with its progress bar: best feasible quality so far, and how many candidates kept the limits."""
    problem = setup.problem
    handle = progress.start(name, problem.budget.candidates) if progress else None
    found = Findings(problem.goals)
    space = traced(setup.space)
    lineage = None if name.startswith("baseline ") else LineageFile(setup.run.folder / "lineage.csv", space)

    def seen(batch: Sequence[Record]) -> None:
        recorder.told(name, batch)
        if lineage:
            lineage.told(batch)
        found.add(batch)
        journal.event("told", search=name, candidates=len(batch), feasible=found.n_feasible, best=found.best_quality)
        if progress:
            best = "-" if found.best_quality is None else f"{found.best_quality:.4f}"
            progress.advance(handle, len(batch), feasible=found.n_feasible, best=best)

    search(strategy, space, cascade, problem.goals, problem.budget, problem.seed, seen)
    if progress:
        progress.finish(handle)
    return found


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


def _binding(findings: Findings) -> dict[str, Any]:
    """Why nothing is feasible, as JSON."""
    found = findings.binding
    nearest = found.nearest
    return {
        "limit": None if found.limit is None else str(found.limit),
        "least_violation": {str(k): v for k, v in found.least_violation.items()},
        "nearest": None if nearest is None else nearest.to_json(),
    }


def _report(
    setup: Setup, summary: dict[str, Any], found: Findings, others: Mapping[str, Findings], folder: Path
) -> None:
    with replacing(folder / "report.html") as temporary:
        baselines = {name: other.shown for name, other in others.items()}
        Report().write(temporary, setup.problem, summary, found.shown, baselines)
