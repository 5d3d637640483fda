"""Figures of a chip: rows, places and sums by hand."""

from __future__ import annotations

import pytest

from archip.export._chip_figures import chip_figures

CHIP = {
    "area_mm2": 3.0,
    "cores": [
        {"dataflow": "nvdla", "area_parts_mm2": {"multipliers": 0.5, "buffers": 1.5}},
        {"dataflow": "eyeriss", "area_parts_mm2": {"multipliers": 1.0}},
    ],
}
TIMES = {"a": (1, 0, 7), "b": (0, 3, 5)}
PARTS = {"a": {"dram": 2e-6, "arithmetic": 1e-6}, "b": {"dram": 4e-6}}
SCHEDULE = [
    {"network": n, "layer": "x", "core": core, "start_cycle": start, "end_cycle": end, "energy_parts_j": PARTS[n]}
    for n, (core, start, end) in TIMES.items()
]


@pytest.fixture
def figures():
    return dict(chip_figures(CHIP, SCHEDULE, ["a", "b"]))


def totals(figure):
    """Label → value of every branch, leaves summed up."""
    (trace,) = figure["data"]
    rows = list(zip(trace["ids"], trace["labels"], trace["parents"], trace["values"], strict=True))

    def total(name):
        return sum(value for i, _, _, value in rows if i == name) + sum(total(i) for i, _, up, _ in rows if up == name)

    assert len(set(trace["ids"])) == len(rows)
    return {i: total(i) for i, *_ in rows}


def test_bars_stand_on_their_core_from_first_to_last_cycle(figures):
    bars = [(t["name"], t["y"], t["base"], t["x"]) for t in figures["gantt"]["data"]]
    assert bars == [("a", ["core 1"], [0], [7]), ("b", ["core 0"], [3], [2])]


def test_areas_add_up_to_the_chips(figures):
    sums = totals(figures["area"])
    assert sums["area"] == 3.0
    assert (sums["area/core 0: nvdla"], sums["area/core 1: eyeriss"]) == (2.0, 1.0)
    assert sums["area/core 0: nvdla/buffers"] == 1.5


def test_energies_add_up_and_layers_of_one_name_stay_apart(figures):
    sums = totals(figures["energy"])
    assert sums["energy"] == pytest.approx(7)
    assert (sums["energy/a/x"], sums["energy/b/x"]) == (pytest.approx(3), pytest.approx(4))


def test_a_chip_that_states_no_area_has_no_such_figure():
    chip = {"cores": [{"dataflow": "mine", "area_parts_mm2": {}}]}
    assert "area" not in dict(chip_figures(chip, SCHEDULE, ["a", "b"]))
