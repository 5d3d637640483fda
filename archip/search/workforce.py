"""Workforce: the executor of a problem, what it evaluates, and the trainings of the finish on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from archip.core import registry
from archip.core.candidate import Genotype
from archip.core.files import make_folder, replacing
from archip.core.problem import Problem
from archip.core.protocols import Executor, Failure, Store, Task
from archip.search.finish import Trainer
from archip.search.travel import FinishCall, stage_call
from archip.search.work import Work

__all__ = ["make_executor", "make_work", "train_ahead"]


def make_executor(problem: Problem) -> Executor | None:
    """The executor of a problem; None where everything happens in this process.

    Raises:
        MissingExtra: Ray is not installed.
        UserError: no cluster answers at the address.
    """
    plug = problem.workers
    if plug.name == "serial":
        if problem.budget.candidate_s is None:
            return None
        return registry.create("distribute", "processes", {"n": 1})  # this process cannot end what hangs
    executor = registry.create("distribute", plug.name, plug.options)
    _ = executor.n_workers  # connects, so that an address that is wrong is told before anything is done
    return executor


def make_work(problem: Problem, folder: Path, store: Store, executor: Executor | None) -> Work:
    """What evaluates the stages of a run in `folder`."""
    call = partial(stage_call, problem, folder, _sees_files(problem))
    return Work(store, executor, call, problem.budget.candidate_s)


def train_ahead(
    executor: Executor, problem: Problem, trainer: Trainer, wanted: Sequence[tuple[Task, Genotype, int]]
) -> Trainer:
    """Do the trainings (task, genotype, repeat) on the workers; the trainer that then finds them done, or failed."""
    folder = trainer.folder.parent
    call = FinishCall(json.dumps(problem.to_json()), str(folder.resolve()), sends=not _sees_files(problem))
    items = [(task.name, genotype, repeat) for task, genotype, repeat in wanted]
    handle = trainer.progress.start("train on the workers", len(items)) if trainer.progress else None
    failed = dict(trainer.failed)
    for number, result in executor.completed(call, items):
        if isinstance(result, Failure) and result.error is not None:
            raise result.error
        path, content = ("", result.reason) if isinstance(result, Failure) else result
        if isinstance(content, str):
            failed[trainer.checkpoint(*wanted[number]).stem] = content
        elif content and not (folder / path).exists():
            make_folder((folder / path).parent)
            with replacing(folder / path) as temporary:
                temporary.write_bytes(content)
        if trainer.progress:
            trainer.progress.advance(handle)
    if trainer.progress:
        trainer.progress.finish(handle)
    return replace(trainer, failed=failed)


def _sees_files(problem: Problem) -> bool:
    return problem.workers.name != "ray" or problem.workers.options.get("address") is None
