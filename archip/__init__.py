"""archip finds neural networks and the chips they run on, together.

>>> import archip
>>> result = archip.run("problem.yaml")          # search, train, export, report   # doctest: +SKIP
>>> result.summary["tasks"], result.folder        # doctest: +SKIP

Names are imported when they are first used, so that ``import archip`` costs little and needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archip.core.candidate import Candidate
    from archip.core.errors import ArchipError, UserError
    from archip.core.pareto import Front, front
    from archip.core.problem import Problem
    from archip.core.record import Record
    from archip.hardware.cost import layer_costs
    from archip.ir.graph import Graph
    from archip.ir.read_onnx import read_onnx
    from archip.ir.read_torch import read_torch
    from archip.ir.workload import workload
    from archip.nets.elastic.convert import elastic
    from archip.nets.stitch import stitch
    from archip.search.chip import chip
    from archip.search.many_targets import run_targets
    from archip.search.run import Result, run
    from archip.search.runs import Run
    from archip.search.runs import open_run as load

_HOME = {
    "ArchipError": "core.errors",
    "Candidate": "core.candidate",
    "Front": "core.pareto",
    "Graph": "ir.graph",
    "Problem": "core.problem",
    "Record": "core.record",
    "Result": "search.run",
    "Run": "search.runs",
    "UserError": "core.errors",
    "chip": "search.chip",
    "elastic": "nets.elastic.convert",
    "front": "core.pareto",
    "layer_costs": "hardware.cost",
    "load": "search.runs",
    "read_onnx": "ir.read_onnx",
    "read_torch": "ir.read_torch",
    "run": "search.run",
    "run_targets": "search.many_targets",
    "stitch": "nets.stitch",
    "workload": "ir.workload",
}

_OTHERWISE = {"load": "open_run"}  # names at home that differ

__all__ = [
    "ArchipError",
    "Candidate",
    "Front",
    "Graph",
    "Problem",
    "Record",
    "Result",
    "Run",
    "UserError",
    "chip",
    "elastic",
    "front",
    "layer_costs",
    "load",
    "read_onnx",
    "read_torch",
    "run",
    "run_targets",
    "stitch",
    "workload",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archip' has no attribute {name!r}")
    return getattr(importlib.import_module(f"archip.{_HOME[name]}"), _OTHERWISE.get(name, name))


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
