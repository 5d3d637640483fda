"""Look-up table: the costs of a network are the sum of its layers' entries in a table that was measured or simulated.

Choose it where somebody has timed layers one by one: ``target: {device: {lut: {path: table.csv, keys: {c_in: c_in, …},
latency: lat_ms}}}``. `keys` say which property of a layer each column holds; a layer without an entry makes a network
impossible on this device, with the layer and the nearest entry named. Operators without loops (activations, pooling,
sums) have entries where a key is ``op``; without such a key they are free.
Source: Cai et al. 2019, arXiv:1812.00332, section 3.3 and appendix (latency of a network as the sum of its operators').
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from archip.core.candidate import digest
from archip.core.errors import CandidateError, UserError
from archip.core.units import parse_quantity
from archip.hardware.devices._device import Deployed, Device
from archip.hardware.devices._table import column, floats, read_table
from archip.ir.workload import DIMS, Workload, workload

__all__ = ["Lut"]

Property = Literal[
    "op", "c_in", "c_out", "height", "width", "kernel", "stride", "padding", "groups", "weight_bits", "activation_bits"
]
Entry = tuple[str, ...]


@dataclass
class Lut(Device):
    """Sums entries of a CSV file.

    Attributes:
        keys: column → property of a layer; ``height`` and ``width`` are those of its result.
        latency, energy: columns; `latency_unit`, `energy_unit` are what one of them means.
        constant_latency, constant_energy: of every network, whatever its layers.
    """

    path: str  # CSV file
    keys: dict[str, Property]
    latency: str | None = None
    energy: str | None = None
    latency_unit: str = "1 ms"  # what a latency of 1 means
    energy_unit: str = "1 mJ"  # what an energy of 1 means
    constant_latency: str = "0 s"
    constant_energy: str = "0 J"
    entries: dict[Entry, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.keys or (self.latency is None and self.energy is None):
            raise UserError("needs keys, and a column of latency or energy", "keys", "{column: property}")
        table = read_table(self.path)
        given = [(self.latency, self.latency_unit, "time"), (self.energy, self.energy_unit, "energy")]
        units = [(name, parse_quantity(unit, dimension).value) for name, unit, dimension in given]
        n_rows = len(next(iter(table.values())))
        costs = [u * floats(column(table, n, self.path), n) if n else np.zeros(n_rows) for n, u in units]
        columns = [[_plain(v) for v in column(table, name, self.path)] for name in self.keys]
        self.entries = {}
        for row, (entry, values) in enumerate(zip(zip(*columns, strict=True), np.stack(costs, 1), strict=True), 1):
            if not np.array_equal(self.entries.setdefault(entry, values), values):
                text = ", ".join(f"{k} {v}" for k, v in zip(self.keys, entry, strict=True))
                raise UserError(f"row {row} gives {text} a second time, with other costs", self.path, "more keys")

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset(name for name, col in (("latency_s", self.latency), ("energy_j", self.energy)) if col)

    @property
    def key(self) -> Any:
        rows = [[*entry, *costs.tolist()] for entry, costs in self.entries.items()]
        return [digest(rows), self.keys, self.constant_latency, self.constant_energy]

    def costs(self, networks: Sequence[Deployed]) -> dict[str, float]:
        constants = (parse_quantity(self.constant_latency, "time"), parse_quantity(self.constant_energy, "energy"))
        total_2 = len(networks) * np.array([c.value for c in constants])
        for network in networks:
            work = workload(network.graph, **network.bits)
            for row in range(len(work)):
                if work.kinds[row] != "vector" or "op" in self.keys.values():
                    total_2 = total_2 + self._entry(work, row)
        found = {"latency_s": float(total_2[0]), "energy_j": float(total_2[1])}
        return {name: found[name] for name in self.metrics}

    def _entry(self, work: Workload, row: int) -> np.ndarray:
        properties = _properties(work, row)
        entry = tuple(properties[self.keys[name]] for name in self.keys)
        if entry not in self.entries:
            near = max(self.entries, key=lambda e: sum(a == b for a, b in zip(e, entry, strict=True)))
            texts = [", ".join(f"{k} {v}" for k, v in zip(self.keys, e, strict=True)) for e in (entry, near)]
            where = f"layer {work.names[row]} ({texts[0]})"
            raise CandidateError(f"{where} is not in {Path(self.path).name}; near: {texts[1]}")
        return self.entries[entry]


def _properties(work: Workload, row: int) -> Mapping[str, str]:
    """The properties of a row as they would stand in a table; of windows that are not square, the width's."""
    size = dict(zip(DIMS, work.dims_LD[row].tolist(), strict=True))
    weight_bits, activation_bits, _ = work.bits_LO[row].tolist()
    numbers = {
        "c_in": size["C"] * size["G"], "c_out": size["K"] * size["G"], "height": size["OY"], "width": size["OX"],
        "kernel": size["FX"], "stride": work.stride_L2[row, 1], "padding": work.padding_L2[row, 1],
        "groups": size["G"], "weight_bits": weight_bits, "activation_bits": activation_bits,
    }  # fmt: skip
    return {"op": work.ops[row], **{name: str(int(value)) for name, value in numbers.items()}}


def _plain(text: str) -> str:
    """``4.0`` and ``04`` as ``4``: what a layer's property looks like."""
    try:
        return str(int(float(text)))
    except ValueError:
        return text.strip()
