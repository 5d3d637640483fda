"""Do our cost models give the numbers of the tools that they stand for, row by row?

    python -m benchmarks.fidelity                        tables in ../shared/reference/hw or $ARCHIP_REFERENCE
    python -m benchmarks.fidelity --reference DIR --json FILE

Every row of every table in DIR is run through our model of the same tool, on the same layer, configuration and
mapping. Printed per tool and quantity (the tables' column names): rows, share exact (in the digits that the table
prints), within 1, 5 and 10 %, Spearman's rank correlation, and the worst row. `all_accesses` takes the worst of a row's
access counts. A table that is absent is skipped, and so are rows on hardware that we have no description of; a table
that cannot be read, or holds what our model refuses, is named with the reason.
Expected: every quantity exact on all rows.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archip.core.errors import UserError
from archip.hardware.models import maestro, systolic
from archip.hardware.models.timeloop import Timeloop
from archip.ir.layer_table import LayerTable

Rows = list[dict[str, str]]
Floats = NDArray[np.float64]
Report = dict[str, dict[str, dict[str, Any]]]

_SIX_DIGITS = 6  # significant ones, of MAESTRO's decimal numbers


@dataclass(frozen=True)
class Quantity:
    """One column of a table beside ours.

    `unit` is the place of the last printed digit (0 for whole numbers), `labels` names the rows.
    """

    expected: Floats
    found: Floats
    unit: Floats | float
    labels: Sequence[str]

    @property
    def error(self) -> Floats:
        """Relative error of every row; 0 where the printed digits agree."""
        error = np.abs(self.found - self.expected)
        exact = error <= np.asarray(self.unit) / 2 * (1 + 1e-6)
        return np.where(exact, 0.0, error / np.maximum(np.abs(self.expected), 1e-300))

    def summary(self) -> dict[str, Any]:
        """Rows, shares of them, and rank correlation."""
        shares = {f"within_{percent}": float((self.error <= percent / 100).mean()) for percent in (1, 5, 10)}
        exact = float((self.error == 0).mean())
        return {"rows": len(self.expected), "exact": exact, **shares, "spearman": _spearman(self.expected, self.found)}

    @property
    def worst(self) -> str:
        """The row with the largest error; empty where there is none."""
        i = int(np.argmax(self.error))
        if self.error[i] == 0:
            return ""
        return f"{self.labels[i]}: {self.expected[i]:.6g} there, {self.found[i]:.6g} here"


def _worst_of(quantities: Sequence[Quantity]) -> Quantity:
    """For every row the quantity with the largest error there."""
    worst = np.argmax([quantity.error for quantity in quantities], axis=0)
    rows = np.arange(len(worst))
    pick = lambda values: np.stack(list(values))[worst, rows]  # noqa: E731
    unit = pick(np.broadcast_to(np.asarray(quantity.unit, float), len(rows)) for quantity in quantities)
    return Quantity(pick(q.expected for q in quantities), pick(q.found for q in quantities), unit, quantities[0].labels)


def _spearman(a: Floats, b: Floats) -> float | None:
    """Rank correlation; None where one of the two is constant."""
    from scipy.stats import rankdata

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


# --- One function a tool: the folder → quantities. To add a tool, write one and name it in TOOLS. ---------------------


def maestro_quantities(folder: Path) -> dict[str, Quantity]:
    """Every number of `maestro.csv`."""
    rows = _read(folder / "maestro.csv")
    found = maestro.costs(
        _layers(folder, rows),
        [row["dataflow"] for row in rows],
        pes=_whole(rows, "pes"),
        cluster=np.maximum(_whole(rows, "cluster_size"), 1),
        noc_bandwidth=_whole(rows, "noc_bw"),
        offchip_bandwidth=_whole(rows, "offchip_bw"),
    )
    labels = _labels(rows, "network", "layer", "dataflow", "cluster_size", "pes", "noc_bw", "offchip_bw")
    quantities = {}
    for name in rows[0]:
        if name in found:
            expected = _numbers(rows, name)
            digits = 10.0 ** (np.floor(np.log10(np.maximum(np.abs(expected), 1e-300))) + 1 - _SIX_DIGITS)
            unit = 0.0 if found[name].dtype == np.int64 else digits
            quantities[name] = Quantity(expected, found[name].astype(float), unit, labels)
    return quantities


def scalesim_quantities(folder: Path) -> dict[str, Quantity]:
    """Numbers of `scalesim.csv` that do not depend on stalls; the rest on CALC rows only."""
    rows = _read(folder / "scalesim.csv")
    found = systolic.costs(
        _layers(folder, rows),
        [row["dataflow"] for row in rows],
        rows=_whole(rows, "array_rows"),
        cols=_whole(rows, "array_cols"),
        sram_bytes=(
            1024 * _whole(rows, "ifmap_sram_kb"),
            1024 * _whole(rows, "filter_sram_kb"),
            1024 * _whole(rows, "ofmap_sram_kb"),
        ),
        exact_dram=True,
    )
    calc = np.array([row["mode"] == "CALC" for row in rows])
    labels = _labels(rows, "network", "layer", "dataflow", "array_rows", "array_cols", "mode")
    printed = {name: _numbers(rows, name) for name in found if name in rows[0]}

    def quantity(name: str, chosen: NDArray[np.bool_], expected: Floats | None = None) -> Quantity:
        unit = 0.0 if found[name].dtype == np.int64 else 1e-4
        values = printed[name] if expected is None else expected
        picked = [label for label, take in zip(labels, chosen, strict=True) if take]
        return Quantity(values[chosen], found[name][chosen].astype(float), unit, picked)

    quantities = {name: quantity(name, calc) for name in printed}
    without_stalls = printed["total_cycles"] - _numbers(rows, "stall_cycles")
    quantities["user_total_less_stall_cycles"] = quantity("total_cycles", ~calc, without_stalls)
    for name in ("ifmap_sram_reads", "filter_sram_reads", "ofmap_sram_writes"):
        quantities[f"user_{name}"] = quantity(name, ~calc)
    return {name: q for name, q in quantities.items() if len(q.expected)}


def zigzag_quantities(folder: Path) -> dict[str, Quantity]:
    """Latency and its parts, energy and accesses on ZigZag's own mappings, by `loopnest`."""
    from archip.hardware.accelerator import OPERANDS
    from archip.hardware.models.loopnest import Loopnest, pack_layers

    chips_of = _zigzag_chips()
    rows = _known(_read(folder / "zigzag.csv"), "accelerator", chips_of.NAMES)
    layers = _read(folder / "layers.csv")
    names = sorted({row["accelerator"] for row in rows})
    chips = [chips_of.accelerator(name) for name in names]
    number = {(row["network"], row["layer"]): i for i, row in enumerate(layers)}
    which = np.array([(names.index(r["accelerator"]), number[r["network"], r["layer"]]) for r in rows])
    mappings = [
        chips_of.mapping(row["spatial_mapping"], row["temporal_mapping"], len(chips[a].array))
        for row, (a, _) in zip(rows, which, strict=True)
    ]
    t = _table(layers)
    both = lambda column: np.stack([column, column], axis=1)  # noqa: E731
    packed = pack_layers(
        t.dims_LD, both(t.stride), both(t.padding), np.ones((len(t), 2), np.int64), np.full((len(t), 3), 8)
    )
    found = Loopnest(zigzag=True).costs(chips, packed, which, mappings)
    ours = {
        "latency_cycles": (found.cycles_M, 0.0),
        "ideal_temporal_cycles": (found.compute_M, 0.1),
        "stall_cycles": (found.stall_M, 0.0),
        "onload_cycles": (found.onload_M, 0.0),
        "offload_cycles": (found.offload_M, 0.0),
        "systolic_drain_cycles": (found.drain_M, 0.1),
        "energy_total": (found.energy_j_M, 0.01),
        "energy_mac": (found.mac_energy_j_M, 0.01),
    }
    labels = _labels(rows, "network", "layer", "accelerator")
    quantities = {
        name: Quantity(_numbers(rows, name), np.asarray(values, float), unit, labels)
        for name, (values, unit) in ours.items()
        if name in rows[0]
    }
    if not (folder / "zigzag_accesses.csv").is_file():
        return quantities
    accesses = _known(_read(folder / "zigzag_accesses.csv"), "accelerator", chips_of.NAMES)
    mapping = {(r["network"], r["layer"], r["accelerator"]): m for m, r in enumerate(rows)}
    at = [mapping[r["network"], r["layer"], r["accelerator"]] for r in accesses]
    words = found.words_MOE4[at, [OPERANDS.index(r["operand"]) for r in accesses], _whole(accesses, "level")]
    labels = _labels(accesses, "network", "layer", "accelerator", "operand", "memory")
    for i, direction in enumerate(found.directions):
        quantities[direction] = Quantity(_numbers(accesses, direction), words[:, i], 0.0, labels)
    quantities["all_accesses"] = _worst_of([quantities[direction] for direction in found.directions])
    return quantities


def timeloop_quantities(folder: Path) -> dict[str, Quantity]:
    """Every number of `timeloop.csv`, on the tool's own mappings."""
    rows = _known(_read(folder / "timeloop.csv"), "arch", ("eyeriss-256",))
    found = Timeloop().evaluate(_layers(folder, rows), [row["mapping"] for row in rows])
    labels = _labels(rows, "network", "layer")
    quantities = {}
    for name in rows[0]:
        if name in found:
            unit = 0.0 if found[name].dtype == np.int64 else 0.01
            quantities[name] = Quantity(_numbers(rows, name), found[name].astype(float), unit, labels)
    counts = [quantities[name] for name in quantities if name.endswith(("_reads", "_fills", "_updates"))]
    return quantities | {"all_accesses": _worst_of(counts)}


TOOLS: Mapping[str, Callable[[Path], dict[str, Quantity]]] = {
    "maestro": maestro_quantities,
    "scalesim": scalesim_quantities,
    "zigzag": zigzag_quantities,
    "timeloop": timeloop_quantities,
}


# --- Tables ----------------------------------------------------------------------------------------------------------


def _read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _known(rows: Rows, column: str, names: Collection[str]) -> Rows:
    """The rows on hardware that we have a description of; says which others there are."""
    unknown = {row[column] for row in rows} - set(names)
    for name in sorted(unknown):
        print(f"rows on {name}: we have no description of it")
    known = [row for row in rows if row[column] not in unknown]
    if not known:
        raise UserError("no row on hardware that we know", f"column {column}", ", ".join(names))
    return known


def _numbers(rows: Rows, name: str) -> Floats:
    return np.array([float(row[name]) for row in rows])


def _whole(rows: Rows, name: str) -> NDArray[np.int64]:
    return np.array([int(row[name]) for row in rows])


def _labels(rows: Rows, *names: str) -> list[str]:
    return [" ".join(row[name] for name in names) for row in rows]


def _table(layers: Rows) -> LayerTable:
    return LayerTable.of({name: _whole(layers, name) for name in LayerTable.__dataclass_fields__})


def _layers(folder: Path, rows: Rows) -> LayerTable:
    """The layer of every row."""
    layers = _read(folder / "layers.csv")
    number = {(layer["network"], layer["layer"]): i for i, layer in enumerate(layers)}
    return _table(layers).select([number[row["network"], row["layer"]] for row in rows])


def _zigzag_chips() -> ModuleType:
    """The accelerators behind `zigzag.csv`, which the tests describe."""
    path = Path(__file__).parents[1] / "tests/hardware/_zigzag.py"
    spec = importlib.util.spec_from_file_location("_zigzag", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- Report ----------------------------------------------------------------------------------------------------------


def main(reference: Path) -> Report:
    """Compare, print the table, return the figures."""
    report: Report = {}
    for tool, compare in TOOLS.items():
        if not (reference / f"{tool}.csv").is_file():
            print(f"{tool}.csv is not in {reference}: skipped")
            continue
        try:
            quantities = compare(reference)
        except (UserError, KeyError, ValueError) as error:
            print(
                f"{tool}.csv cannot be compared: {error!r}" if isinstance(error, KeyError) else f"{tool}.csv: {error}"
            )
            continue
        report[tool] = {name: quantity.summary() for name, quantity in quantities.items()}
        print(f"\n{tool:<31} {'rows':>6} {'exact':>8} {'1 %':>8} {'5 %':>8} {'10 %':>8} {'Spearman':>9}  worst row")
        for name, quantity in quantities.items():
            print(_line(name, report[tool][name], quantity.worst))
    for name in sorted(path.stem for path in reference.glob("*.csv")):
        if name not in TOOLS and name not in ("layers", "zigzag_accesses"):
            print(f"{name}.csv: nothing of ours is compared with it yet")
    return report


def _line(name: str, summary: Mapping[str, Any], worst: str) -> str:
    shares = " ".join(f"{_percent(summary[key]):>8}" for key in ("exact", "within_1", "within_5", "within_10"))
    rank = "" if summary["spearman"] is None else f"{summary['spearman']:.4f}"
    return f"  {name:<29} {summary['rows']:>6} {shares} {rank:>9}  {worst}".rstrip()


def _percent(share: float) -> str:
    """Never rounded up to 100 %."""
    return "100 %" if share == 1 else f"{np.floor(share * 1e4) / 100:.2f} %"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("ARCHIP_REFERENCE", "../shared/reference/hw"))
    parser.add_argument("--reference", type=Path, default=default, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if not (arguments.reference / "layers.csv").is_file():
        parser.error(f"there is no layers.csv in {arguments.reference}")
    figures = main(arguments.reference)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
