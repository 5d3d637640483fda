"""TransNAS-Bench-101's macro networks against the benchmark's own counts, of networks and of their weights."""

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.data._table import load_table
from archip.ir.workload import workload
from archip.spaces.tabular import Tabular
from archip.spaces.transnas_macro import TransNASMacro

RESNET = ("double", "double_halve", "halve", "normal", "none", "none")


def genes(*kinds):
    return {f"module{m}": kind for m, kind in enumerate(kinds, 1)}


def test_the_space_has_as_many_networks_as_the_paper_says():
    assert len(list(TransNASMacro().enumerate())) == 3256


@pytest.mark.parametrize(
    "kinds",
    [
        ("normal",) * 4 + ("none", "none"),  # nothing halves or doubles
        ("double_halve",) * 4 + ("none", "none"),  # four doublings
        ("double", "halve", "normal", "normal", "none", "normal"),  # a gap
    ],
)
def test_what_the_space_does_not_have(kinds):
    with pytest.raises(UserError, match="breaks a constraint"):
        TransNASMacro().canonical(genes(*kinds))


def test_a_small_network_by_hand():
    """Channels 4, one block a module: 1 + 4 modules."""
    work = workload(TransNASMacro(channels=4, blocks=1).graph(genes(*RESNET), (3, 32, 32), 5))
    stem = 27 * 2 + 2 * 2 + 9 * 2 * 4 + 2 * 4
    double = 9 * 4 * 8 + 9 * 8 * 8 + 4 * 8 + 3 * 2 * 8
    both = 9 * 8 * 16 + 9 * 16 * 16 + 8 * 16 + 3 * 2 * 16
    halve = 2 * 9 * 16 * 16 + 16 * 16 + 3 * 2 * 16
    normal = 2 * 9 * 16 * 16 + 2 * 2 * 16
    assert work.params == stem + double + both + halve + normal + 16 * 5 + 5
    macs_of_stem = 16 * 16 * 27 * 2 + 8 * 8 * 9 * 2 * 4
    at_8 = 8 * 8 * (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8)
    at_4 = 4 * 4 * (9 * 8 * 16 + 9 * 16 * 16 + 8 * 16)
    at_2 = 2 * 2 * (4 * 9 * 16 * 16 + 16 * 16)
    assert work.macs == macs_of_stem + at_8 + at_4 + at_2 + 16 * 5


@pytest.mark.parametrize(("search", "column", "outputs"), [
    ("class_object", "params", 100), ("class_scene", "scene_params", 63), ("room_layout", "room_params", 9),
])  # fmt: skip
def test_parameters_are_those_of_the_benchmark(shared_data, search, column, outputs):
    """The file has seven digits, in millions; multiply-adds within what its counter adds for batch-norms."""
    table = Tabular("transnas_macro")
    _, asked = table.rows.search(search)
    assert np.isfinite(table.rows.metric(asked.full)).all()
    params, macs = table.rows.files.numbers(column) * 1e6, table.rows.metric("net.macs")
    for row in np.random.default_rng(0).choice(table.rows.n_rows, 12, replace=False).tolist():
        work = workload(TransNASMacro().graph(table.genotype(row), (3, 256, 256), outputs))
        assert work.params == pytest.approx(params[row], rel=3e-7)
        assert macs[row] * 0.97 <= work.macs <= macs[row]


def test_the_modules_are_the_digits_of_the_file(shared_data):
    table = load_table("transnas_macro")
    digits = {"none": "0", "normal": "1", "double": "2", "halve": "3", "double_halve": "4"}
    space = Tabular("transnas_macro")
    for row, code in list(enumerate(table.files.main["arch"].tolist()))[:50]:
        assert "".join(digits[kind] for kind in space.genotype(row).values()) == code
