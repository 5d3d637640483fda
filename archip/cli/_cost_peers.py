"""Layers under the models of other tools, in the columns that these tools print, for ``archip cost``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from archip.cli._cost_model import Read
from archip.core.errors import UserError

if TYPE_CHECKING:
    from archip.ir.layer_table import LayerTable

__all__ = ["priced"]

_SHOWN = {
    "maestro": {"layer": "layer", "MACs": "num_macs", "cycles": "runtime_cycles", "active PEs": "avg_active_pes",
                "energy [MACs]": "energy_total_mac_units"},
    "systolic": {"layer": "layer", "repeat": "repeat", "cycles": "total_cycles", "utilisation [%]": "overall_util_pct",
                 "input SRAM": "ifmap_sram_reads", "filter SRAM": "filter_sram_reads"},
}  # fmt: skip


def priced(model: Literal["maestro", "systolic"], read: Read, given: dict[str, Any]) -> dict[str, Any]:
    """Rows, totals and what is left out, as JSON. Energy is None: neither tool states it in joules."""
    work = read.workload
    labels, table = _rows(read)
    columns, times = (_maestro if model == "maestro" else _systolic)(table, given)
    layers = [
        {**{k: label[k] for k in ("network", "layer", "op")}, **{k: _plain(v, i) for k, v in columns.items()}}
        for i, label in enumerate(labels)
    ]
    cycles = columns["runtime_cycles" if model == "maestro" else "total_cycles"]
    total = {
        "macs": work.macs,
        "params": int(work.params),
        "cycles": sum(int(c) * int(t) * label["count"] for c, t, label in zip(cycles, times, labels, strict=True)),
        "latency_s": None,
        "energy_j": None,
    }
    moved = [
        {"node": work.names[i], "operator": work.ops[i], "reason": f"{model} knows no operators without a loop nest"}
        for i, kind in enumerate(work.kinds)
        if kind == "vector"
    ]
    return {"total": total, "layers": layers, "unsupported": [*read.unsupported, *moved], "shown": _SHOWN[model]}


def _rows(read: Read) -> tuple[tuple[dict[str, Any], ...], LayerTable]:
    """What the layers are called, each kind once, and their sizes."""
    from archip.ir.layer_table import LayerTable

    if read.table is not None:
        every = LayerTable.read_csv(read.table)
        return read.labels, every.select([label["index"] for label in read.labels])
    work = read.workload
    nests = [i for i, kind in enumerate(work.kinds) if kind != "vector"]
    labels = tuple({"network": "", "layer": work.names[i], "op": work.kinds[i], "count": 1} for i in nests)
    return labels, LayerTable.of_workload(work)


def _plain(column: Any, i: int) -> Any:
    if isinstance(column, np.ndarray):
        value = column[i].item()
        return int(value) if isinstance(value, bool) else value
    return column


def _maestro(table: LayerTable, given: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    from archip.hardware.models.maestro import Maestro

    dataflow = given.get("dataflow", "kcp_ws")
    pes, cluster, noc = given.get("pes", 256), given.get("cluster", 64), given.get("noc", 64)
    offchip = given.get("offchip", 1_000_000)
    found = Maestro(dataflow, pes, cluster, noc, offchip, given.get("corrected", False)).evaluate(table)
    if not found["mapped"].all():
        raise UserError(f"{pes} PEs do not make one cluster of {cluster}", "--cluster", "as many as PEs at the most")
    shown_cluster = 0 if dataflow in ("rs", "xp_ws") else cluster
    config = {"dataflow": dataflow, "cluster_size": shown_cluster, "pes": pes, "noc_bw": noc, "offchip_bw": offchip}
    columns = {k: v for k, v in found.items() if k != "mapped"}
    columns["macs_ok"] = columns["num_macs"] == table.macs
    return config | columns, np.ones(len(table), dtype=np.int64)


def _systolic(table: LayerTable, given: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    from archip.hardware.models.systolic import costs

    rows, cols = _sizes(given.get("array", "32x32"), "x", 2, "--array", "32x32")
    kib = _sizes(given.get("sram", "64,64,64"), ",", 3, "--sram", "64,64,64")
    dataflow = given.get("dataflow", "ws")
    sram_bytes = (1024 * kib[0], 1024 * kib[1], 1024 * kib[2])
    found = costs(table, dataflow, rows=rows, cols=cols, sram_bytes=sram_bytes, corrected=given.get("corrected", False))
    head = ("repeat", "gemm_M", "gemm_N", "gemm_K")
    config = {"array_rows": rows, "array_cols": cols, "dataflow": dataflow, "mode": "CALC"}
    config |= dict(zip(("ifmap_sram_kb", "filter_sram_kb", "ofmap_sram_kb"), kib, strict=True))
    body = {k: v for k, v in found.items() if k not in head and not k.endswith("_exact")}
    return {k: found[k] for k in head} | config | {"stall_cycles": 0} | body, found["repeat"]


def _sizes(text: str, separator: str, n: int, option: str, example: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.lower().split(separator)]
    except ValueError:
        sizes = []
    if len(sizes) != n or min(sizes) < 1:
        raise UserError(f"{text!r} is not of the form {example}", option, "whole numbers from 1")
    return sizes
