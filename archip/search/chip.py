"""``archip.chip``: the best chip, or all that matter, for networks that are fixed.

A network is an ONNX file, a layer table (``layers.csv``, or ``layers.csv:NETWORK`` where it holds several), a genotype
of a space (``resnet9:32,128,2,256,2,256,2@3x32x32``: genes in the order of `archip show`, input without the batch axis,
and ``:N`` outputs behind it if they are not 10 classes or one mask), a Graph, or a Workload.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from archip.core import registry
from archip.core.errors import CandidateError, UserError
from archip.core.yaml_file import read_yaml
from archip.hardware.chip.explore import ChipResult, explore
from archip.hardware.chip.search import Metric
from archip.hardware.chip.space import ChipSpec
from archip.ir.graph import Graph
from archip.ir.layer_table import from_table
from archip.ir.read_onnx import read_onnx
from archip.ir.workload import Workload, workload
from archip.spaces._network import NetworkSpace

__all__ = ["cache_folder", "chip", "load_spec", "read_networks"]

_GENOTYPE = re.compile(r"(?P<space>[a-z0-9_]+):(?P<genes>[^@]+)@(?P<shape>\d+(x\d+)*)(:(?P<outputs>\d+))?")
_OUTPUTS = {"classification": 10, "segmentation": 1}
Model = str | Path | Graph | Workload


def chip(
    models: Sequence[Model] | Mapping[str, Model],
    spec: ChipSpec | Mapping[str, Any] | str | Path | None = None,
    limits: Mapping[str, str] | str | None = None,
    *,
    minimise: Metric | None = "energy",
    cost_model: str | None = None,
    graph: str | None = None,
    dram: str | None = None,
    time_limit_s: float = math.inf,
    threads: int = 2,
    cache: Path | None = None,
    advanced: Callable[[int, int], None] = lambda done, total: None,
    classes: bool = False,
    tolerance: float = 0.0,
) -> ChipResult:
    """The best chip for fixed networks, or (``minimise=None``) the exact Pareto set of latency, energy and area.

    >>> archip.chip(["a.onnx", "b.onnx"], "chip.yaml", "latency=8e5 cycles,area=4000 mm2")      # doctest: +SKIP

    Args:
        models: networks, by name if they are to have one.
        spec: the space of chips (`ChipSpec`), its options, or a YAML file with them; None is NASAIC's space.
        limits: ``latency=8e5 cycles,energy=2 mJ,area=4 mm2`` or a mapping.
        minimise: latency, energy or area; None for the Pareto set.
        cost_model: maestro or loopnest, in place of the spec's.
        graph: chain or dag, in place of the spec's.
        dram: bandwidth that all cores share, in place of the spec's.
        time_limit_s: where it ends first, the best found and the proven gap.
        threads: for the Pareto set.
        cache: folder for cost tables, so that nothing is priced twice.
        advanced: told how many chips of how many are done.
        classes: also the best chip of each class: one core, equal cores, one dataflow, any.
        tolerance: of a Pareto set with graphs, DRAM or free mappings; a share.

    Raises:
        UserError: a network that cannot be read or run, an option that means nothing.
    """
    works, space = read_networks(models), load_spec(spec, cost_model, graph, dram)
    asked = _limits(limits) if isinstance(limits, str) else limits
    return explore(works, space, asked, minimise, time_limit_s, threads, cache, advanced, classes, tolerance)


def read_networks(models: Sequence[Model] | Mapping[str, Model]) -> dict[str, Workload]:
    """Workload by name."""
    named = models if isinstance(models, Mapping) else _named(models)
    if not named:
        raise UserError("there is no network", "models", "one at least")
    return {name: _read(model) for name, model in named.items()}


def load_spec(
    spec: ChipSpec | Mapping[str, Any] | str | Path | None,
    cost_model: str | None = None,
    graph: str | None = None,
    dram: str | None = None,
) -> ChipSpec:
    """The space of chips from its options or from a YAML file; the other arguments replace what it says."""
    given = {"cost_model": cost_model, "graph": graph, "dram": dram}
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(spec, ChipSpec):
        return replace(spec, **given)
    where = str(spec) if isinstance(spec, str | Path) else "spec"
    options = _read_yaml(Path(spec)) if isinstance(spec, str | Path) else dict(spec or {})
    try:
        return registry.validate(ChipSpec, options | given)
    except UserError as error:
        raise (error if error.where in given else error.in_file(where)) from None


def cache_folder() -> Path:
    """Where the command keeps cost tables."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archip" / "chip"


def _read_yaml(path: Path) -> dict[str, Any]:
    options = read_yaml(path)
    if options is not None and not isinstance(options, dict):
        raise UserError("is not a mapping of options", str(path), "e.g. cores: 2")
    return options or {}


def _limits(text: str) -> dict[str, str]:
    """``latency=8e5 cycles,area=4 mm2`` as a mapping."""
    limits = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        metric, sign, quantity = part.partition("=")
        if not sign:
            raise UserError(f"{part!r} is not METRIC=QUANTITY", "limits", "e.g. latency=8e5 cycles,area=4 mm2")
        if metric.strip() in limits:
            raise UserError(f"{metric.strip()} is limited twice", "limits")
        limits[metric.strip()] = quantity.strip()
    return limits


def _named(models: Sequence[Model]) -> dict[str, Model]:
    """A name for each model: the file's or the space's, numbered where it occurs again."""
    named: dict[str, Model] = {}
    for model in models:
        if isinstance(model, Graph | Workload):
            name = "network"
        elif (match := _GENOTYPE.fullmatch(str(model))) is not None:
            name = match["space"]
        else:
            path, _, network = str(model).partition(".csv:")
            name = network or Path(path).stem
        same = sum(known.partition("#")[0] == name for known in named)
        named[name if not same else f"{name}#{same + 1}"] = model
    return named


def _read(model: Model) -> Workload:
    if isinstance(model, Workload):
        return model
    if isinstance(model, Graph):
        return workload(model)
    text = str(model)
    if (match := _GENOTYPE.fullmatch(text)) is not None:
        return workload(_of_genotype(match, text))
    if text.endswith(".csv") or ".csv:" in text:
        path, sign, network = text.partition(".csv:")
        work = from_table(path + ".csv" if sign else path, network or None)
        if any(not before for before in work.predecessors[1:]):
            raise UserError("the table holds several networks", text, f"name one: {Path(text).name}:NETWORK")
        return work
    if text.endswith(".onnx"):
        return workload(read_onnx(text))
    raise UserError("is no network", text, "an .onnx file, a .csv layer table, or SPACE:GENES@CxHxW")


def _of_genotype(match: re.Match[str], text: str) -> Graph:
    """The graph of ``resnet9:32,128,2,256,2,256,2@3x32x32``."""
    space = registry.create("spaces", match["space"])
    if not isinstance(space, NetworkSpace):
        raise UserError(f"{match['space']} is no space of networks", text)
    names, values = list(space.knobs), match["genes"].split(",")
    genes: dict[str, Any] = {}
    for name in names:
        if space.is_active(name, genes) and len(genes) < len(values):
            known = {str(value): value for value in space.knobs[name].values}
            value = values[len(genes)].strip()
            if value not in known:
                raise UserError(f"{name} is {value!r}", text, f"one of {', '.join(known)}")
            genes[name] = known[value]
    wanted = [name for name in names if space.is_active(name, genes)]
    if len(values) != len(wanted) or len(genes) != len(wanted):
        raise UserError(f"{len(values)} genes are given", text, f"{len(wanted)}: {', '.join(wanted)}")
    shape = [int(side) for side in match["shape"].split("x")]
    if len(shape) != len(space.axes) - 1:
        right = f"{'x'.join(space.axes[1:])}, the axes of its inputs without samples"
        raise UserError(f"{match['shape']} is no input of {match['space']}", text, right)
    try:
        return space.graph(genes, shape, int(match["outputs"] or _OUTPUTS[space.task]))
    except CandidateError as error:
        raise UserError(str(error), text) from None
