"""The front door to hardware cost: every layer of a workload on every accelerator, at its best mapping.

Layers with a loop nest are mapped by a mapper (``mappers/exhaustive.py`` unless another is given) and costed by
``models/loopnest.py``. Vector operators
have none; they only move data: each bit of their operands crosses the off-chip link once and goes once into and once
out of the largest on-chip memory that holds activations; the cycles are those bits over the off-chip width. An
activation or a batch normalisation that is the only reader of a convolution, a matrix product or another such operator
is free: it is applied on the way out.

Results are remembered per process, for each mapper, accelerator and distinct row, up to a million of them (about 600
bytes each). Pairs are searched in pieces, so that memory does not grow with their number but for the answers: five
numbers or names a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from archip.core.errors import UserError
from archip.hardware.accelerator import Accelerator
from archip.hardware.mappers._mapper import Mapper, reason
from archip.hardware.mappers.exhaustive import Exhaustive
from archip.hardware.mapping import Mapping
from archip.hardware.models.loopnest import fit_to_accelerators, pack_layers
from archip.ir.workload import Workload

__all__ = ["LayerCosts", "layer_costs"]

# fmt: off
_FUSED = {
    "batch_norm", "clip", "dequantize", "elu", "gelu", "hardsigmoid", "hardswish", "leaky_relu", "prelu", "quantize",
    "relu", "relu6", "sigmoid", "silu", "tanh",
}
# fmt: on
_REMEMBERED = 500_000  # pairs; beyond, everything is forgotten and collected anew
_PIECE = 20_000  # pairs searched at a time


class _Cost(NamedTuple):
    """One layer on one accelerator; cycles -1 where it cannot be mapped."""

    cycles: int
    energy_j: float
    bottleneck: str
    reason: str = ""


_remembered: dict[Mapper, dict[tuple[str, bytes], _Cost]] = {}


@dataclass(frozen=True, eq=False)
class LayerCosts:
    """Costs of L layers on A accelerators.

    Attributes:
        cycles_AL: int64, -1 where the layer cannot be mapped.
        energy_AL: J, NaN where the layer cannot be mapped.
        bottleneck_AL: ``compute``, the name of the memory that the array waits for, or ``free`` for a fused operator.
        utilisation_AL: share of all multiplications that the array could have done in these cycles; those that it skips
            do not count.
        area_mm2_A: of each accelerator.
    """

    cycles_AL: np.ndarray
    energy_AL: np.ndarray
    bottleneck_AL: np.ndarray
    utilisation_AL: np.ndarray
    area_mm2_A: np.ndarray
    reason_AL: np.ndarray
    workload: Workload
    accelerators: tuple[Accelerator, ...]
    mapper: Mapper

    @property
    def feasible_AL(self) -> np.ndarray:
        return self.cycles_AL >= 0

    def reason(self, a: int, layer: int) -> str:
        """Why the layer cannot be mapped: which memory, how many bytes short. Empty where it can."""
        return self.reason_AL[a, layer]

    def mapping(self, a: int, layer: int) -> Mapping | None:
        """The best mapping, searched again; None for vector operators and where there is none."""
        if self.workload.kinds[layer] == "vector" or not self.feasible_AL[a, layer]:
            return None
        layers = _nests(self.workload, np.array([layer]))
        return self.mapper.search(self.accelerators[a : a + 1], layers, np.zeros((1, 2))).mapping(0)


def layer_costs(
    workload: Workload,
    accelerators: Sequence[Accelerator],
    mapper: Mapper | None = None,
    objective: Literal["cycles", "energy", "edp"] = "cycles",
) -> LayerCosts:
    """Costs of every layer on every accelerator, each with its best mapping.

    Args:
        mapper: finds the mappings; by default the exhaustive one with this `objective`.
        objective: what the default mapper minimises.

    Raises:
        UserError: no accelerators.
    """
    if not accelerators:
        raise UserError("there is no accelerator to cost on", "accelerators", "at least one")
    if mapper is None:
        mapper = Exhaustive(objective=objective)
    elif objective != "cycles":
        raise UserError(f"objective {objective!r} beside a mapper", "objective", "the mapper's own objective")
    shape = (len(accelerators), len(workload.names))
    cycles_AL, energy_AL = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    bottleneck_AL, reason_AL = np.full(shape, "free", dtype=object), np.full(shape, "", dtype=object)
    keys, fused = _keys(workload), _fused(workload)
    at_once = max(1, _REMEMBERED // max(1, len(keys)))
    for begin in range(0, len(accelerators), at_once):
        found = _collect(workload, accelerators[begin : begin + at_once], mapper, keys, fused)
        for a, accelerator in enumerate(accelerators[begin : begin + at_once], begin):
            for at in ((a, layer) for layer in range(len(keys)) if layer not in fused):
                cycles_AL[at], energy_AL[at], bottleneck_AL[at], reason_AL[at] = found[accelerator.digest, keys[at[1]]]
    macs_AL = np.array([a.n_units for a in accelerators])[:, None] * np.maximum(cycles_AL, 1)
    return LayerCosts(
        cycles_AL=cycles_AL,
        energy_AL=energy_AL,
        bottleneck_AL=bottleneck_AL,
        utilisation_AL=np.where(cycles_AL > 0, _macs(workload, accelerators) / macs_AL, 0.0),
        area_mm2_A=np.array([a.area_mm2 for a in accelerators]),
        reason_AL=reason_AL,
        workload=workload,
        accelerators=tuple(accelerators),
        mapper=mapper,
    )


def _macs(workload: Workload, accelerators: Sequence[Accelerator]) -> np.ndarray:
    """Multiplications of every layer on every accelerator, [A, L]: those that are skipped left out."""
    layers_L = _nests(workload, np.arange(len(workload.names)))
    macs_AL = np.repeat(workload.macs_L[None].astype(np.float64), len(accelerators), 0)
    for a, accelerator in enumerate(accelerators):
        if accelerator.skipping is not None:
            which_L2 = np.stack([np.zeros(len(layers_L), int), np.arange(len(layers_L))], 1)
            fitted, which_L2 = fit_to_accelerators([accelerator], layers_L, which_L2)
            shrunk_L = fitted["dims_F"][which_L2[:, 1]].prod(1) / layers_L["dims_F"].prod(1)
            macs_AL[a] *= shrunk_L
    return macs_AL


def _collect(
    workload: Workload,
    accelerators: Sequence[Accelerator],
    mapper: Mapper,
    keys: Sequence[bytes],
    fused: frozenset[int],
) -> dict[tuple[str, bytes], _Cost]:
    """What is remembered of this mapper, with every pair of this call in it."""
    if sum(map(len, _remembered.values())) > _REMEMBERED:
        _remembered.clear()
    found = _remembered.setdefault(mapper, {})
    rows = {key: layer for layer, key in enumerate(keys) if layer not in fused}
    chips = {accelerator.digest: accelerator for accelerator in accelerators}
    missing = [(digest, key) for digest in chips for key in rows if (digest, key) not in found]
    for digest, key in missing:
        if workload.kinds[rows[key]] == "vector":
            found[digest, key] = _moving(workload, rows[key], chips[digest])
    nests = [pair for pair in missing if workload.kinds[rows[pair[1]]] != "vector"]
    for begin in range(0, len(nests), _PIECE):
        _search(workload, mapper, chips, rows, nests[begin : begin + _PIECE], found)
    return found


def _search(
    workload: Workload,
    mapper: Mapper,
    chips: dict[str, Accelerator],
    rows: dict[bytes, int],
    pairs: Sequence[tuple[str, bytes]],
    found: dict[tuple[str, bytes], _Cost],
) -> None:
    used_chips = list(dict.fromkeys(digest for digest, _ in pairs))
    used_rows = list(dict.fromkeys(key for _, key in pairs))
    chip_at = {digest: i for i, digest in enumerate(used_chips)}
    row_at = {key: i for i, key in enumerate(used_rows)}
    which_P2 = np.array([(chip_at[digest], row_at[key]) for digest, key in pairs])
    layers = _nests(workload, np.array([rows[key] for key in used_rows]))
    results_PR = mapper.search([chips[d] for d in used_chips], layers, which_P2).results_PR
    for (digest, key), result in zip(pairs, results_PR, strict=True):
        found[digest, key] = _cost(chips[digest], workload.bits_LO[rows[key]], result)


def _cost(accelerator: Accelerator, bits_O: np.ndarray, result_R: np.ndarray) -> _Cost:
    """What the model's result (columns of ``models/_kernels.py``) says of a layer."""
    compute, stall, onload, offload, drain, energy_j, _, worst = result_R.tolist()
    if (most := int(max(bits_O[:2]))) > accelerator.multiplier_bits:
        return _Cost(-1, np.nan, "", f"operands of {most} bits, multipliers take {accelerator.multiplier_bits}")
    if compute < 0:
        return _Cost(-1, np.nan, "", reason(accelerator, result_R))
    memory = accelerator.memories[int(worst)].name
    waits = {"compute": compute + drain, memory: stall, accelerator.off_chip.name: onload + offload}
    if memory == accelerator.off_chip.name:
        waits[memory] += stall
    return _Cost(round(compute + stall + onload + offload + drain), energy_j, max(waits, key=lambda k: waits[k]))


def _moving(workload: Workload, layer: int, accelerator: Accelerator) -> _Cost:
    """Cost of a vector operator: its operands through the off-chip link and the activation buffer."""
    bits_O = workload.moved_LO[layer] * workload.bits_LO[layer]
    outside = accelerator.off_chip
    inside = max((m for m in accelerator.memories[:-1] if {"I", "O"} & set(m.operands)), key=lambda m: m.bits)
    through = (inside.read_j + inside.write_j) / inside.width_bits[1]
    energy_j = float(
        bits_O[:2].sum() * (outside.read_j / outside.width_bits[1] + through)
        + bits_O[2] * (outside.write_j / outside.width_bits[1] + through)
    )
    return _Cost(int(np.ceil(bits_O.sum() / outside.width_bits[1])), energy_j, outside.name)


def _keys(workload: Workload) -> list[bytes]:
    """What the cost of each row depends on."""
    kinds_L1 = np.array([kind == "vector" for kind in workload.kinds], dtype=np.int64)[:, None]
    geometry = (workload.stride_L2, workload.padding_L2, workload.dilation_L2, workload.bits_LO)
    moved_LO = workload.moved_LO * kinds_L1  # the loops of the other rows say what they move
    numbers = np.hstack([kinds_L1, workload.dims_LD, *geometry, moved_LO]).astype(np.int64)
    table = np.hstack([numbers.astype(np.float64), workload.density_LO])
    return [row.tobytes() for row in table]


def _fused(workload: Workload) -> frozenset[int]:
    """Rows that cost nothing because the row before them applies them on the way out."""
    readers = np.zeros(len(workload.names), dtype=np.int64)
    for before in workload.predecessors:
        readers[list(before)] += 1
    fused: set[int] = set()
    for layer, op in enumerate(workload.ops):
        before = workload.predecessors[layer]
        is_applied = op in _FUSED and len(before) == 1 and readers[before[0]] == 1
        if is_applied and (workload.kinds[before[0]] != "vector" or before[0] in fused):
            fused.add(layer)
    return frozenset(fused)


def _nests(workload: Workload, rows: np.ndarray) -> np.ndarray:
    return pack_layers(
        workload.dims_LD[rows],
        workload.stride_L2[rows],
        workload.padding_L2[rows],
        workload.dilation_L2[rows],
        workload.bits_LO[rows],
        workload.density_LO[rows],
    )
