"""Design: the networks, costs, chip and schedule of one candidate, computed anew from its genotypes.

The numbers are those of the candidate's metrics: the same cost engine, under the same limits. What cannot be computed
here (data that are not on this machine, a network that cannot be built) is told in words.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from archip.core.candidate import Candidate, bits_of
from archip.core.errors import ArchipError
from archip.core.problem import Problem
from archip.core.protocols import RunContext, Task
from archip.dashboard.book import Entry
from archip.ir.graph import Graph
from archip.ir.workload import Workload, workload
from archip.search.setup import make_target, make_tasks

__all__ = ["Design", "design"]

_MOST_CONTEXTS, _MOST_DESIGNS = 4, 64


@dataclass(frozen=True)
class _Shapes:
    """What costs need of a data set; the samples are not kept."""

    input_shape: tuple[int, ...]
    n_outputs: int
    axes: str


@dataclass(frozen=True)
class Design:
    """A candidate made concrete.

    Attributes:
        graphs, workloads: by task; workloads at the bits of the candidate's compression.
        axes: task → layout of its inputs.
        bits: task → options of `ir.workload.workload`.
        chip, schedule: as in ``chip.yaml`` and ``schedule.json``; None where no chip was asked for.
        untold: why something is missing.
    """

    graphs: Mapping[str, Graph] = field(default_factory=dict)
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    axes: Mapping[str, str] = field(default_factory=dict)
    bits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    chip: Mapping[str, Any] | None = None
    schedule: tuple[Mapping[str, Any], ...] = ()
    untold: str = ""


_contexts: OrderedDict[str, RunContext] = OrderedDict()
_designs: OrderedDict[tuple[str, str], Design] = OrderedDict()
_lock = threading.Lock()


def design(entry: Entry, candidate: Candidate) -> Design:
    """The design of a candidate; the last few are remembered."""
    problem = entry.run.problem
    key = (problem.id, candidate.id)
    with _lock:  # one at a time: the first compiles or loads the cost kernels
        if key not in _designs:
            _designs[key] = _made(problem, candidate)
            while len(_designs) > _MOST_DESIGNS:
                _designs.popitem(last=False)
        return _designs[key]


def _made(problem: Problem, candidate: Candidate) -> Design:
    try:
        context = _context(problem)
        found = _networks(context, candidate)
    except ArchipError as error:
        return Design(untold=f"The networks cannot be shown: {error}")
    if context.target is None or not hasattr(context.target, "design"):
        return found
    from archip.evaluators.cost import plan
    from archip.export.chip_yaml import describe

    try:
        chip, schedule = describe(plan(candidate, context))
    except ArchipError as error:
        return replace(found, untold=f"The chip cannot be shown: {error}")
    return replace(found, chip=chip, schedule=tuple(schedule))


def _networks(context: RunContext, candidate: Candidate) -> Design:
    graphs, works, axes, bits = {}, {}, {}, {}
    for task in context.tasks:
        data = task.load()
        graphs[task.name] = task.space.graph(candidate.net[task.name], data.input_shape, data.n_outputs)
        bits[task.name] = bits_of(candidate.compress.get(task.name, {}))
        works[task.name] = workload(graphs[task.name], **bits[task.name])
        axes[task.name] = data.axes
    return Design(graphs, works, axes, bits)


def _context(problem: Problem) -> RunContext:
    """What the cost engine needs of a problem; data sets are read once, for their shapes."""
    if problem.id not in _contexts:
        from pathlib import Path

        tasks = tuple(_without_data(task) for task in make_tasks(problem))
        _contexts[problem.id] = RunContext(tasks, make_target(problem), problem.goals, problem.seed, Path())
        while len(_contexts) > _MOST_CONTEXTS:
            _contexts.popitem(last=False)
    return _contexts[problem.id]


def _without_data(task: Task) -> Task:
    data = task.load()
    shapes = _Shapes(tuple(data.input_shape), int(data.n_outputs), str(getattr(data, "axes", "")))
    return replace(task, load=lambda: shapes)
