"""The front door to chip exploration: networks, a space of chips and limits → chips, certificate, and why not.

>>> explore({"a": workload_a, "b": workload_b}, ChipSpec(), {"area": "4000 mm2"})     # doctest: +SKIP
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archip.core.errors import UserError, nearest
from archip.core.units import parse_quantity
from archip.hardware.chip._layer_prices import CLUSTERS
from archip.hardware.chip.bounds import ChipLimits, no_limits
from archip.hardware.chip.certificate import Certificate
from archip.hardware.chip.classes import CLASSES, ChipClass, best_of_class, worth
from archip.hardware.chip.front import ChipFront, pareto_chips
from archip.hardware.chip.general import GeneralFront, best_general, pareto_general
from archip.hardware.chip.search import Best, Metric, Point, best_chip, key_of
from archip.hardware.chip.space import MAESTRO_DATAFLOWS, ChipSpec
from archip.hardware.chip.table import CostTable, cost_table
from archip.ir.workload import Workload

__all__ = ["METRICS", "ChipResult", "FoundChip", "OfClass", "class_optima", "explore", "parsed_limits"]

_UM2_PER_MM2 = 1_000_000
METRICS: tuple[Metric, ...] = ("latency", "energy", "area")
_DIMENSIONS = {"latency": ("cycles", "time"), "energy": ("energy",), "area": ("area",)}


@dataclass(frozen=True)
class FoundChip:
    """A chip with its schedule: of each layer its core, its start (of a best chip), its cluster where that is free."""

    latency_cycles: int
    energy_j: float
    area_mm2: float
    cores: list[dict[str, Any]]
    assignment: list[int]
    start_cycles: list[int] | None = None
    clusters: list[int] | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class OfClass:
    """The best chip of a class, None where none keeps the limits; `certificate` None: the space has no such chip."""

    chip: FoundChip | None
    certificate: Certificate | None
    above_free: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "chip": None if self.chip is None else self.chip.as_json(),
            "certificate": None if self.certificate is None else self.certificate.as_json(),
            "above_free": self.above_free,
        }


@dataclass(frozen=True)
class ChipResult:
    """What an exploration found.

    Attributes:
        front: the Pareto set, or the one best chip, or nothing.
        layers: names of the layers, in the order of the assignments.
        minimise: what the best chip has least of; None for a Pareto set.
        nearest: where nothing is feasible: for each limit, the chip that comes nearest to it within the other limits;
            None where even without this limit nothing is feasible.
        alone: for each limit where `nearest` is None: the chip with least of it, whatever the other limits.
        last_bound: where nothing is feasible: the bound that excluded the last chips.
        classes: where asked for: metric → class → its best chip; worth: metric → what the wider class saves.
    """

    front: list[FoundChip]
    layers: tuple[str, ...]
    minimise: Metric | None
    certificate: Certificate
    seconds: float
    nearest: dict[str, FoundChip | None] = field(default_factory=dict)
    alone: dict[str, FoundChip] = field(default_factory=dict)
    last_bound: str | None = None
    classes: dict[Metric, dict[ChipClass, OfClass]] = field(default_factory=dict)
    worth: dict[Metric, dict[str, float | None]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "front": [chip.as_json() for chip in self.front],
            "certificate": self.certificate.as_json(),
            "seconds": round(self.seconds, 3),
            "minimise": self.minimise,
            "layers": list(self.layers),
        }
        if not self.front:
            nearest = {name: None if chip is None else chip.as_json() for name, chip in self.nearest.items()}
            alone = {name: chip.as_json() for name, chip in self.alone.items()}
            told |= {"last_bound": self.last_bound, "nearest": nearest, "alone": alone}
        if self.classes:
            told["classes"] = {
                metric: {kind: best.as_json() for kind, best in of_class.items()} | {"worth": self.worth[metric]}
                for metric, of_class in self.classes.items()
            }
        return told


def explore(
    networks: Mapping[str, Workload],
    spec: ChipSpec,
    limits: Mapping[str, str] | None = None,
    minimise: Metric | None = "energy",
    time_limit_s: float = math.inf,
    threads: int = 2,
    cache: Path | None = None,
    advanced: Callable[[int, int], None] = lambda done, total: None,
    classes: bool = False,
    tolerance: float = 0.0,
) -> ChipResult:
    """The best chip for fixed networks, or all chips that nothing beats.

    Args:
        networks: workload by name; each is a chain of layers.
        spec: what may be built.
        limits: metric (latency, energy, area) → quantity with its unit; latency in cycles or time.
        minimise: latency, energy or area; None gives the whole Pareto set.
        time_limit_s: where it ends first, the best found and the gap in the certificate. The cost table is finished in
            any case, and its time counts.
        threads: for the Pareto set.
        cache: folder for cost tables; the same question is then not priced again.
        advanced: told how many chips of how many are done.
        classes: also the best chip of each class (one core, twins, one dataflow, free) for each metric.
        tolerance: of a Pareto set with graphs, DRAM or free mappings: every chip is met by a point within this share in
            latency and in energy.

    Raises:
        UserError: a limit that means nothing, or a layer that no core runs.
    """
    began = time.monotonic()
    _check(spec, minimise, classes, tolerance)
    table = cost_table(networks, spec, cache)
    bounds = parsed_limits(limits or {}, table)
    left_s = time_limit_s - (time.monotonic() - began)
    if minimise is None:
        found, points = _front(table, bounds, left_s, threads, tolerance, advanced)
        chips = [_told(found.table, point) for point in points]
        certificate = found.certificate
    else:
        best = _best(table, bounds, minimise, left_s)
        chips = [] if best.point is None else [_told(best.table, best.point)]
        certificate = best.certificate
    why: dict[str, Any] = {}
    if not chips and certificate.n_open == 0:
        nearest = _nearest(table, bounds, limits or {})
        alone: dict[str, FoundChip] = {}
        for metric in METRICS:
            if metric in nearest and nearest[metric] is None:
                best = _best(table, no_limits(table), metric)
                alone |= {} if best.point is None else {metric: _told(best.table, best.point)}
        why = {"nearest": nearest, "alone": alone, "last_bound": certificate.last_bound}
    if classes:
        left_s = time_limit_s - (time.monotonic() - began)
        why |= dict(zip(("classes", "worth"), class_optima(table, bounds, left_s), strict=True))
    return ChipResult(chips, table.layers, minimise, certificate, time.monotonic() - began, **why)


def _check(spec: ChipSpec, minimise: Metric | None, classes: bool, tolerance: float) -> None:
    """Options that do not go together."""
    is_plain = spec.graph == "chain" and spec.dram is None and spec.mapping != "free"
    if classes and not is_plain:
        raise UserError(
            "classes are told for chains with one mapping a layer", "classes", "no graph, dram or free mapping"
        )
    if tolerance < 0 or (tolerance > 0 and minimise is not None):
        raise UserError(f"{tolerance:g} means nothing", "tolerance", "a share of at least 0, with a Pareto set")
    if tolerance > 0 and is_plain:
        raise UserError("the Pareto set of chains is exact", "tolerance", "for graph: dag, dram, or mapping: free")


def _best(table: CostTable, bounds: ChipLimits, minimise: Metric, time_limit_s: float = math.inf) -> Best:
    find = best_chip if table.extras is None else best_general
    return find(table, bounds, minimise, time_limit_s)


def _front(
    table: CostTable,
    bounds: ChipLimits,
    time_limit_s: float,
    threads: int,
    tolerance: float,
    advanced: Callable[[int, int], None],
) -> tuple[ChipFront | GeneralFront, list[Point]]:
    if table.extras is not None:
        found = pareto_general(table, bounds, time_limit_s, tolerance, advanced)
        return found, found.points
    chips = pareto_chips(table, bounds, time_limit_s, threads, advanced)
    return chips, [chips[n] for n in range(len(chips))]


def class_optima(
    table: CostTable, bounds: ChipLimits, time_limit_s: float = math.inf
) -> tuple[dict[Metric, dict[ChipClass, OfClass]], dict[Metric, dict[str, float | None]]]:
    """(best chip of each class, what the wider classes are worth) for each metric, within the limits."""
    deadline = time.monotonic() + time_limit_s
    chips: dict[Metric, dict[ChipClass, OfClass]] = {}
    shares: dict[Metric, dict[str, float | None]] = {}
    for metric in METRICS:
        found: dict[ChipClass, Best | None] = {
            kind: best_of_class(table, bounds, metric, kind, deadline - time.monotonic()) for kind in CLASSES
        }
        values: dict[ChipClass, float | None] = {kind: _value(best, metric) for kind, best in found.items()}
        chips[metric], shares[metric] = {}, worth(values)
        for kind, best in found.items():
            value, least = values[kind], values["free"]
            above = None if value is None or not least else value / least - 1
            chip = None if best is None or best.point is None else _told(best.table, best.point)
            chips[metric][kind] = OfClass(chip, None if best is None else best.certificate, above)
    return chips, shares


def _value(best: Best | None, metric: Metric) -> int | None:
    return None if best is None or best.point is None else key_of(best.point, metric)[0]


def parsed_limits(limits: Mapping[str, str], table: CostTable) -> ChipLimits:
    """Limits in the table's units; what is not limited is bounded by what any chip keeps."""
    bounds = no_limits(table)
    for metric, text in limits.items():
        if metric not in _DIMENSIONS:
            raise UserError(f"unknown metric {metric!r}", "limits", nearest(metric, _DIMENSIONS))
        try:
            quantity = parse_quantity(text, *_DIMENSIONS[metric])
        except UserError as error:
            raise error.at(f"limits.{metric}") from None
        if quantity.value <= 0:
            raise UserError(f"{text!r} allows nothing", f"limits.{metric}", "a positive quantity")
        if metric == "area":
            bounds = bounds._replace(area=min(bounds.area, _whole(quantity.value * _UM2_PER_MM2)))
        elif metric == "energy":
            bounds = bounds._replace(energy=min(bounds.energy, _whole(quantity.value / table.energy_unit_j)))
        else:
            cycles = quantity.value * (table.clock_hz if quantity.dimension == "time" else 1)
            bounds = bounds._replace(cycles=min(bounds.cycles, _whole(cycles)))
    return bounds


def _whole(value: float) -> int:
    """The largest whole number within `value`, where rounding may have taken it just below one."""
    return math.floor(value * (1 + 1e-12))


def _nearest(table: CostTable, bounds: ChipLimits, limits: Mapping[str, str]) -> dict[str, FoundChip | None]:
    """For each limit the chip with least of it within the others."""
    free = no_limits(table)
    fields = {"latency": "cycles", "energy": "energy", "area": "area"}
    told: dict[str, FoundChip | None] = {}
    for metric in METRICS:
        if metric in limits:
            loosened = bounds._replace(**{fields[metric]: getattr(free, fields[metric])})
            best = _best(table, loosened, metric)
            told[metric] = None if best.point is None else _told(best.table, best.point)
    return told


def _told(table: CostTable, point: Point) -> FoundChip:
    return FoundChip(
        latency_cycles=point.cycles,
        energy_j=point.energy * table.energy_unit_j,
        area_mm2=point.area / _UM2_PER_MM2,
        cores=[table.designs[core]._asdict() for core in point.designs],
        assignment=point.core_L.tolist(),
        start_cycles=None if point.start_L is None else point.start_L.tolist(),
        clusters=_clusters(table, point),
    )


def _clusters(table: CostTable, point: Point) -> list[int] | None:
    """Cluster size of each layer, where the schedule chooses it; cores without clusters have one of their own."""
    if point.way_L is None or table.extras is None or len(table.extras.cycles_MDL) == 1:
        return None
    dataflows = [table.designs[point.designs[core]].dataflow for core in point.core_L.tolist()]
    chosen = zip(dataflows, point.way_L.tolist(), strict=True)
    return [MAESTRO_DATAFLOWS[name][1] if MAESTRO_DATAFLOWS[name][0] == "rs" else CLUSTERS[way] for name, way in chosen]
