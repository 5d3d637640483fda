"""Technology tables against their sources."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import pytest

import archip.hardware.technology
from archip.hardware.technology.dram import DRAM_J_PER_BIT, DRAM_SOURCES
from archip.hardware.technology.nm7 import NM7
from archip.hardware.technology.nm16 import NM16
from archip.hardware.technology.nm28 import NM28
from archip.hardware.technology.nm45 import NM45
from archip.hardware.technology.nm65 import NM65
from archip.hardware.technology.nodes import NODES, Node


def test_65_nm_gives_back_the_component_estimates():
    assert NM65.sram_j(128 * 1024) == pytest.approx((18.18e-12, 14.14e-12))
    assert NM65.register_j(384) == pytest.approx((1.977e-12, 1.882e-12))
    assert NM65.register_j(24) == pytest.approx((0.202e-12, 0.177e-12), rel=0.05)  # the point that is left out
    assert NM65.dram_j_per_bit == pytest.approx(8e-12)
    # an 8-bit multiplication with a 16-bit addition is 0.208 pJ; the addition here has 32 bits
    assert NM65.multiply_j + NM65.accumulate_j / 2 == pytest.approx(0.208e-12)


def test_45_nm_follows_the_capacity_law():
    assert NM45.sram_j(8 * 1024)[0] == pytest.approx(10e-12)
    assert NM45.sram_j(32 * 1024)[0] == pytest.approx(20e-12)
    assert NM45.sram_j(1024 * 1024)[0] == pytest.approx(100e-12, rel=0.14)  # the law is 13 % high at 1 MB
    assert NM45.dram_j_per_bit * 64 == pytest.approx(1300e-12)
    assert NM45.mac_um2 == 419


def test_7_nm_gives_back_the_table():
    found = [NM7.sram_j(n_bytes)[0] for n_bytes in (8 * 1024, 32 * 1024, 1024 * 1024)]
    assert found == pytest.approx([7.5e-12, 8.5e-12, 14e-12])
    assert (NM7.multiply_j, NM7.operations_j["fp16 multiply"]) == pytest.approx((0.07e-12, 0.34e-12))


def test_between_45_and_7_nm_by_hand():
    """int8 multiply: 0.2 (28 / 45)^0.5641 pJ, since ln(0.2 / 0.07) / ln(45 / 7) = 1.0498 / 1.8608 = 0.5642."""
    assert NM28.multiply_j == pytest.approx(0.2e-12 * (28 / 45) ** 0.5642, rel=1e-4)
    assert NM16.multiply_j == pytest.approx(0.2e-12 * (16 / 45) ** 0.5642, rel=1e-4)
    assert NM28.mac_um2 == pytest.approx(419 * 0.127 / 0.346)
    # 32 KB: 20 pJ and 8.5 pJ; exponent ln(20 / 8.5) / ln(45 / 7) = 0.8557 / 1.8608 = 0.4598
    assert NM28.sram_j(32 * 1024)[1] == pytest.approx(20e-12 * (28 / 45) ** 0.4598, rel=1e-4)


@pytest.mark.parametrize("name", sorted(NM45.operations_j))
def test_smaller_nodes_take_less_energy(name):
    found = [table.operations_j[name] for table in (NM45, NM28, NM16, NM7)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_the_nodes_are_the_files():
    folder = Path(archip.hardware.technology.__file__).parent
    assert set(NODES) == set(get_args(Node)) == {path.stem for path in folder.glob("nm*.py")}


@pytest.mark.parametrize("table", NODES.values(), ids=lambda table: table.name)
def test_every_number_says_where_it_is_from(table):
    numbers = {f.name for f in dataclasses.fields(table)} - {"name", "sources"}
    assert set(table.sources) == numbers
    assert all(text.split(":")[0] in ("published", "recalled", "derived") for text in table.sources.values())


def test_every_kind_of_dram_says_where_it_is_from():
    assert set(DRAM_SOURCES) == set(DRAM_J_PER_BIT)
