"""The cost table: cycles and energy of every layer on every core design, as whole numbers, core by core.

Whole numbers make "exact" mean something: cycles; energies in a unit that both models' results are multiples of, or
are rounded to (`loopnest`: 1 fJ a layer); areas in um^2, rounded up. A chip's area is the sum of its cores'.

The layers of a network form a chain in topological order, as in NASAIC; branches of a network do not run side by side.
Under `loopnest`, operators without MACs run on the core of the layer before them and are part of its row. `maestro`
does not know them: they are left out. Its L1 and L2 are as large as the neediest layer of all networks requires, so
that a core's area does not depend on the schedule.
Source: Kwon et al. 2019, arXiv:1805.02566 (energy 18.61 L2 + 1.68 L1 + 1 MAC; area); chains and cores as in Yang et
al. 2020, arXiv:2002.04116.

Legend: D core designs, L layers, R resources (PEs, bandwidth), C chains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.core.files import make_folder, replacing
from archip.core.registry import find
from archip.hardware.accelerator import Accelerator
from archip.hardware.chip._layer_prices import layer_prices
from archip.hardware.chip.extras import Extras, extras_of, needs_extras, unit_rows
from archip.hardware.chip.space import ChipSpec, CoreDesign
from archip.hardware.cost import layer_costs
from archip.hardware.models import maestro
from archip.hardware.schedule._label_dp import NEVER
from archip.ir.layer_table import LayerTable
from archip.ir.workload import Workload

__all__ = ["CostTable", "accelerator_of", "cost_table", "unit_rows"]

_FJ = 1e-15
# Options that leave the costs of a layer on a core as they are.
_NOT_IN_COSTS = ("cores", "min_cores", "mac_energy", "graph", "dram")
_FORMAT = 2  # of the files of finished tables; older ones are not read
_CHUNK = 256  # accelerators priced at a time: a killed run loses at most these


@dataclass(frozen=True, eq=False)
class CostTable:
    """Costs of the layers of all networks on every core design.

    Attributes:
        designs: what the rows are.
        use_DR: PEs and bytes/s of each; totals_R: of the whole chip.
        min_cores, cores: fewest and most cores of a chip.
        cycles_DL: int64; NEVER where the core cannot run the layer.
        energy_DL: int64, in units of `energy_unit_j`; 0 where the core cannot run the layer.
        area_D: int64, um^2.
        first_C: [C + 1] network c is the layers first_C[c] to first_C[c + 1].
        layers: their names.
        extras: graphs, shared DRAM and mappings, where there are any; cycles_DL and energy_DL are then the least over
            the mappings, each by itself.
    """

    designs: tuple[CoreDesign, ...]
    use_DR: np.ndarray
    totals_R: np.ndarray
    min_cores: int
    cores: int
    cycles_DL: np.ndarray
    energy_DL: np.ndarray
    area_D: np.ndarray
    first_C: np.ndarray
    layers: tuple[str, ...]
    energy_unit_j: float = 1.0
    clock_hz: float = 1e9
    extras: Extras | None = None

    @cached_property
    def prices_DL(self) -> np.ndarray:
        """Energies as floats, exact below 2^53; inf where the core cannot run the layer."""
        return np.where(self.cycles_DL < NEVER, self.energy_DL.astype(np.float64), np.inf)

    def select(self, rows: np.ndarray) -> CostTable:
        """The table of these core designs."""
        return replace(
            self,
            designs=tuple(self.designs[int(i)] for i in rows),
            use_DR=self.use_DR[rows],
            cycles_DL=self.cycles_DL[rows],
            energy_DL=self.energy_DL[rows],
            area_D=self.area_D[rows],
            extras=None if self.extras is None else self.extras.select(rows),
        )


class _Costs(NamedTuple):
    """Of every mapping [M, D, L], and areas [D]."""

    cycles_MDL: np.ndarray
    energy_MDL: np.ndarray
    area_D: np.ndarray


def cost_table(networks: Mapping[str, Workload], spec: ChipSpec, cache: Path | None = None) -> CostTable:
    """Price every layer on every core design.

    Args:
        networks: workload by name.
        spec: designs and cost model.
        cache: folder of finished tables; one that is there is read.

    Raises:
        UserError: a layer that no core design runs, or that the model does not know.
    """
    for name, work in networks.items():
        if len(work) == 0 or (spec.cost_model == "maestro" and work.macs == 0):
            raise UserError("has no layer to run", name)
    path = None if cache is None else make_folder(cache) / f"table_{_digest(networks, spec)}.npz"
    names, first_C = _layers(networks, spec)
    if spec.cost_model == "maestro":
        costs = _kept(path, lambda: _priced_by_maestro(networks, spec))
    else:
        costs = _kept(path, lambda: _priced_by_loopnest(networks, spec, path))
    homeless = np.flatnonzero((costs.cycles_MDL == NEVER).all(axis=(0, 1)))
    if homeless.size:
        raise UserError("runs on none of the core designs", f"layer {names[homeless[0]]}", "other dataflows or sizes")
    extras = extras_of(networks, spec, costs.cycles_MDL, costs.energy_MDL)
    cycles_DL = extras.cycles_MDL.min(axis=0)
    energy_DL = np.where(cycles_DL < NEVER, np.nan_to_num(extras.prices_MDL.min(axis=0), posinf=0), 0).astype(np.int64)
    return CostTable(
        designs=spec.designs,
        use_DR=np.array([(d.pes, d.bandwidth) for d in spec.designs], np.int64),
        totals_R=spec.totals_R,
        min_cores=spec.min_cores,
        cores=spec.cores,
        cycles_DL=np.ascontiguousarray(cycles_DL),
        energy_DL=np.ascontiguousarray(energy_DL),
        area_D=costs.area_D,
        first_C=first_C,
        layers=names,
        energy_unit_j=spec.mac_j / 100 if spec.cost_model == "maestro" else _FJ,
        clock_hz=spec.clock_hz,
        extras=extras if needs_extras(extras) else None,
    )


def _kept(path: Path | None, price: Callable[[], _Costs]) -> _Costs:
    """The costs in a file, or new ones, which are then kept there; a damaged file is written anew."""
    if path is not None and path.exists():
        with suppress(OSError, ValueError, KeyError, BadZipFile), open(path, "rb") as file, np.load(file) as saved:
            return _Costs(saved["cycles_MDL"], saved["energy_MDL"], saved["area_D"])
    costs = price()
    if path is not None:
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **costs._asdict())
    return costs


def _digest(networks: Mapping[str, Workload], spec: ChipSpec) -> str:
    """16 hex digits of everything that the costs depend on."""
    about = {k: v for k, v in asdict(spec).items() if k not in _NOT_IN_COSTS}
    digest = hashlib.sha256(f"{_FORMAT} {canonical_json(about)}".encode())
    for work in networks.values():
        digest.update(repr((work.kinds, work.ops, work.predecessors)).encode())
        for column in (work.dims_LD, work.stride_L2, work.padding_L2, work.dilation_L2, work.bits_LO, work.density_LO):
            digest.update(np.ascontiguousarray(column).tobytes())
        digest.update(work.moved_LO.tobytes())
    return digest.hexdigest()[:16]


def _layers(networks: Mapping[str, Workload], spec: ChipSpec) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the rows, and the first row of each network."""
    names: list[str] = []
    first = [0]
    for network, work in networks.items():
        is_row_L = np.array([kind != "vector" for kind in work.kinds])
        rows = np.flatnonzero(is_row_L) if spec.cost_model == "maestro" else unit_rows(work)
        names += [f"{network}.{work.names[row]}" for row in rows]
        first.append(len(names))
    return tuple(names), np.array(first, np.int64)


def _priced_by_maestro(networks: Mapping[str, Workload], spec: ChipSpec) -> _Costs:
    """Each distinct layer once on each design."""
    tables = []
    for name, work in networks.items():
        try:
            tables.append(LayerTable.of_workload(work))
        except UserError as error:
            raise error.at(name) from None
    columns_L = np.concatenate([np.stack([getattr(t, f.name) for f in fields(t)], axis=1) for t in tables])
    rows_UF, which_L = np.unique(columns_L, axis=0, return_inverse=True)
    unique = LayerTable(*rows_UF.T)
    parts = [_of_dataflow(unique, spec, name) for name in spec.dataflows]
    n_ways = max(len(part.cycles_MDL) for part in parts)
    which_L = which_L.reshape(-1)
    cycles_MDL, energy_MDL = (
        np.concatenate([_padded(getattr(part, name), n_ways, filler) for part in parts], axis=1)[:, :, which_L]
        for name, filler in (("cycles_MDL", NEVER), ("energy_MDL", 0))
    )
    area_D = np.ceil(np.concatenate([part.area_D for part in parts])).astype(np.int64)
    return _Costs(np.ascontiguousarray(cycles_MDL), np.ascontiguousarray(energy_MDL), area_D)


def _padded(costs_MDL: np.ndarray, n_ways: int, filler: int) -> np.ndarray:
    return np.pad(costs_MDL, ((0, n_ways - len(costs_MDL)), (0, 0), (0, 0)), constant_values=filler)


def _of_dataflow(layers: LayerTable, spec: ChipSpec, name: str) -> _Costs:
    """All designs of one dataflow, with buffers that suit every layer, whichever cluster is chosen."""
    prices = layer_prices(layers, spec, name)
    l1_D, l2_D = prices.l1_MDL.max(axis=(0, 2)), prices.l2_MDL.max(axis=(0, 2))
    return _Costs(prices.cycles_MDL, prices.energy_MDL, maestro.area_um2(prices.pes_D, prices.width_D, l1_D, l2_D))


def _priced_by_loopnest(networks: Mapping[str, Workload], spec: ChipSpec, path: Path | None) -> _Costs:
    """Each layer at its best mapping, with the vector rows that follow it; parts are kept beside `path` until done."""
    works = list(networks.values())
    work = Workload.concat(works)
    starts = np.cumsum([0, *map(len, works)])[:-1]
    first_U = np.concatenate([start + unit_rows(part) for start, part in zip(starts, works, strict=True)])

    def priced(designs: tuple[CoreDesign, ...]) -> _Costs:
        costs = layer_costs(work, [accelerator_of(spec, design) for design in designs])
        can = np.logical_and.reduceat(costs.feasible_AL, first_U, axis=1)
        cycles = np.add.reduceat(costs.cycles_AL, first_U, axis=1)
        energy = np.add.reduceat(np.rint(np.nan_to_num(costs.energy_AL) / _FJ).astype(np.int64), first_U, axis=1)
        area = np.ceil(costs.area_mm2_A * 1e6).astype(np.int64)
        return _Costs(np.where(can, cycles, NEVER)[None], np.where(can, energy, 0)[None], area)

    parts, files = [], []
    for begin in range(0, len(spec.designs), _CHUNK):
        files.append(None if path is None else path.with_suffix(f".part{begin}"))
        parts.append(_kept(files[-1], lambda begin=begin: priced(spec.designs[begin : begin + _CHUNK])))
    cycles, energy, area = zip(*parts, strict=True)
    costs = _Costs(np.concatenate(cycles, axis=1), np.concatenate(energy, axis=1), np.concatenate(area))
    for file in filter(None, files):
        file.unlink()
    return costs


def accelerator_of(spec: ChipSpec, design: CoreDesign) -> Accelerator:
    """The core as `loopnest` prices it."""
    node = "nm" + (spec.technology or "65nm").removesuffix("nm")
    scale = {} if design.buffers == 1.0 else {"buffers": design.buffers}
    knobs = {"pes": design.pes, "bandwidth": design.bandwidth, "clock_hz": spec.clock_hz, "node": node, **scale}
    return find("hardware/templates", design.dataflow)(**knobs).accelerator()
