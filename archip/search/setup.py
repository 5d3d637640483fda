"""Setup: a problem made ready to search: data, spaces and stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archip.core import registry
from archip.core.candidate import Candidate
from archip.core.compression import Compress
from archip.core.errors import MissingExtra, UserError
from archip.core.problem import Plug, Problem
from archip.core.protocols import Designer, Progress, RunContext, Space, Stage, Store, Strategy, Task
from archip.core.record import metric
from archip.core.target import target_plug
from archip.search.cascade import Cascade
from archip.search.finish import Trainer
from archip.search.work import Work
from archip.spaces.chip import Chip
from archip.spaces.compression import Compression
from archip.spaces.product import ProductSpace

__all__ = ["Setup", "make_target", "make_tasks", "prepare"]


@dataclass(frozen=True)
class Setup:
    """What a search needs, made from a problem and a run folder."""

    problem: Problem
    run: RunContext
    space: ProductSpace
    stages: tuple[Stage, ...]

    def cascade(self, store: Store, progress: Progress | None, work: Work | None = None) -> Cascade:
        """A fresh cascade (with its own counts) over the shared stages."""
        return Cascade(self.stages, self.problem.goals, store, self.run.tasks, progress, work=work)

    def trainer(self, progress: Progress | None) -> Trainer:
        """What trains finalists, with checkpoints in the run's folder."""
        judges = [stage for stage in self.stages if hasattr(stage, "network")]
        inherited = {stage.task.name: stage.network for stage in judges}  # pyright: ignore[reportAttributeAccessIssue]
        finish = self.problem.finish
        return Trainer(
            finish, self.problem.seed, self.run.folder / "finish", progress, {}, inherited, self.run.quantizer
        )

    def strategy(self, plug: Plug | None = None) -> Strategy:
        """A fresh strategy: the problem's own, or the one of a baseline."""
        plug = plug or self.problem.strategy
        return registry.create("strategies", plug.name, plug.options)


def prepare(problem: Problem, folder: Path) -> Setup:
    """Read the data, check that they suit the networks, and make spaces and stages; nothing is written.

    Raises:
        UserError: data that are missing, malformed, or of the wrong shape for the task's network.
        MissingExtra: torch is not installed.
    """
    if not problem.is_on_table and find_spec("torch") is None:
        raise MissingExtra("torch", "torch", "a run trains networks and")
    tasks = make_tasks(problem)
    target = make_target(problem)
    quantizer = None
    if problem.compress is not None:
        plug = problem.compress.quantizer
        quantizer = registry.create("compress/quantize", plug.name, plug.options)
    run = RunContext(tasks, target, problem.goals, problem.seed, folder, problem.schedule or "hap", quantizer)
    parts: dict[str, Any] = {f"net.{task.name}": task.space for task in tasks}
    if isinstance(target, Space):
        parts["hw"] = target
    if problem.compress is not None:
        parts |= {f"compress.{task.name}": _compression(task, problem.compress) for task in tasks}
    accuracy = registry.create("evaluators", problem.evaluator.name, problem.evaluator.options)
    costs = () if problem.is_on_table else registry.create("evaluators", "cost", _scheduled(problem)).stages(run)
    stages = (*costs, *accuracy.stages(run))
    designer = _designer(run) if isinstance(target, Chip) else None
    screen = partial(_screen, stages[0]) if stages[0].name == "cost" else None
    return Setup(problem, run, ProductSpace(parts, designer, screen), stages)


def _compression(task: Task, compress: Compress) -> Compression:
    data, space = task.load(), task.space
    shapes = (data.input_shape, data.n_outputs)
    return Compression.of(
        space, lambda genotype: space.graph(genotype, *shapes), compress.weight_bits, compress.activation_bits
    )


def _scheduled(problem: Problem) -> dict[str, str]:
    return {} if problem.schedule is None else {"schedule": problem.schedule}


def _designer(run: RunContext) -> Designer:
    from archip.search.codesign import ChipDesigner  # its kernels take a second to load

    return ChipDesigner(run)


def _screen(stage: Stage, candidates: Sequence[Candidate]) -> list[Mapping[str, float]]:
    """What the stage says of candidates (`core/protocols.py: Screen`)."""
    return [outcome.metrics for outcome in stage.evaluate(candidates)]


def make_target(problem: Problem) -> Any:
    """The chip space, the accelerator or the device of a problem; None where it has no target."""
    if problem.target is None:
        return None
    kind, plug = target_plug(problem.target)
    return registry.create(kind, plug.name, plug.options)


def make_tasks(problem: Problem) -> tuple[Task, ...]:
    """The tasks of a problem, with their data read and checked."""
    tasks = []
    for name, spec in problem.tasks.items():
        space = registry.create("spaces", spec.net.name, spec.net.options)
        if problem.is_on_table:  # where less is better, the quality is the metric with its sign turned
            goal = metric(str(spec.metric)).goal
            return (Task(name, space, lambda: None, str(spec.metric), goal * float(spec.weight or 0.0)),)
        load = cache(partial(_load, spec.data, f"tasks.{name}.data"))
        _check_fit(load(), space, spec, f"tasks.{name}")
        tasks.append(Task(name, space, load, str(spec.metric), float(spec.weight or 0.0)))
    return tuple(tasks)


def _load(plug: Plug, where: str) -> Any:
    try:
        return registry.create("data", plug.name, plug.options).load()
    except UserError as error:
        raise error.at(where) from None


def _check_fit(data: Any, space: Any, spec: Any, where: str) -> None:
    wanted = (space.axes, space.task)
    if (data.axes, data.task) != wanted:
        raise UserError(
            f"the data are {data.axes} for {data.task}, the network {spec.net.name} takes {wanted[0]} for {wanted[1]}",
            where,
            "choose a network space that suits the data: archip list spaces",
        )
    known = getattr(space, "vocabulary", None)
    if known is not None and known < data.n_tokens:
        text = f"the data have {data.n_tokens} token numbers, the network {spec.net.name} knows {known}"
        raise UserError(text, where, f"vocabulary: {data.n_tokens} in the network's options, or fewer in the data's")
