"""The target of a problem: a chip to be designed, or an accelerator, a device, a microcontroller that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem_file import Plug, resolved

__all__ = ["NOT_AS_DEVICE", "TARGETS", "resolved_target", "target_plug"]

_CHIP = frozenset({"latency_s", "latency_cycles", "energy_j", "area_mm2"})
TARGETS = {
    "chip": "chip: {cores: …}",
    "accelerator": "accelerator: eyeriss_like",
    "device": "device: this",
    "mcu": "mcu: {flash: 1 MiB, sram: 256 KiB}",
}
NOT_AS_DEVICE = ("accelerator", "mcu")  # targets of their own name


def target_plug(target: Plug) -> tuple[str, Plug]:
    """(kind, method with its options) that a target stands for.

    Raises:
        UserError: a device that cannot be a target.
    """
    if target.name != "device":
        return ("spaces" if target.name == "chip" else "hardware/devices"), target
    device = Plug.of(target.options)
    if device.name in NOT_AS_DEVICE:
        raise UserError(f"{device.name!r} is a target of its own", "target.device", f"target: {{{device.name}: …}}")
    return "hardware/devices", device


def resolved_target(value: dict[str, Any] | None) -> tuple[Plug | None, frozenset[str], Mapping[str, str]]:
    """The target with all options, the metrics that it tells, and the limits that it sets itself."""
    if value is None:
        return None, frozenset(), {}
    if len(value) != 1 or next(iter(value)) not in TARGETS:
        given = ", ".join(map(str, value))
        raise UserError(f"target {given!r} is not known", "target", " | ".join(TARGETS.values()) + " | no target")
    ((name, options),) = value.items()
    kind, plug = target_plug(Plug(name, _target_options(name, options)))
    method = resolved(kind, plug, "target")
    made = registry.create(kind, method.name, method.options)
    target = Plug("device", {method.name: dict(method.options)}) if name == "device" else method
    return target, getattr(made, "metrics", _CHIP), getattr(made, "bounds", {})


def _target_options(name: str, value: Any) -> dict[str, Any]:
    """The options of a target, from the short forms that may stand in their place."""
    if name == "accelerator" and isinstance(value, str):
        return {"name": value}
    if name == "device":
        if value == "this":
            return {"onnxruntime": {}}
        is_file = isinstance(value, str) and value.endswith((".yaml", ".yml"))
        try:
            plug = Plug.of({"fitted": {"path": value}} if is_file else value)
        except ValueError as error:
            raise UserError(f"{value!r} is no device: {error}", "target.device", "this, or a device file") from None
        return {plug.name: dict(plug.options)}
    if not isinstance(value or {}, Mapping):
        raise UserError(f"{value!r} are no options", f"target.{name}", TARGETS[name])
    return dict(value or {})
