"""What every layer costs on every core design of a dataflow, under `maestro`, and the buffers that it needs there.

Legend: M clusters to choose from, D core designs, L layers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from archip.hardware.chip.space import MAESTRO_DATAFLOWS, ChipSpec
from archip.hardware.models import maestro
from archip.hardware.schedule._label_dp import NEVER
from archip.ir.layer_table import LayerTable

__all__ = ["CLUSTERS", "LayerPrices", "layer_prices"]

CLUSTERS = (2, 4, 8, 16, 32, 64, 128, 256)  # that mapping: fastest and free choose from


class LayerPrices(NamedTuple):
    """Costs of layers on designs of one dataflow; int64.

    Attributes:
        cycles_MDL: NEVER where the core cannot run the layer.
        energy_MDL: in 1/100 MAC; this and what follows is 0 where the core cannot run the layer.
        l1_MDL, l2_MDL: elements of the buffers.
        pes_D, width_D: PEs and bytes a cycle of the designs.
    """

    cycles_MDL: np.ndarray
    energy_MDL: np.ndarray
    l1_MDL: np.ndarray
    l2_MDL: np.ndarray
    pes_D: np.ndarray
    width_D: np.ndarray


def layer_prices(layers: LayerTable, spec: ChipSpec, name: str) -> LayerPrices:
    """All designs of one dataflow: each layer at its cluster of least cycles, then energy; or at all clusters."""
    dataflow, shipped = MAESTRO_DATAFLOWS[name]
    designs = [d for d in spec.designs if d.dataflow == name]
    pes_D = np.array([d.pes for d in designs])
    width_D = np.array([int(d.bandwidth // spec.clock_hz) for d in designs])
    chooses = spec.mapping in ("fastest", "free") and dataflow != "rs"
    columns_4MDL = np.stack(
        [
            _at_cluster(layers, dataflow, pes_D, width_D, cluster, spec.corrected)
            for cluster in (CLUSTERS if chooses else (shipped,))
        ],
        axis=1,
    )
    if spec.mapping != "free":
        best_DL = np.lexsort((columns_4MDL[1], columns_4MDL[0]), axis=0)[0]
        columns_4MDL = np.take_along_axis(columns_4MDL, best_DL[None, None], axis=1)
    cycles_MDL, energy_MDL, l1_MDL, l2_MDL = columns_4MDL
    return LayerPrices(cycles_MDL, energy_MDL, l1_MDL, l2_MDL, pes_D, width_D)


def _at_cluster(
    layers: LayerTable, dataflow: str, pes_D: np.ndarray, width_D: np.ndarray, cluster: int, corrected: bool
) -> np.ndarray:
    """Cycles, energy in 1/100 MAC, and elements of L1 and L2 that each layer needs; [4, D, L]."""
    n, shape = len(layers), (len(pes_D), len(layers))
    rows = layers.select(np.tile(np.arange(n), len(pes_D)))
    each = {"pes": np.repeat(pes_D, n), "noc_bandwidth": np.repeat(width_D, n)}
    out = maestro.costs(rows, dataflow, cluster=cluster, corrected=corrected, **each)
    can = out["mapped"]
    at_l2, at_l1 = (
        sum(out[f"{tensor}_{level}_{way}"] for tensor in ("input", "weight", "output") for way in ("read", "write"))
        for level in ("l2", "l1")
    )
    energy = 1861 * at_l2 + 168 * at_l1 + 100 * out["num_macs"]
    columns = (out["runtime_cycles"], energy, out["l1_req_elems"], out["l2_req_elems"])
    fillers = (NEVER, 0, 0, 0)
    return np.stack([np.where(can, c, filler).reshape(shape) for c, filler in zip(columns, fillers, strict=True)])
