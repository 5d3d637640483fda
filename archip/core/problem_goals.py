"""The limits and objectives of a problem, by the names and units that users write."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from archip.core.errors import UserError, nearest
from archip.core.objectives import Limit, Objective
from archip.core.problem_file import Plug, TaskSpec
from archip.core.record import METRICS, metric
from archip.core.target import TARGETS
from archip.core.units import parse_quantity

__all__ = ["COSTS", "read_limit", "read_objectives", "with_bounds"]

# The names that limits and objectives go by, and the metric each of them means for a unit of each dimension.
# Those of params and macs are known without a target.
COSTS = {
    "latency": {"cycles": "latency_cycles", "time": "latency_s"},
    "energy": {"energy": "energy_j"},
    "area": {"area": "area_mm2"},
    "flash": {"size": "flash_bytes"},
    "sram": {"size": "sram_bytes"},
    "memory": {"size": "memory_bytes"},
    "params": {"share": "params"},
    "macs": {"share": "macs"},
}
_ALWAYS = frozenset({"params", "macs"})


def with_bounds(limits: Mapping[str, Any], bounds: Mapping[str, str]) -> dict[str, Any]:
    """The limits of the file and those that the target sets; the file may be stricter, not laxer."""
    for name, bound in bounds.items():
        if name in limits:
            given, most = (parse_quantity(text, "size").value for text in (limits[name], bound))
            if given > most:
                raise UserError(f"{limits[name]} is more than the target has", f"limits.{name}", f"at most {bound}")
    return {**bounds, **limits}


def read_limit(
    key: str, value: Any, tasks: Mapping[str, TaskSpec], target: Plug | None, knows: frozenset[str]
) -> Limit:
    """A limit as the file has it, on the metric that its name and unit mean.

    Args:
        knows: the metrics that the target tells.

    Raises:
        UserError: unknown, without a target that tells it, or never to be met or missed.
    """
    where = f"limits.{key}"
    qualities = ["quality", *(f"{name}.{t.metric}" for name, t in tasks.items())]
    if key not in COSTS and key not in qualities:
        raise UserError(f"unknown limit {key!r}", where, nearest(key, [*COSTS, *qualities]))
    by_dimension = {d: m for d, m in COSTS.get(key, {"share": key}).items() if key in qualities or m in knows | _ALWAYS}
    if not by_dimension:
        raise _untold("this limit", key, target, knows).at(where)
    try:
        quantity = parse_quantity(value, *by_dimension)
    except UserError as error:
        raise error.at(where) from None
    bound = quantity.value
    if not math.isfinite(bound) or bound <= 0 or (metric(by_dimension[quantity.dimension]).goal > 0 and bound > 1):
        right = "a share between 0 and 1" if key in qualities else "a positive bound"
        raise UserError(f"{value!r} can never be met or never be missed", where, right)
    return Limit(by_dimension[quantity.dimension], bound)


def _untold(what: str, key: str, target: Plug | None, knows: frozenset[str]) -> UserError:
    """A limit or an objective on something that the target does not tell."""
    if target is None:
        needed = {"flash": "mcu", "sram": "mcu", "memory": "device"}.get(key, "chip")
        return UserError(f"{what} needs a target whose {key} is known", right=f"add target: {{{TARGETS[needed]}}}")
    told = [name for name, metrics in COSTS.items() if knows & set(metrics.values())]
    return UserError(
        f"{what} needs {key}, which target {target.name} does not tell", right="it tells " + ", ".join(told)
    )


def read_objectives(
    names: list[str] | None, limits: tuple[Limit, ...], target: Plug | None, knows: frozenset[str]
) -> tuple[Objective, ...]:
    """The objectives by the names of the file; by default the quality and what the target tells.

    Raises:
        UserError: unknown, repeated, or not told by the target.
    """
    in_cycles = any(limit.metric == "latency_cycles" for limit in limits)
    aliases = {name: next(iter(metrics.values())) for name, metrics in COSTS.items()}
    aliases["latency"] = "latency_cycles" if in_cycles else "latency_s"
    if names is None:
        costs = ["latency", "energy", *(["area"] if target and target.name == "chip" else []), "sram", "flash"]
        names = ["quality", *(name for name in costs if aliases[name] in knows)] if target else ["quality", "macs"]
    chosen = [aliases.get(name, name) for name in names]
    known = ["quality", *_ALWAYS, *knows, *aliases]
    for given, name in zip(names, chosen, strict=True):
        if name in METRICS and any(name in metrics.values() for metrics in COSTS.values()):
            if name not in knows | _ALWAYS:
                raise _untold(f"objective {given!r}", given, target, knows).at("objectives")
        elif name != "quality":
            raise UserError(f"unknown objective {given!r}", "objectives", nearest(given, known))
    if not chosen or len(set(chosen)) < len(chosen):
        raise UserError("objectives are empty or repeated", "objectives", "each metric once, e.g. [quality, latency]")
    return tuple(Objective.of(name) for name in chosen)
