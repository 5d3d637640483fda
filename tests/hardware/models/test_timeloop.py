"""Cases by hand, small nests executed element by element, and the tool's own numbers."""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archip.core.errors import UserError
from archip.hardware.models.timeloop import EYERISS_256, Level, Timeloop
from archip.ir.layer_table import LayerTable

sys.path.insert(0, str(Path(__file__).parent))
from _timeloop_by_sets import BySets

OPERANDS = {"W": "Weights", "I": "Inputs", "O": "Outputs"}
TWO_LEVELS = (Level("DRAM", "WIO", mesh=(4, 1)), Level("Registers", "WIO", words=100))


def one(layer, mapping, levels=TWO_LEVELS):
    return {name: column[0] for name, column in Timeloop(levels).evaluate(layer, mapping).items()}


def moved(found, level, operand):
    return tuple(int(found[f"{level}_{OPERANDS[operand]}_{q}"]) for q in ("cap", "reads", "fills", "updates"))


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_sliding_window_by_hand():
    """Five outputs of a filter of 3: a tile of 3 inputs moves by 1, so 3 + 4 come in. The sum of 3 products stays.

    Registers, read for every product: 15 inputs; 10 sums, as the first product of each needs none.
    """
    found = one({"K": 1, "C": 1, "OX": 5, "FX": 3}, "DRAM [ ] ; for P in [0:5) ; Registers [ ] ; for R in [0:3)")
    assert moved(found, "Registers", "I") == (3, 15, 7, 0)
    assert moved(found, "DRAM", "I") == (7, 7, 0, 0)
    assert moved(found, "Registers", "W") == (3, 15, 3, 0)
    assert moved(found, "Registers", "O") == (1, 10, 5, 15)
    assert moved(found, "DRAM", "O") == (5, 0, 0, 5)
    assert (found["cycles"], found["active_pes"], found["utilization"]) == (15, 1, 15 / (15 * 4))
    dram_pj, register_pj = 200, 1 + (100 / 512 - 0.5) * 5 / 99.5
    counts = 15 + 7 + 15 + 3 + 10 + 5 + 15
    assert found["energy_uj"] * 1e6 == pytest.approx((7 + 3 + 5) * dram_pj + counts * register_pj + 15)


def test_halo_is_lost_when_another_loop_comes_between():
    """The same with two filters inside: the tile stands still, then moves, out of habit: all 3 come in each time."""
    found = one(
        {"K": 2, "C": 1, "OX": 5, "FX": 3},
        "DRAM [ ] ; for P in [0:5) ; for K in [0:2) ; Registers [ ] ; for R in [0:3)",
    )
    assert moved(found, "DRAM", "I") == (7, 5 * 3, 0, 0)


def test_multicast_by_hand():
    """Four filters side by side need the same input: read once, taken in four times."""
    found = one({"K": 4, "C": 6}, "DRAM [ ] ; for K in [0:4) (Spatial-X) ; Registers [ ] ; for C in [0:6)")
    assert moved(found, "DRAM", "I") == (6, 6, 0, 0)
    assert moved(found, "Registers", "I") == (6, 24, 24, 0)
    assert moved(found, "DRAM", "W") == (24, 24, 0, 0)
    assert (found["cycles"], found["active_pes"], found["utilization"]) == (6, 4, 1)


def test_neighbours_pass_on_their_input_by_hand():
    """Filter rows side by side, one output row after the other: what the second PE held, the first one needs next.

    3 inputs for the first output, then one new a step for the last PE: 3 + 4. The others, 2 in each of 4 steps, are
    taken from a neighbour: 8 in all, which the tool divides evenly among 3 PEs, and rounds down to 2 reads and fills.
    """
    mapping = "DRAM [ ] ; for Q in [0:5) ; for S in [0:3) (Spatial-X) ; Registers [ ]"
    found = one({"K": 1, "C": 1, "OY": 5, "FY": 3}, mapping)
    assert moved(found, "DRAM", "I") == (7, 7, 0, 0)
    shared = 2 * 4 / 3
    assert moved(found, "Registers", "I") == (1, 3 * round(5 + shared), 3 * int(7 / 3 + shared), 0)


def test_bandwidth_bounds_the_cycles():
    """Every product needs a weight of its own: 8 words in 8 cycles over a port of half a word."""
    slow = (TWO_LEVELS[0], replace(TWO_LEVELS[1], bandwidth=2.0))
    layer, mapping = {"K": 8, "C": 1}, "DRAM [ ] ; for K in [0:8) ; Registers [ ]"
    # a cycle: reads 1 weight, 1 input, no sum; writes 1 weight, 1/8 input, 1 new sum and 1 sum to fill
    assert one(layer, mapping, slow)["cycles"] == np.ceil(8 / (2.0 / (1 + 1 / 8 + 2)))


def test_a_tile_that_does_not_fit_is_a_reason():
    found = one({"K": 60, "C": 2}, "DRAM [ ] ; Registers [ ] ; for K in [0:60) ; for C in [0:2)")
    assert not found["mapped"]
    assert found["reason"] == "Registers holds 100 of 182 words"
    assert found["cycles"] == -1
    assert np.isnan(found["energy_uj"])


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("Registers [ ] ; for K in [0:8)", "mapping 1: levels Registers .*DRAM Registers, outermost first"),
        ("DRAM [ ] ; for K in [0:4) ; Registers [ ]", "loops K multiply to 4 .*8 in the layer"),
        ("DRAM [ ] ; for K in [0:8) (Spatial-X) ; Registers [ ]", "8 sub-units of DRAM along X .*at most 4"),
        ("DRAM [ ] ; for K in [0:8) (Spatial-Y) ; Registers [ ]", "8 sub-units of DRAM along Y .*at most 1"),
        ("DRAM [ ] ; for K in [0:3,2) ; for K in [0:3) ; Registers [ ]", "shorter last round"),
        ("DRAM [ ] ; for Z in [0:8) ; Registers [ ]", "unknown loop 'Z'"),
    ],
)
def test_bad_mappings_are_refused(mapping, message):
    with pytest.raises(UserError, match=message):
        one({"K": 8, "C": 1}, mapping)


# --- element by element -----------------------------------------------------------------------------------------------

NAMES, MESHES = ("Far", "Shared", "Row", "Own"), ((2, 1), (3, 2), (1, 4), (1, 1))


@st.composite
def nests(draw, splits):
    """(operands kept by each level, its loops, stride); few enough products to visit each."""
    kept = ["WIO", *(draw(st.sampled_from(["", "W", "I", "O", "WI", "IO", "WIO"])) for _ in NAMES[1:-1]), "WIO"]
    loops, room = [], 400
    letters = {"N", "K", "C", "P", "Q", "R", "S"}
    for columns, rows in MESHES:
        level = []
        for letter in draw(st.permutations(sorted(letters)))[: draw(st.integers(0, 3))]:
            n = draw(st.integers(2, 3))
            if n <= room and letter in letters:
                level.append((letter, n, ""))
                room //= n
                moved_axes = next((pair for pair in ("PR", "QS") if letter in pair), letter)
                letters -= set() if splits else set(moved_axes)
        for mesh, size in (("X", columns), ("Y", rows)):
            for letter in draw(st.permutations("KCPQRS"))[:2]:
                n = draw(st.integers(1, size))
                if 1 < n <= room:
                    level.append((letter, n, mesh))
                    size, room = size // n, room // n
        loops.append(level)
    return kept, loops, draw(st.integers(1, 3))


def printed(loops):
    """The mapping as the tool prints it."""
    parts = []
    for name, level in zip(NAMES, loops, strict=True):
        parts.append(f"{name} [ ] ;")
        parts += [f"| for {letter} in [0:{n}){f' (Spatial-{mesh})' if mesh else ''} ;" for letter, n, mesh in level]
    return " ".join(parts)


def assert_equal_to_execution(nest, first_two):
    kept, loops, stride = nest
    levels = tuple(Level(*args) for args in zip(NAMES, kept, [None] * 4, [1] * 4, [None] * 4, MESHES, strict=True))
    slow = BySets(list(zip(NAMES, kept, MESHES, strict=True)), loops, stride, first_two)
    if not first_two:
        assume(not any(slow.handed_down(o, v).linked for o in OPERANDS for v in (1, 2, 3)))
    sizes = dict(
        zip(("N", "K", "C", "OX", "OY", "FX", "FY"), (slow.sizes[letter] for letter in "NKCPQRS"), strict=True)
    )
    found = one(sizes | {"stride": stride}, printed(loops), levels)
    for operand in OPERANDS:
        for name, expected in slow.counts(operand).items():
            assert moved(found, name, operand) == expected, (name, operand, nest)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(nests(splits=True))
def test_counts_equal_those_of_two_iterations_of_each_loop(nest):
    assert_equal_to_execution(nest, first_two=True)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(nests(splits=False))
def test_counts_equal_those_of_full_execution_where_no_axis_is_moved_twice(nest):
    assert_equal_to_execution(nest, first_two=False)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(nests(splits=True))
def test_counts_equal_those_of_two_iterations_at_length(nest):
    assert_equal_to_execution(nest, first_two=True)


@pytest.mark.slow
@settings(max_examples=700, deadline=None)
@given(nests(splits=False))
def test_counts_equal_those_of_full_execution_at_length(nest):
    assert_equal_to_execution(nest, first_two=False)


def test_rows_do_not_depend_on_their_neighbours():
    """A batch is its rows, also where they have different numbers of loops."""
    layers = {"K": [4, 8], "C": [6, 1]}
    texts = [
        "DRAM [ ] ; for K in [0:4) (Spatial-X) ; Registers [ ] ; for C in [0:3) ; for C in [0:2)",
        "DRAM [ ] ; Registers [ ] ; for K in [0:8)",
    ]
    both = Timeloop(TWO_LEVELS).evaluate(layers, texts)
    for m, text in enumerate(texts):
        single = one({"K": layers["K"][m], "C": layers["C"][m]}, text)
        assert {name: column[m] for name, column in both.items()} == single


# --- the tool's numbers -----------------------------------------------------------------------------------------------


@pytest.mark.golden
def test_every_number_of_the_tool():
    folder = Path(os.environ.get("ARCHIP_REFERENCE", ""))
    if not os.environ.get("ARCHIP_REFERENCE") or not (folder / "timeloop.csv").is_file():
        pytest.skip("ARCHIP_REFERENCE names no folder with timeloop.csv")
    with (folder / "layers.csv").open(newline="") as file:
        layers = {(r["network"], r["layer"]): r for r in csv.DictReader(file)}
    with (folder / "timeloop.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    used = [layers[r["network"], r["layer"]] for r in rows]
    table = LayerTable.of({name: [int(r[name]) for r in used] for name in LayerTable.__dataclass_fields__})
    found = Timeloop(EYERISS_256).evaluate(table, [row["mapping"] for row in rows])
    columns = [name for name in rows[0] if name not in ("network", "layer", "op", "arch", "mapping")]
    assert set(columns) <= set(found)
    assert found["mapped"].all()
    for name in columns:
        decimals = 0.0051 if found[name].dtype == np.float64 else 0.0  # the table prints two
        np.testing.assert_allclose(found[name], [float(row[name]) for row in rows], rtol=0, atol=decimals, err_msg=name)
