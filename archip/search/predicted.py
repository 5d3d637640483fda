"""Predicted beside measured: what the target device said in the search, and what the trained networks take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from archip.core.candidate import bits_of
from archip.core.record import metric
from archip.core.units import format_quantity
from archip.hardware.devices._device import Deployed, Device
from archip.hardware.devices.fitted import Fitted
from archip.hardware.devices.fpga import Fpga
from archip.hardware.devices.mcu import Mcu
from archip.hardware.devices.onnxruntime import OnnxRuntime
from archip.search.finish import Finalist

__all__ = ["on_device"]


def on_device(device: Device, winner: Finalist, networks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the summary says of a device: every metric that it tells, predicted and, where it can be, measured.

    Args:
        networks: what is said of each task's network, with its measurement by ONNX Runtime under ``onnx``.
    """
    measured = (
        {} if isinstance(device, Mcu | Fpga) else {"latency_s": sum(n["onnx"]["latency_s"] for n in networks.values())}
    )
    rows = []
    for name in sorted(device.metrics):
        dimension, values = metric(name).dimension, (winner.record.metrics[name], measured.get(name))
        texts = ["–" if value is None else format_quantity(value, dimension) for value in values]
        rows.append(
            {"metric": name, "predicted": values[0], "measured": values[1], "predicted_text": texts[0],
             "measured_text": texts[1]}
        )  # fmt: skip
    orders = {}
    if isinstance(device, Mcu):
        for name, net in winner.networks.items():
            bits = bits_of(winner.record.candidate.compress.get(name, {}))
            order = device.order(Deployed(net.module.graph, bits))  # pyright: ignore[reportArgumentType]
            orders[name] = {**asdict(order), "nodes": list(order.nodes), "is_optimal": order.is_optimal}
    return {"about": device.about(), "rows": rows, "orders": orders, "note": _note(device)}


def _note(device: Device) -> str:
    """On what the measurement was made, and whether that is what the prediction is for."""
    if isinstance(device, Mcu):
        return "Memory is counted, not measured."
    if isinstance(device, Fpga):
        return "Cycles are computed for the best division of the FPGA, not measured."
    if not isinstance(device, Fitted):
        return (
            "Predicted: measured in the search, with weights of any value. Measured: the trained network, at the end."
        )
    here, made = OnnxRuntime().machine, device.contents["made"]
    error = device.contents["error"]["expected"]["relative"]
    text = f"The device file's median error on held-out networks is {100 * error:.0f} %. "
    if made.get("machine") == here:
        return text + "Measured on this machine, on which it was calibrated."
    return text + f"It is of {made.get('machine', 'a table')}; measured on this machine, {here}: not to be compared."
