"""Joint tables: the networks of a table as counts of distinct layers, and the prices of those layers on every core.

Under `maestro` a network is a chain of its layers with loops, so that its costs on a chip depend on how many layers of
each shape it has and on nothing else. Networks of equal counts are one *profile*; of a profile only the most accurate
network matters, and of profiles only those that no more accurate one undercuts in every count: on any chip, with any
schedule, the undercutting network takes no more cycles, energy or area.

Legend: N profiles, L distinct layers, D core designs.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.errors import UserError, nearest
from archip.core.protocols import Progress
from archip.core.record import metric
from archip.data._table_spec import Networks
from archip.hardware.chip._layer_prices import layer_prices
from archip.hardware.chip.space import ChipSpec
from archip.hardware.models import maestro
from archip.ir.layer_table import LayerTable
from archip.ir.workload import workload
from archip.search._joint_kernels import unbeaten
from archip.spaces._network import NetworkSpace
from archip.spaces.tabular import Tabular

__all__ = ["Prices", "Profiles", "prices_of", "profiles_of", "refuse_unknown"]

_STRIDE = 256  # rows between two signs of progress


@dataclass(frozen=True, eq=False)
class Profiles:
    """The networks of a table by their layers, in falling order of accuracy.

    Attributes:
        layers: the distinct layers.
        counts_NL: how many of each a profile has.
        score_N: accuracy (or other test metric, signed: more is better) of its best network, in SI units.
        row_N: the row of that network.
        profile_of: row of every distinct network → its profile.
    """

    layers: LayerTable
    counts_NL: np.ndarray
    score_N: np.ndarray
    row_N: np.ndarray
    profile_of: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.score_N)

    @property
    def relevant(self) -> np.ndarray:
        """The profiles that no more accurate one undercuts in every count, in falling order of accuracy."""
        return unbeaten(self.counts_NL, self.score_N)


def profiles_of(space: Tabular, search: str, progress: Progress | None = None) -> Profiles:
    """Read the networks of a table for one of its searches: one graph is built for each kind of layers.

    Raises:
        UserError: the table does not say what its networks are, or not for this search.
    """
    table = space.rows
    _, asked = table.search(search)
    score_M = metric(asked.test[0]).goal * table.metric(asked.test[0])
    networks, shape, n_outputs = _declared(space, search)
    options = networks.options | networks.options_of.get(search, {})
    nets = registry.create("spaces", networks.space, options)
    if not isinstance(nets, NetworkSpace):
        raise UserError(f"{networks.space} is no space of networks", f"{table.name}: networks.space")
    best: dict[str, int] = {}
    key_of: dict[int, str] = {}
    for row in _shown(space.distinct_N.tolist(), "networks", progress):
        if np.isfinite(score_M[row]):
            key = key_of[row] = nets.layers_key(_genotype(networks, space.genotype(row)))
            if key not in best or score_M[row] > score_M[best[key]]:
                best[key] = row
    rows = np.array(list(best.values()))
    tables = [
        LayerTable.of_workload(workload(nets.graph(_genotype(networks, space.genotype(row)), shape, n_outputs)))
        for row in _shown(rows.tolist(), "layers of kinds", progress)
    ]
    shapes = np.concatenate([np.stack([getattr(t, f.name) for f in fields(t)], axis=1) for t in tables])
    distinct_LF, which = np.unique(shapes, axis=0, return_inverse=True)
    counts_NL = np.zeros((len(rows), len(distinct_LF)), np.int64)
    np.add.at(counts_NL, (np.repeat(np.arange(len(rows)), [len(t) for t in tables]), which.reshape(-1)), 1)
    counts_NL, merged_N = np.unique(counts_NL, axis=0, return_inverse=True)
    return _ordered(LayerTable(*distinct_LF.T), counts_NL, merged_N.reshape(-1), rows, score_M, list(best), key_of)


def _shown(rows: Sequence[int], what: str, progress: Progress | None) -> Iterator[int]:
    """The rows, with a bar of how many are done."""
    handle = None if progress is None else progress.start(what, len(rows))
    for begin in range(0, len(rows), _STRIDE):
        part = rows[begin : begin + _STRIDE]
        yield from part
        if progress is not None:
            progress.advance(handle, len(part))
    if progress is not None:
        progress.finish(handle)


def _ordered(
    layers: LayerTable,
    counts_NL: np.ndarray,
    merged_K: np.ndarray,
    row_K: np.ndarray,
    score_M: np.ndarray,
    keys: list[str],
    key_of: Mapping[int, str],
) -> Profiles:
    """Profiles by falling accuracy, of equal ones the fewest layers first; keys K of one profile are merged."""
    first_N = np.array(
        [int(min(np.flatnonzero(merged_K == n), key=lambda k: -score_M[row_K[k]])) for n in range(len(counts_NL))]
    )
    row_N = row_K[first_N]
    order = np.lexsort((row_N, counts_NL.sum(axis=1), -score_M[row_N]))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    profile_of_key = {key: int(place[merged_K[k]]) for k, key in enumerate(keys)}
    profile_of = {row: profile_of_key[key] for row, key in key_of.items()}
    return Profiles(layers, np.ascontiguousarray(counts_NL[order]), score_M[row_N[order]], row_N[order], profile_of)


def _declared(space: Tabular, search: str) -> tuple[Networks, tuple[int, ...], int]:
    """What the table says of its networks: (declaration, input shape, number of outputs)."""
    table = space.rows
    networks = table.spec.networks
    if networks is None:
        right = "networks: {space: ..., inputs: {...}} in its declaration, see docs/joint.md"
        raise UserError("the table does not say how its rows become networks, so they have no costs", table.name, right)
    text = networks.inputs.get(search, networks.inputs.get("*"))
    if text is None:
        right = nearest(search, networks.inputs)
        raise UserError(f"no input is declared for {search!r}", f"{table.name}: networks.inputs", right)
    sides, _, outputs = text.partition(":")
    try:
        return networks, tuple(int(side) for side in sides.split("x")), int(outputs)
    except ValueError:
        raise UserError(f"{text!r} is no input", f"{table.name}: networks.inputs.{search}", "3x32x32:10") from None


def _genotype(networks: Networks, genes: Mapping[str, Any]) -> dict[str, Any]:
    """A row's genotype as one of the space of networks."""
    return {_renamed(networks.genes, name): networks.values.get(value, value) for name, value in genes.items()}


def _renamed(names: Mapping[str, str], name: str) -> str:
    if name in names:
        return names[name]
    for old, new in names.items():
        if "*" in old and fnmatch.fnmatchcase(name, old):
            before, _, after = old.partition("*")
            return new.replace("*", name[len(before) : len(name) - len(after)])
    return name


@dataclass(frozen=True, eq=False)
class Prices:
    """Costs of each layer on each core design; a chain's buffers are as large as its neediest layer requires.

    Attributes:
        cycles_DL, energy_DL: int64, as in `hardware/chip/table.py`.
        l1_DL, l2_DL: elements of the buffers that a layer needs.
        pes_D, width_D: PEs and bytes a cycle. use_DR: PEs and bytes/s.
    """

    spec: ChipSpec
    cycles_DL: np.ndarray
    energy_DL: np.ndarray
    l1_DL: np.ndarray
    l2_DL: np.ndarray
    pes_D: np.ndarray
    width_D: np.ndarray

    @property
    def use_DR(self) -> np.ndarray:
        return np.array([(d.pes, d.bandwidth) for d in self.spec.designs], np.int64)

    @property
    def energy_unit_j(self) -> float:
        return self.spec.mac_j / 100

    def area_D(self, count_L: np.ndarray) -> np.ndarray:
        """um^2, rounded up, of each design for a network with these counts."""
        on = count_L > 0
        l1_D, l2_D = self.l1_DL[:, on].max(axis=1), self.l2_DL[:, on].max(axis=1)
        return np.ceil(maestro.area_um2(self.pes_D, self.width_D, l1_D, l2_D)).astype(np.int64)


def refuse_unknown(spec: ChipSpec) -> None:
    """Raise where joint fronts do not know a space of chips.

    Raises:
        UserError: naming the option.
    """
    if spec.cores > 2:
        raise UserError("joint fronts are of chips with one or two cores", "cores", "2")
    known = {"cost_model": "maestro", "graph": "chain", "dram": None}
    for option, value in known.items():
        if getattr(spec, option) != value:
            raise UserError(f"joint fronts do not know {getattr(spec, option)!r}", option, str(value))
    if spec.mapping == "free":
        raise UserError("joint fronts have one mapping a layer and core", "mapping", "fixed or fastest")


def prices_of(layers: LayerTable, spec: ChipSpec) -> Prices:
    """Every distinct layer on every core design of a space of chips with one or two cores.

    Raises:
        UserError: a space that joint fronts do not know.
    """
    refuse_unknown(spec)
    parts = [layer_prices(layers, spec, name) for name in spec.dataflows]
    *costs, pes, width = zip(*parts, strict=True)
    cycles_DL, energy_DL, l1_DL, l2_DL = (np.concatenate(part, axis=1)[0] for part in costs)
    return Prices(spec, cycles_DL, energy_DL, l1_DL, l2_DL, np.concatenate(pes), np.concatenate(width))
