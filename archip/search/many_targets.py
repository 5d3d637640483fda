"""Many targets: one run for each, which share their trained supernet and its accuracies.

runs/<name>/shared.sqlite        all evaluations: what one target has measured, the next one reads
            supernet/            trained once (or the folder of another evaluator)
            <name>.<target>/     the run of a target, as any other
            summary.json         the summaries by target
            report.html          the answers side by side
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archip.core.errors import UserError
from archip.core.files import make_folder, write_text
from archip.core.problem import Problem
from archip.core.protocols import Progress
from archip.core.targets import load_problems, problems_of
from archip.export._page import page
from archip.search.remote import is_url, staged
from archip.search.run import Result, run

__all__ = ["run_targets"]

_STORE = "shared.sqlite"


def run_targets(
    problems: Mapping[str, Problem] | Mapping[str, Any] | str | Path,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    store: str | None = None,
    workers: int | str | Mapping[str, Any] | None = None,
) -> dict[str, Result]:
    """Search, train and export for every target of a problem; what was interrupted goes on where it stopped.

    Args:
        problems: by target, or a problem with ``targets`` as a dict or the path of its file.
        folder: of all runs; by default ``runs/<name of the problem>``. May be a URL, as in `run`.
        store: of the records of all targets, in place of the problem's; by default they are in the folder.
        workers: as in `run`.

    Raises:
        UserError: as `run`; before the first search where the problem itself is at fault.
    """
    if isinstance(problems, str | Path):
        problems = load_problems(problems)
    elif not all(isinstance(problem, Problem) for problem in problems.values()):
        problems = problems_of(problems)
    names = {problem.name.removesuffix(f".{target}") for target, problem in problems.items()}
    if len(names) != 1 or "" in problems:
        raise UserError("has no targets", "targets", "archip.run is for a single one")
    (name,) = names
    if folder is not None and is_url(folder):
        with staged(str(folder)) as stage:
            return run_targets(problems, stage, progress, store, workers)
    folder, began = make_folder(Path(folder or Path("runs") / name)), time.perf_counter()
    results = {}
    for target, problem in problems.items():
        where = store or problem.store or str(folder / _STORE)
        own = make_folder(folder / f"{name}.{target}")
        _share(folder, own, problem.evaluator.name)
        results[target] = run(problem, own, progress, where, workers)
    summary = {
        "name": name,
        "seconds": time.perf_counter() - began,
        "feasible": all(result.summary["feasible"] for result in results.values()),
        "targets": {target: result.summary for target, result in results.items()},
    }
    rows = [_row(target, result, folder) for target, result in results.items()]
    write_text(folder / "report.html", page("targets.html.j2", {}, name=name, rows=rows))
    write_text(folder / "summary.json", json.dumps(summary, indent=2))
    return results


def _share(folder: Path, own: Path, evaluator: str) -> None:
    """Let the evaluator of a run keep its files (the trained supernet) in the folder of all runs."""
    make_folder(folder / evaluator)
    with contextlib.suppress(FileExistsError):
        (own / evaluator).symlink_to(Path("..") / evaluator, target_is_directory=True)


def _row(target: str, result: Result, folder: Path) -> dict[str, Any]:
    summary = result.summary
    tasks = {name: f"{task['metric']} {task['value']:.4f}" for name, task in summary["tasks"].items()}
    return {
        "target": target,
        "feasible": summary["feasible"],
        "tasks": tasks,
        "limits": summary["limits"],
        "seconds": summary["seconds"],
        "report": (result.folder / "report.html").relative_to(folder).as_posix(),
    }
