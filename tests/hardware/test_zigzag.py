"""ZigZag's own mappings: every part of the latency, the energy and all access counts, exactly."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import _zigzag
import numpy as np
import pytest

from archip.hardware.accelerator import OPERANDS
from archip.hardware.models.loopnest import Loopnest, pack_layers

pytestmark = pytest.mark.golden
PARTS = {
    "ideal_temporal_cycles": "compute_M",
    "stall_cycles": "stall_M",
    "onload_cycles": "onload_M",
    "offload_cycles": "offload_M",
    "systolic_drain_cycles": "drain_M",
}


def read(name: str) -> list[dict[str, str]]:
    folder = os.environ.get("ARCHIP_REFERENCE")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"ARCHIP_REFERENCE names no folder with {name}")
    with (Path(folder) / name).open(newline="") as file:
        return list(csv.DictReader(file))


def pack(rows):
    ints = [{k: int(v) for k, v in row.items() if k not in ("network", "layer", "op")} for row in rows]
    dims = [
        [r["N"], r["groups"], r["K"] // r["groups"], r["C"] // r["groups"], r["OY"], r["OX"], r["FY"], r["FX"]]
        for r in ints
    ]
    stride = [[r["stride"]] * 2 for r in ints]
    padding = [[r["padding"]] * 2 for r in ints]
    n = len(rows)
    return pack_layers(dims, stride, padding, np.ones((n, 2)), np.full((n, 3), 8))


@pytest.fixture(scope="module")
def costs():
    layers = read("layers.csv")
    rows = read("zigzag.csv")
    names = sorted({row["accelerator"] for row in rows})
    chips = [_zigzag.accelerator(name) for name in names]
    number = {(r["network"], r["layer"]): i for i, r in enumerate(layers)}
    which = np.array([(names.index(r["accelerator"]), number[r["network"], r["layer"]]) for r in rows])
    mappings = [
        _zigzag.mapping(r["spatial_mapping"], r["temporal_mapping"], len(chips[a].array))
        for r, (a, _) in zip(rows, which, strict=True)
    ]
    return rows, chips, which, Loopnest(zigzag=True).costs(chips, pack(layers), which, mappings)


def test_there_are_all_rows(costs):
    assert len(costs[0]) == 492


@pytest.mark.parametrize("column", [*PARTS, "latency_cycles"])
def test_cycles(costs, column):
    rows, *_, found = costs
    expected = np.array([float(row[column]) for row in rows])
    if column == "latency_cycles":
        np.testing.assert_array_equal(found.cycles_M, expected)
    else:
        np.testing.assert_allclose(getattr(found, PARTS[column]), expected, rtol=1e-12, atol=1e-6)


@pytest.mark.parametrize(("column", "quantity"), [("energy_total", "energy_j_M"), ("energy_mac", "mac_energy_j_M")])
def test_energy(costs, column, quantity):
    rows, *_, found = costs
    np.testing.assert_allclose(getattr(found, quantity), [float(row[column]) for row in rows], rtol=1e-9, atol=0.006)


def test_words(costs):
    rows, chips, which, found = costs
    number = {(r["network"], r["layer"], r["accelerator"]): m for m, r in enumerate(rows)}
    expected = read("zigzag_accesses.csv")
    assert len(expected) == 4574
    for row in expected:
        m = number[row["network"], row["layer"], row["accelerator"]]
        operand, level = row["operand"], int(row["level"])
        chip = chips[which[m, 0]]
        assert chip.memories[chip.levels(operand)[level]].name == row["memory"]
        words = found.words_MOE4[m, OPERANDS.index(operand), level]
        assert [int(row[d]) for d in found.directions] == list(words), row
