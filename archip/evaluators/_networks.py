"""The networks of a candidate, for the stages that price them."""

from __future__ import annotations

import dataclasses
from typing import Any

from archip.core.candidate import Candidate, bits_of
from archip.core.protocols import Task
from archip.hardware.devices._device import Deployed

__all__ = ["about", "deployed"]


def about(task: Task) -> dict[str, Any]:
    """What the costs of a task's networks depend on besides the genotype."""
    data, space = task.load(), task.space
    options = {f.name: getattr(space, f.name) for f in dataclasses.fields(space)}
    shapes = {"input_shape": list(data.input_shape), "n_outputs": data.n_outputs}
    return {"space": type(space).__name__, "options": options, **shapes}


def deployed(task: Task, candidate: Candidate) -> Deployed:
    """The network of one task with the bits of its compression.

    Raises:
        CandidateError: it cannot be built.
    """
    data = task.load()
    graph = task.space.graph(candidate.net[task.name], data.input_shape, data.n_outputs)
    return Deployed(graph, bits_of(candidate.compress.get(task.name, {})))
