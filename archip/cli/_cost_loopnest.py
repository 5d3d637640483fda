"""Layers at their best mapping on an accelerator, for ``archip cost``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archip.cli._cost_model import Read
from archip.core import registry
from archip.core.errors import UserError
from archip.core.units import parse_quantity

if TYPE_CHECKING:
    from archip.hardware.accelerator import Accelerator

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


def priced(read: Read, given: dict[str, Any]) -> dict[str, Any]:
    """Rows, totals and what is left out, as JSON; writes the plot if one is asked for."""
    from archip.hardware.cost import layer_costs

    accelerator = _accelerator(given)
    work = read.workload
    costs = layer_costs(work, [accelerator], **{k: v for k, v in given.items() if k == "objective"})
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
