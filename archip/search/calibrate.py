"""Calibrate: networks drawn from spaces, measured on a device, and a device file fitted to what they took.

Measurements are kept beside the device file, line by line as they come in; the same command goes on where it was
interrupted. The first network is measured again after every tenth: how far it drifts says how steady the machine was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from archip.core import registry
from archip.core.errors import CandidateError, UserError
from archip.core.problem import Problem
from archip.core.protocols import Progress
from archip.core.rng import generator
from archip.hardware.devices._calibration import LEAST, PREDICTORS, fitted_contents
from archip.hardware.devices._features import FEATURES, PREFIXES, features
from archip.hardware.devices.fitted import network_features
from archip.ir.graph import Graph
from archip.search.setup import make_tasks

__all__ = ["Source", "calibrate", "sources"]

_EVERY = 10  # networks between two looks at the first one
_DRAWS = 50  # without a new network, after which the spaces count as exhausted
# Where no problem says which inputs matter: small images, short series and texts.
_SHAPES = {
    "NCHW": ((1, 8, 8), (3, 16, 16), (3, 32, 32), (3, 64, 64)),
    "NCL": ((3, 64), (6, 128), (1, 256)),
    "NT": ((16,), (64,)),
}


class Source(NamedTuple):
    """A space of networks, the shape of their input, and the number of their outputs."""

    space: Any
    input_shape: tuple[int, ...]
    n_outputs: int


def sources(problem: Problem | None) -> list[Source]:
    """The spaces and data of a problem; without one, every network space with inputs of several sizes."""
    if problem is not None:
        data = [(task.space, task.load()) for task in make_tasks(problem)]
        return [Source(space, tuple(d.input_shape), d.n_outputs) for space, d in data]
    found = []
    for name in registry.names("spaces"):
        if hasattr(registry.find("spaces", name), "task"):
            space = registry.create("spaces", name)
            found += [Source(space, shape, 10) for shape in _SHAPES.get(space.axes, ())]
    return found


def calibrate(
    name: str,
    runner: Any,
    drawn_from: Sequence[Source],
    budget: int,
    seed: int,
    log: Path,
    progress: Progress | None = None,
    predictors: Sequence[Any] = PREDICTORS,
) -> dict[str, Any]:
    """The contents of a device file after `budget` measurements.

    Args:
        runner: a device with `measure_graph`, `machine` and `runtime`.
        log: where the measurements are kept, and read from if they are there already.
        predictors: to choose from.

    Raises:
        UserError: `log` belongs to another calibration, or the spaces have too few networks.
    """
    if budget < LEAST:
        raise UserError(f"{budget} measurements are too few to fit and to tell the error", "budget", f"{LEAST} or more")
    settings = {"machine": runner.machine, "key": runner.key, "seed": seed, "features": list(FEATURES)}
    settings["sources"] = [[type(s.space).__name__, repr(s.space), list(s.input_shape)] for s in drawn_from]
    journal = _Journal.opened(log, settings)
    handle = progress.start(f"measure on {runner.runtime}", budget) if progress else None
    rows, references = [], []
    first: Graph | None = None
    for number, graph in enumerate(_networks(drawn_from, seed)):
        first = first or graph
        if number % _EVERY == 0:
            references.append(journal.measured(runner, f"reference {number}", first)["latency_s"])
        rows.append(journal.measured(runner, graph.id, graph))
        if progress:
            progress.advance(handle, latency_ms=1e3 * rows[-1]["latency_s"])
        if len(rows) == budget:
            break
    if progress:
        progress.finish(handle)
    if len(rows) < budget:
        raise UserError(f"the spaces gave {len(rows)} different networks, {budget} are wanted", "budget")
    made = {
        "from": "measurements",
        "machine": runner.machine,
        "runtime": runner.runtime,
        "threads": runner.threads,
        "drift": round(float(np.max(np.abs(np.array(references) / references[0] - 1))), 4),
        "unsteady": sum(abs(row["drift"] - 1) > runner.max_drift for row in rows),
        "seed": seed,
    }
    X_NF = np.array([row["features"] for row in rows])
    latency_N = np.array([row["latency_s"] for row in rows])
    return fitted_contents(name, made, network_features(), X_NF, latency_N, PREFIXES, seed, predictors)


def _networks(drawn_from: Sequence[Source], seed: int) -> Iterator[Graph]:
    """Different networks, from one source after the other, until nothing new is drawn."""
    rng, seen, in_vain = generator(seed, "calibrate"), set[str](), 0
    while in_vain < _DRAWS * len(drawn_from):
        for source in drawn_from:
            in_vain += 1
            try:
                graph = source.space.graph(source.space.sample(rng), source.input_shape, source.n_outputs)
                features(graph)
            except CandidateError:
                continue
            if graph.id not in seen:
                seen.add(graph.id)
                in_vain = 0
                yield graph


@dataclass
class _Journal:
    """Measurements in a file, one a line, after a line with the settings."""

    path: Path
    known: dict[str, dict[str, Any]]

    @classmethod
    def opened(cls, path: Path, settings: Mapping[str, Any]) -> _Journal:
        lines = _whole_lines(path)
        if not lines:
            path.write_text(json.dumps(settings) + "\n", encoding="utf-8")
        elif lines[0] != json.loads(json.dumps(settings)):
            right = "delete it, or choose another --out"
            raise UserError("holds measurements of another machine, seed, or choice of networks", str(path), right)
        return cls(path, {line["id"]: line for line in lines[1:]})

    def measured(self, runner: Any, key: str, graph: Graph) -> dict[str, Any]:
        """The measurement of this name, made now if it is not known."""
        if key not in self.known:
            row = {"id": key, **runner.measure_graph(graph), "features": features(graph).tolist()}
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self.known[key] = row
        return self.known[key]


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of the file; a last one that a kill cut off is taken out of it."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError:
        raise UserError("is no list of measurements", str(path), "delete it, or choose another --out") from None
