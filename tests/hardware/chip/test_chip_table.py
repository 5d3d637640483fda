"""The cost table against the cost models row by row, areas against NASAIC's, numbers of chips against the space."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.registry import validate
from archip.hardware.chip import table as table_module
from archip.hardware.chip.space import ChipSpec, n_chips
from archip.hardware.chip.table import cost_table
from archip.hardware.cost import layer_costs
from archip.hardware.models import maestro
from archip.hardware.schedule._label_dp import NEVER
from archip.hardware.templates.nvdla import NVDLA
from archip.ir.graph import GraphBuilder
from archip.ir.layer_table import LayerTable
from archip.ir.workload import workload
from archip.spaces.chip import Chip

SMALL = {"pes": {"total": 256, "step": 64}, "bandwidth": {"total": "16 GB/s", "step": "8 GB/s"}}


@pytest.fixture(scope="module")
def network():
    g = GraphBuilder()
    x = g.input("x", (1, 3, 12, 12), "NCHW")
    x = g.add("conv", x, name="one", out_channels=8, kernel=(3, 3))
    x = g.add("max_pool", x, name="pool", kernel=(2, 2))
    x = g.add("conv", x, name="two", out_channels=16, kernel=(3, 3))
    x = g.add("global_avg_pool", x, name="end")
    return workload(g.finish(g.add("linear", x, name="three", out_features=4)))


def test_maestro_entries_are_those_of_the_model(network):
    spec = validate(ChipSpec, SMALL)
    table = cost_table({"a": network, "b": network}, spec)
    layers = LayerTable.of_workload(network)
    assert table.layers == ("a.one", "a.two", "a.three", "b.one", "b.two", "b.three")
    for d in (0, 5, 9, 14, 23):
        design = spec.designs[d]
        name, cluster = {"nvdla": ("kcp_ws", 64), "shidiannao": ("yxp_os", 8), "eyeriss": ("rs", 1)}[design.dataflow]
        told = maestro.costs(layers, name, pes=design.pes, cluster=cluster, noc_bandwidth=design.bandwidth // 10**9)
        assert table.cycles_DL[d].tolist() == np.tile(told["runtime_cycles"], 2).tolist()
        units = np.rint(100 * told["energy_total_mac_units"]).astype(int)
        assert table.energy_DL[d].tolist() == np.tile(units, 2).tolist()
        assert table.area_D[d] >= told["area"].max() - 1e-6  # buffers for every layer


def test_the_fastest_cluster_is_never_slower(network):
    fixed = cost_table({"a": network}, validate(ChipSpec, SMALL))
    fastest = cost_table({"a": network}, validate(ChipSpec, {**SMALL, "mapping": "fastest"}))
    assert (fastest.cycles_DL <= fixed.cycles_DL).all()
    assert (fastest.cycles_DL < fixed.cycles_DL).any()


def test_a_core_smaller_than_its_cluster_runs_nothing(network):
    table = cost_table({"a": network}, validate(ChipSpec, {"pes": {"total": 64, "step": 32}}))
    small = [i for i, d in enumerate(table.designs) if d.dataflow == "nvdla" and d.pes == 32]
    assert (table.cycles_DL[small] == NEVER).all()
    assert np.isinf(table.prices_DL[small]).all()


def test_loopnest_entries_are_those_of_the_model(network, tmp_path):
    spec = validate(ChipSpec, {**SMALL, "cost_model": "loopnest", "dataflows": ["nvdla"], "buffers": [0.5, 1.0]})
    table = cost_table({"a": network}, spec, tmp_path)
    assert table.layers == ("a.one", "a.two", "a.three")
    for d in (0, 3, 15):
        design = spec.designs[d]
        knobs = {"pes": design.pes, "bandwidth": design.bandwidth, "buffers": design.buffers}
        costs = layer_costs(network, [NVDLA(**knobs).accelerator()])
        assert table.cycles_DL[d].sum() == costs.cycles_AL.sum()
        assert table.energy_DL[d].sum() * 1e-15 == pytest.approx(costs.energy_AL.sum(), abs=1e-14)
        assert table.area_D[d] == np.ceil(costs.area_mm2_A[0] * 1e6)
    pooled = costs.cycles_AL[0, : list(network.names).index("two")].sum()
    assert table.cycles_DL[15, 0] == pooled  # operators without MACs go with the layer before them
    half, whole = table.area_D[0], table.area_D[1]
    assert half < whole


def test_a_finished_table_is_read_again(network, tmp_path, monkeypatch):
    spec = validate(ChipSpec, SMALL)
    first = cost_table({"a": network}, spec, tmp_path)
    monkeypatch.setattr(maestro, "costs", lambda *a, **k: pytest.fail("priced again"))
    again = cost_table({"a": network}, spec, tmp_path)
    assert (first.cycles_DL == again.cycles_DL).all()
    assert (first.area_D == again.area_D).all()


def test_half_a_table_is_priced_anew(network, tmp_path):
    spec = validate(ChipSpec, SMALL)
    whole = cost_table({"a": network}, spec, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    for _ in range(2):
        again = cost_table({"a": network}, spec, tmp_path)
        np.testing.assert_array_equal(again.cycles_DL, whole.cycles_DL)
    assert file.stat().st_size > 100


def test_a_killed_run_prices_no_part_twice(network, tmp_path, monkeypatch):
    spec = validate(ChipSpec, {**SMALL, "cost_model": "loopnest"})
    whole = cost_table({"a": network}, spec)
    monkeypatch.setattr(table_module, "_CHUNK", 10)
    seen = []

    def interrupted(work, accelerators):
        seen.append(len(accelerators))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return layer_costs(work, accelerators)

    monkeypatch.setattr(table_module, "layer_costs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cost_table({"a": network}, spec, tmp_path)
    again = cost_table({"a": network}, spec, tmp_path)
    assert seen == [10, 10, 10, 4]  # of 24 designs: the first ten once, the part that was lost twice
    assert (again.cycles_DL == whole.cycles_DL).all()
    assert (again.energy_DL == whole.energy_DL).all()
    assert len(list(tmp_path.iterdir())) == 1


def test_numbers_of_chips_are_those_of_the_search_space():
    spec = ChipSpec(cores=4)
    use_DR = np.array([(d.pes, d.bandwidth) for d in spec.designs])
    assert n_chips(use_DR, spec.totals_R, 1, 2) == 1_027_584 == Chip().size
    assert n_chips(use_DR, spec.totals_R, 1, 4) == Chip(cores=4).size


def test_areas_that_nasaic_published():
    """Its five chips, with L1 of 512 KiB a PE; within 1 % (areas in um^2, table of the DAC paper)."""
    published = {
        ((2112, 48), (1984, 16)): 4.71e9,
        ((1088, 24), (2368, 40)): 3.82e9,
        ((576, 56), (1792, 8)): 2.03e9,
        ((2368, 56), (1728, 8)): 4.86e9,
        ((2112, 40), (1184, 24)): 3.34e9,
    }
    for cores, area in published.items():
        ours = sum(float(maestro.area_um2(pes, width, 512 * 1024, 0)) for pes, width in cores)
        assert ours == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dataflows": ["nvdia"]}, "nvdla"),
        ({"dataflows": []}, "each template once"),
        ({"cores": 1, "min_cores": 2}, "at most cores"),
        ({"cores": 9}, "cores"),
        ({"pes": {"total": 16, "step": 32}}, "no chip fits"),
        ({"bandwidth": {"step": "1.5 GB/s"}}, "whole bytes"),
        ({"buffers": [2.0]}, "buffers"),
        ({"cost_model": "loopnest", "mapping": "fastest"}, "mapping"),
        ({"cost_model": "loopnest", "mac_energy": "1 pJ"}, "mac_energy"),
        ({"mac_energy": "0 pJ"}, "mac_energy"),
        ({"clock": "1 mm2"}, "clock"),
    ],
)
def test_specs_that_mean_nothing(options, words):
    with pytest.raises(UserError, match=words):
        validate(ChipSpec, options)


def test_a_layer_that_runs_nowhere_is_named(network):
    spec = validate(ChipSpec, {"dataflows": ["nvdla"], "pes": {"total": 32, "step": 32}})
    with pytest.raises(UserError, match=r"a\.one.*none of the core designs"):
        cost_table({"a": network}, spec)
