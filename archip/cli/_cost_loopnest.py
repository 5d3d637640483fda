"""Layers at their best mapping on an accelerator, for ``archip cost``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archip.cli._cost_model import Read, with_density
from archip.core import registry
from archip.core.errors import UserError
from archip.core.units import parse_quantity

if TYPE_CHECKING:
    from archip.hardware.accelerator import Accelerator
    from archip.hardware.mappers._mapper import Mapper

__all__ = ["accelerator_names", "priced"]

_KNOBS = {"pes": 256, "bandwidth": "16 GB/s", "clock": "1 GHz", "node": "nm65"}
_SHOWN = {"layer": "layer", "MACs": "macs", "cycles": "cycles", "energy": "energy_j", "utilisation": "utilisation",
          "bottleneck": "bottleneck"}  # fmt: skip


def accelerator_names() -> list[str]:
    """Templates and shipped instances."""
    from archip.hardware.instances import instance_names

    return sorted([*registry.names("templates"), *instance_names()])


def _accelerator(given: dict[str, Any]) -> Accelerator:
    on, knobs = given["on"], {k: v for k, v in given.items() if k in _KNOBS}
    if on not in registry.names("templates"):
        if knobs:
            knob = next(iter(knobs))
            raise UserError(f"--{knob} is a knob of templates; {on} states its own", f"--{knob}", "a YAML file with it")
        from archip.hardware.instances import load_accelerator

        return load_accelerator(on)
    knobs = {**_KNOBS, **knobs}
    options = {
        "pes": knobs["pes"],
        "bandwidth": _parsed(knobs["bandwidth"], "--bandwidth", "bandwidth"),
        "clock_hz": _parsed(knobs["clock"], "--clock", "frequency"),
        "node": knobs["node"],
    }
    return registry.create("hardware/templates", on, options).accelerator()


def _parsed(text: str, option: str, dimension: str) -> float:
    try:
        return parse_quantity(text, dimension).value
    except UserError as error:
        raise error.at(option) from None


# Options of the command → those of mappers.
_MAPPER_OPTIONS = {"objective": "objective", "mappings": "n_mappings", "device": "device"}


def _mapper(given: dict[str, Any]) -> Mapper:
    """The mapper asked for; a device means the one that has the choice."""
    name = given.get("mapper", "torch_random" if "device" in given else "exhaustive")
    options = {option: given[option] for option in _MAPPER_OPTIONS if option in given}
    try:
        known = _options_of(name)
    except UserError as error:
        raise error.at("--mapper") from None
    for option in options:
        if _MAPPER_OPTIONS[option] not in known:
            raise UserError(f"--{option} means nothing to the mapper {name}", f"--{option}", _takers(option))
    try:
        return registry.create("hardware/mappers", name, {_MAPPER_OPTIONS[k]: v for k, v in options.items()})
    except UserError as error:
        option = next((k for k, v in _MAPPER_OPTIONS.items() if error.where.endswith(f".{v}")), "mapper")
        raise UserError(error.what, f"--{option}", error.right) from None


def _options_of(mapper: str) -> set[str]:
    return {f.name for f in fields(registry.find("hardware/mappers", mapper))}


def _takers(option: str) -> str:
    takers = [name for name in registry.names("mappers") if _MAPPER_OPTIONS[option] in _options_of(name)]
    return "--mapper " + " or ".join(takers)


def priced(read: Read, given: dict[str, Any]) -> dict[str, Any]:
    """Rows, totals and what is left out, as JSON; writes the plot if one is asked for."""
    from archip.hardware.cost import layer_costs

    accelerator = _accelerator(given)
    work = with_density(read.workload, tuple(given.get("density", ())))
    try:
        costs = layer_costs(work, [accelerator], _mapper(given))
    except UserError as error:
        raise UserError(error.what, "--device", error.right) if error.where == "device" else error from None
    layers, unmapped = [], []
    for i, name in enumerate(work.names):
        if not costs.feasible_AL[0, i]:
            unmapped.append({"node": name, "operator": work.ops[i], "reason": costs.reason(0, i)})
            continue
        layers.append(
            {
                "layer": name,
                "kind": work.kinds[i],
                "macs": int(work.macs_L[i]),
                "params": int(work.params_L[i]),
                "cycles": int(costs.cycles_AL[0, i]),
                "energy_j": float(costs.energy_AL[0, i]),
                "utilisation": float(costs.utilisation_AL[0, i]),
                "bottleneck": str(costs.bottleneck_AL[0, i]),
            }
        )
    total: dict[str, float] = {key: sum(row[key] for row in layers) for key in ("macs", "params", "cycles", "energy_j")}
    total["latency_s"] = total["cycles"] / accelerator.clock_hz
    if "plot" in given:
        _plot(Path(given["plot"]), read, layers, accelerator)
    left_out = [*read.unsupported, *unmapped]
    return {
        "total": total,
        "layers": layers,
        "unsupported": left_out,
        "shown": _SHOWN,
        "area_mm2": accelerator.area_mm2,
    }


def _plot(path: Path, read: Read, layers: list[dict[str, Any]], accelerator: Accelerator) -> None:
    from archip.cli._cost_plot import write_plot

    work = read.workload
    bits_L = (work.moved_LO * work.bits_LO).sum(1)
    bytes_of = dict(zip(work.names, (bits_L / 8).tolist(), strict=True))
    write_plot(path, layers, bytes_of, accelerator)
