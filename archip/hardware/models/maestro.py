"""MAESTRO: the data-centric model; a dataflow is a list of spatial and temporal maps, its cost the count of its steps.

Choose it to compare with work that used MAESTRO, or for a first idea of a dataflow on an array without a memory
hierarchy to speak of; `loopnest` is the better model of a chip. It reproduces the tool number by number, faults
included, unless `corrected` is set.

Source: Kwon et al. 2019, Understanding Reuse, Performance, and Hardware Cost of DNN Dataflow, arXiv:1805.02566, and
the behaviour of its tool at git 4eb08d1. Differs: groups other than depthwise and batches run one after the other
(the tool has neither), and every step is counted by its kind, so that the time does not depend on the layer's size.

With ``corrected`` these faults of the tool are mended:

1. Outputs of an input tile are counted without the stride (MACs, L1 accesses, egress and the output's L2 reads of
   `yxp_os` are up to four times too high). Corrected: (tile - filter) // stride + 1.
2. The single leftover sub-cluster of a spatial edge counts input rows as output rows, and a partial one among several
   only its new part as work. Corrected: the outputs of its own tile.
3. A map larger than its dimension gives zero or negative work. Corrected: it is cut to the dimension.
4. With a filter smaller than the stride, tiles of several outputs are shrunk to the elements that are read while the
   dimension is not, which adds steps. Corrected: steps in the true extent, traffic in elements that are read.
5. A tensor whose inner dimensions start anew is not loaded if the dimension that advances is not its own. Corrected:
   its whole tile is.
6. Edge tiles: charged like full ones when they come in over time; an inner level keeps the active sub-clusters of its
   full tile; the halo is charged to every sub-cluster in the first step; the output's L1 is as large as its input
   tile. Corrected: as in the other steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from archip.core.errors import UserError, nearest
from archip.hardware.models import _maestro_kernels as kernels
from archip.hardware.models import _maestro_state as state
from archip.ir.layer_table import LayerTable

__all__ = ["Maestro"]

Table = dict[str, NDArray[Any]]

# Loop order outermost to innermost; S(size, offset) spatial, T(size, offset) temporal; Y' and X' are output rows and
# columns; R and S filter rows and columns; cl the cluster size; [ ] = all the outputs of min(cl, OX) positions. What is
# not named is whole. Source: tools/frontend/dataflow/*.m of MAESTRO; `yxp_os` with the stride put right.
DATAFLOWS = {
    "kcp_ws": "S(1,1) K; T(cl,cl) C; R; S; T(R,1) Y; T(S,1) X; Cluster cl; S(1,1) C; Y; X; R; S",
    "yxp_os": "T(1,1) K; T(1,1) C; S(R,1) Y; T(window,step) X; R; S; Cluster cl; S(S,1) X",
    "rs": "S(1,1) Y'; T(1,1) X'; T(1,1) C; T(16,16) K; R; S; Cluster R; S(1,1) Y; S(1,1) R; S",
    "ykp_os": "T(cl,cl) K; S(R,1) Y; T(S,1) X; T(1,1) C; Cluster cl; S(1,1) K; Y; X; R; S",
    "xp_ws": "T(1,1) K; T(1,1) C; T(R,1) Y; S(S,1) X; R; S",
}
_DEPTHWISE = "S(1,1) C; T(R,1) Y; T(S,1) X; R; S"
DEPTHWISE = {"kcp_ws": _DEPTHWISE, "ykp_os": _DEPTHWISE}  # the others leave out K

_DIMENSIONS = "KCRSYX"
_MISSING = "CKRSXY"  # order in which the tool appends dimensions that are nowhere named
_SYMBOLS = ("", "R", "S", "cl", "window", "step")
_N_SLOTS = 6
_DIRECTIVE = re.compile(r"([ST])\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)\s*([KCRSYX]'?)")
# Energy of one access in units of one MAC: constants of the tool. Source: MAESTRO, CA_cost-analysis-results.
L2_ACCESS, L1_ACCESS = 18.61, 1.68


class Program(NamedTuple):
    """A dataflow in the form of the kernels; see `evaluate_rows`."""

    directives: NDArray[np.int64]  # [levels, slots, 6]
    n_slots: NDArray[np.int64]  # [levels]
    clusters: NDArray[np.int64]  # [levels, 2]
    tensors: NDArray[np.int64]  # [3]


class _Programs(NamedTuple):
    """Programs of different depth in common arrays."""

    directives: NDArray[np.int64]  # [programs, levels, slots, 6]
    n_slots: NDArray[np.int64]  # [programs, levels]
    clusters: NDArray[np.int64]  # [programs, levels, 2]
    n_levels: NDArray[np.int64]  # [programs]
    tensors: NDArray[np.int64]  # [programs, 3]


@dataclass
class Maestro:
    """MAESTRO's cost of layers on one array."""

    dataflow: str = "kcp_ws"  # a name of DATAFLOWS or a list of directives as there
    pes: Annotated[int, Field(ge=1)] = 256
    cluster: Annotated[int, Field(ge=1)] = 64  # cl; has no effect on rs and xp_ws
    noc_bandwidth: Annotated[int, Field(ge=1)] = 64  # elements a cycle, at every level
    offchip_bandwidth: Annotated[int, Field(ge=1)] = 1_000_000  # elements a cycle
    corrected: bool = False  # mend the tool's faults

    def evaluate(self, layers: LayerTable | Mapping[str, ArrayLike]) -> Table:
        """The tool's numbers for every layer: column → array [L]. `costs` says what the columns are."""
        return costs(
            layers,
            self.dataflow,
            pes=self.pes,
            cluster=self.cluster,
            noc_bandwidth=self.noc_bandwidth,
            offchip_bandwidth=self.offchip_bandwidth,
            corrected=self.corrected,
        )


def costs(
    layers: LayerTable | Mapping[str, ArrayLike],
    dataflow: str | Sequence[str],
    *,
    pes: ArrayLike,
    cluster: ArrayLike,
    noc_bandwidth: ArrayLike,
    offchip_bandwidth: ArrayLike = 1_000_000,
    corrected: bool = False,
) -> Table:
    """Costs of layers on configurations, paired row by row (one row is paired with all of the other side).

    Args:
        layers: one row a layer.
        dataflow: name or directives, one for all rows or one a row.
        pes: processing elements, one number or [L]; so are the others.
        cluster: sub-clusters of the dataflow's `cl`.
        noc_bandwidth: elements a cycle into and out of every level.
        offchip_bandwidth: elements a cycle between DRAM and L2.
        corrected: mend the tool's faults (see the module).

    Returns:
        Column → array [L]. `mapped` is False where the PEs do not make one cluster: the other columns are then -1 or
        NaN. Cycles, elements (L1, L2: reads and writes by tensor; required sizes, double buffered), elements a cycle
        (`*_bw_req`), `area` [um^2], `power` and its parts (the tool does not state the unit; static),
        `energy_total_mac_units` (one MAC = 1; without DRAM).

    Raises:
        UserError: a dataflow or number that means nothing.
    """
    table = layers if isinstance(layers, LayerTable) else LayerTable.of(layers)
    names = [dataflow] if isinstance(dataflow, str) else list(dataflow)
    given = {
        "pes": pes,
        "cluster": cluster,
        "noc_bandwidth": noc_bandwidth,
        "offchip_bandwidth": offchip_bandwidth,
    }
    config = {key: np.atleast_1d(np.asarray(value, dtype=np.int64)) for key, value in given.items()}
    for key, value in config.items():
        if (value < 1).any():
            raise UserError(f"{key} is {int(value.min())}", key, "at least 1")
    known = {name: i for i, name in enumerate(dict.fromkeys(names))}
    config["dataflow"] = np.array([known[name] for name in names])
    n = max(len(table), *(len(value) for value in config.values()))
    if len(table) != n:
        table = table.select(np.broadcast_to(np.arange(len(table)), n))
    programs = [_program(name, depthwise) for name in known for depthwise in (False, True)]
    return _evaluate(table, config, _stack(programs), corrected)


def _evaluate(table: LayerTable, config: Table, programs: _Programs, corrected: bool) -> Table:
    """Costs of every layer; `config` has one row or as many as there are layers."""
    n = len(table)
    rows = {key: np.broadcast_to(value, n).copy() for key, value in config.items()}
    counters, means = np.empty((len(kernels.COUNTERS), n), np.int64), np.empty((len(kernels.MEANS), n))
    mapped = np.empty(n, np.bool_)
    kernels.evaluate_rows(
        _group_columns(table),
        rows["pes"],
        rows["cluster"],
        rows["noc_bandwidth"],
        rows["offchip_bandwidth"],
        2 * rows["dataflow"] + table.depthwise,
        programs.directives,
        programs.n_slots,
        programs.clusters,
        programs.n_levels,
        programs.tensors,
        corrected,
        np.zeros(kernels.n_blocks(n), state.SCRATCH),
        mapped,
        counters,
        means,
    )
    result: Table = {"mapped": mapped}
    result |= dict(zip(kernels.COUNTERS, counters, strict=True))
    result |= dict(zip(kernels.MEANS, means, strict=True))
    _add_traffic(result, table, corrected)
    _add_area_and_power(result, config["pes"], config["noc_bandwidth"])
    _add_energy(result)
    if not mapped.all():
        for column in result.values():
            if column.dtype != np.bool_:
                column[~mapped] = -1 if column.dtype == np.int64 else np.nan
    return result


def _group_columns(table: LayerTable) -> NDArray[np.int64]:
    """Columns L_* of the kernels: the layer, or one of its groups unless it is depthwise; [L, 7]."""
    channels = np.where(table.depthwise, table.C, table.C // table.groups)
    outputs = table.K // table.groups
    return np.stack([outputs, channels, table.OY, table.OX, table.FY, table.FX, table.stride], axis=1)


def _repeats(layers: LayerTable) -> NDArray[np.int64]:
    """How often a layer's counted part runs: once for each image and group (depthwise layers are one part)."""
    return layers.N * np.where(layers.depthwise, 1, layers.groups)


def _add_traffic(result: Table, table: LayerTable, corrected: bool) -> None:
    """L1 and L2 accesses that follow from the counters; everything that adds up is multiplied by the repeats."""
    repeats = _repeats(table)
    if (repeats > 1).any():
        for name in ("runtime_cycles", "num_macs", "input_l2_read", "weight_l2_read", "output_l2_write"):
            result[name] = result[name] * repeats
    out_y = table.OY if corrected else table.IY - table.FY + 1
    out_x = table.OX if corrected else table.IX - table.FX + 1
    result["input_l2_write"] = table.N * table.C * table.IY * table.IX
    result["weight_l2_write"] = table.N * table.K * (table.C // table.groups) * table.FY * table.FX
    result["output_l2_read"] = table.N * table.K * out_y * out_x
    for name in ("input", "weight"):
        result[f"{name}_l1_read"] = result["num_macs"]
        result[f"{name}_l1_write"] = result[f"{name}_l2_read"]
    result["output_l1_read"] = result["num_macs"]
    result["output_l1_write"] = result["num_macs"]
    result["throughput_macs_per_cycle"] = result["num_macs"] / np.maximum(result["runtime_cycles"], 1)


def area_um2(pes: ArrayLike, noc_bandwidth: ArrayLike, l1_elems: ArrayLike, l2_elems: ArrayLike) -> NDArray[Any]:
    """Area of PEs, bus, arbiter and buffers of these sizes, in all."""
    parts = area_parts_um2(pes, noc_bandwidth, l1_elems, l2_elems)
    return parts["PEs"] + parts["bus"] + parts["arbiter"] + parts["L1"] + parts["L2"]


def area_parts_um2(
    pes: ArrayLike, noc_bandwidth: ArrayLike, l1_elems: ArrayLike, l2_elems: ArrayLike
) -> dict[str, NDArray[Any]]:
    """Area of each part; `l1_elems` of one PE. Source: MAESTRO's hardware modules (28 nm)."""
    p, b = np.asarray(pes, dtype=float), np.asarray(noc_bandwidth, dtype=float)
    wires, gates = _bus(p)
    return {
        "PEs": p * 283,
        "bus": 101.7938 * wires * b,
        "arbiter": 395.473 * np.maximum(1.0, gates),
        "L1": p * 0.104 * np.asarray(l1_elems),
        "L2": 0.104 * np.asarray(l2_elems),
    }


def _bus(p: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Wires of the bus and gates of the arbiter."""
    return 14.662 * p + 28.895, 1.2886 * p**2 + 5.5814 * p - 23.711


def _add_area_and_power(result: Table, pes: NDArray[np.int64], noc_bandwidth: NDArray[np.int64]) -> None:
    """Area and static power of PEs, buffers, bus and arbiter. Source: MAESTRO's hardware modules (28 nm)."""
    p, b = pes.astype(float), noc_bandwidth.astype(float)
    l1, l2 = result["l1_req_elems"], result["l2_req_elems"]
    wires, gates = _bus(p)
    result["area"] = area_um2(p, b, l1, l2)
    pe_power = p * 1.2223
    noc_power = 0.8 * wires * b / 1000 + np.maximum(0.34, 0.34 * gates / 1000)
    result["pe_power"] = np.broadcast_to(pe_power, len(l1)).copy()
    result["l1_power"] = p * 0.00345 * l1
    result["l2_power"] = 0.00345 * l2
    result["noc_power"] = np.broadcast_to(noc_power, len(l1)).copy()
    result["power"] = (pe_power + noc_power) + result["l1_power"] + result["l2_power"]


def _add_energy(result: Table) -> None:
    """The energy that the tool prints on screen, in MACs."""
    at_l2 = sum(result[f"{tensor}_l2_{way}"] for tensor in ("input", "weight", "output") for way in ("read", "write"))
    at_l1 = sum(result[f"{tensor}_l1_{way}"] for tensor in ("input", "weight", "output") for way in ("read", "write"))
    result["energy_total_mac_units"] = L2_ACCESS * at_l2 + L1_ACCESS * at_l1 + result["num_macs"]


@lru_cache
def _program(dataflow: str, depthwise: bool) -> Program:
    """The directives of a dataflow, completed as the tool does: inherited ones in front, missing ones behind."""
    text = DATAFLOWS.get(dataflow, dataflow)
    if depthwise:
        text = DEPTHWISE.get(dataflow, text)
    parts = re.split(r"Cluster\s+(\w+)\s*;?", text)
    if len(parts) // 2 >= state.MAX_LEVELS:
        raise UserError(f"{dataflow!r} has too many levels", "dataflow", f"at most {state.MAX_LEVELS}")
    levels: list[list[tuple[int, ...]]] = []
    for part in parts[::2]:
        directives = [_directive(item.strip(), dataflow) for item in part.split(";") if item.strip()]
        if depthwise:
            directives = [d for d in directives if d[0] != state.K]
        levels.append(_completed(directives, levels, depthwise))
    sizes = [(state.ZERO, 1), *(_size(size, dataflow) for size in parts[1::2])]
    tensors = [_dimension_set("CRS" if depthwise else "KCRS"), _dimension_set("CYX")]
    tensors.append(_dimension_set("CYX" if depthwise else "KYX"))
    padded = [[*level, *[(0,) * 6] * (_N_SLOTS - len(level))] for level in levels]
    as_array = lambda value: np.array(value, dtype=np.int64)  # noqa: E731
    return Program(as_array(padded), as_array([len(level) for level in levels]), as_array(sizes), as_array(tensors))


def _directive(text: str, dataflow: str) -> tuple[int, ...]:
    """Dimension, spatial?, symbol and constant of the size, the same of the offset."""
    if text in _DIMENSIONS:
        return (_DIMENSIONS.index(text), 0, state.WHOLE, 0, state.WHOLE, 0)
    match = _DIRECTIVE.fullmatch(text)
    if match is None:
        names = ", ".join(DATAFLOWS)
        right = f"one of {names}, or a list such as {DATAFLOWS['xp_ws']!r}"
        raise UserError(f"{text!r} is not a directive", "dataflow", right)
    kind, size, offset, dimension = match.groups()
    symbol, constant = _size(size, dataflow)
    if dimension.endswith("'"):  # m output rows are m + R - 1 input rows
        if symbol != state.ZERO:
            raise UserError(f"the size of {text!r} is not a number", "dataflow", "output rows need one, e.g. S(1,1) Y'")
        symbol, constant = _SYMBOLS.index("R" if dimension[0] == "Y" else "S"), constant - 1
    return (_DIMENSIONS.index(dimension[0]), int(kind == "S"), symbol, constant, *_size(offset, dataflow))


def _size(text: str, dataflow: str) -> tuple[int, int]:
    """Symbol and constant of a size."""
    if text.isdecimal() and int(text) > 0:
        return state.ZERO, int(text)
    if text not in _SYMBOLS[1:]:
        raise UserError(f"{text!r} in {dataflow!r} is not a size", "dataflow", nearest(text, _SYMBOLS[1:]))
    return _SYMBOLS.index(text), 0


def _completed(
    directives: list[tuple[int, ...]], outer: list[list[tuple[int, ...]]], depthwise: bool
) -> list[tuple[int, ...]]:
    """One directive for each dimension, in the tool's order."""
    named = {d[0] for d in directives}
    if len(named) < len(directives):
        raise UserError("a dimension is named twice in a level", "dataflow")
    inherited = [d[0] for d in outer[-1] if d[0] not in named] if outer else []
    front = [(dim, 0, state.INHERIT, 0, state.INHERIT, 0) for dim in reversed(inherited)]
    behind = [_DIMENSIONS.index(name) for name in _MISSING if not (depthwise and name == "K")]
    missing = [dim for dim in behind if dim not in named and dim not in inherited]
    return [*front, *directives, *((dim, 0, state.WHOLE, 0, state.WHOLE, 0) for dim in missing)]


def _dimension_set(names: str) -> int:
    return sum(1 << _DIMENSIONS.index(name) for name in names)


def _stack(programs: Sequence[Program]) -> _Programs:
    depth = max(len(p.n_slots) for p in programs)

    def padded(array: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([array, np.zeros((depth - len(array), *array.shape[1:]), np.int64)])

    return _Programs(
        directives=np.stack([padded(p.directives) for p in programs]),
        n_slots=np.stack([padded(p.n_slots) for p in programs]),
        clusters=np.stack([padded(p.clusters) for p in programs]),
        n_levels=np.array([len(p.n_slots) for p in programs], np.int64),
        tensors=np.stack([p.tensors for p in programs]),
    )
