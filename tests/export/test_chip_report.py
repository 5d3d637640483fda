"""Reports of chips that an exploration found: the same numbers as the exploration, part by part."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from archip.core import registry
from archip.export._found_chip import described
from archip.hardware.chip.explore import explore
from archip.hardware.chip.space import ChipSpec
from archip.hardware.schedule._schedule import Schedule, flaws
from archip.ir.workload import workload

SIZES = {"pes": {"total": 256, "step": 64}, "bandwidth": {"total": "16 GB/s", "step": "8 GB/s"}}
FEW = {"pes": {"total": 128, "step": 64}, "bandwidth": {"total": "16 GB/s", "step": "8 GB/s"}}
NVDLA = {"cost_model": "loopnest", "technology": "28nm", "dataflows": ["nvdla"]}
SPECS = {
    "maestro": {**SIZES},
    "maestro_fastest": {**SIZES, "mapping": "fastest", "mac_energy": "1 nJ"},
    "loopnest": {
        **SIZES,
        "cost_model": "loopnest",
        "technology": "28nm",
        "buffers": [1.0, 2.0],
        "dataflows": ["nvdla"],
    },
}

OPEN = {  # priced layer by layer with what the cores share or choose; too slow for whole Pareto sets
    "dram": {**FEW, "dram": "200 MB/s"},
    "free": {**FEW, "mapping": "free"},
    "free_dag_dram": {**FEW, "mapping": "free", "graph": "dag", "dram": "400 MB/s"},
    "loopnest_dram": {**FEW, **NVDLA, "dram": "200 MB/s"},
}


@pytest.fixture(scope="module")
def networks():
    image, outline = registry.create("spaces", "resnet9"), registry.create("spaces", "unet")
    genes = {"fn0": 8, "fn1": 32, "sk1": 1, "fn2": 32, "sk2": 0, "fn3": 32, "sk3": 0}
    return {
        "classes": workload(image.graph(genes, (3, 16, 16), 10)),
        "masks": workload(outline.graph({"height": 2, "f1": 4, "f2": 8}, (3, 16, 16), 1)),
    }


CASES = [(name, kind) for name in SPECS for kind in ("latency", None)] + [(name, "latency") for name in OPEN]


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request, networks):
    name, minimise = request.param
    spec = registry.validate(ChipSpec, (SPECS | OPEN)[name])
    result = explore(networks, spec, minimise=minimise)
    return spec, result, result.front[len(result.front) // 2]


def test_the_description_has_the_numbers_of_the_exploration(case, networks):
    spec, result, found = case
    chip, schedule = described(networks, spec, found)
    assert max(row["end_cycle"] for row in schedule) == chip["latency_cycles"] <= found.latency_cycles
    n_layers = len(result.layers)
    assert sum(row["energy_j"] for row in schedule) == pytest.approx(found.energy_j, rel=1e-12, abs=n_layers * 1e-15)
    for row in schedule:
        assert sum(row["energy_parts_j"].values()) == pytest.approx(row["energy_j"])
    for core, design in zip(chip["cores"], found.cores, strict=True):
        assert (core["dataflow"], core["pes"]) == (design["dataflow"], design["pes"])
        assert sum(core["area_parts_mm2"].values()) == pytest.approx(core["area_mm2"])
    n_cores = len(found.cores)  # areas of cores were rounded up to um2
    assert sum(core["area_mm2"] for core in chip["cores"]) == pytest.approx(found.area_mm2, abs=n_cores * 1.001e-6)


def test_the_schedule_is_valid(case, networks):
    spec, _, found = case
    _, rows = described(networks, spec, found)
    core_L = np.array([row["core"] for row in rows])
    start_L, end_L = (np.array([row[f"{end}_cycle"] for row in rows]) for end in ("start", "end"))
    cycles_KL = np.broadcast_to([row["cycles"] for row in rows], (len(found.cores), len(rows)))
    chain_L = np.array([list(networks).index(row["network"]) for row in rows])
    energy_KL = np.zeros(cycles_KL.shape)
    assert flaws(Schedule(core_L, start_L, end_L, int(end_L.max()), 0.0), cycles_KL, energy_KL, chain_L) == []


@pytest.mark.parametrize("name", ["dram", "free_dag_dram", "loopnest_dram"])
def test_layers_side_by_side_share_the_dram(networks, name):
    """Never more than the bandwidth, and here it is scarce: layers wait for it."""
    spec = registry.validate(ChipSpec, OPEN[name])
    found = explore(networks, spec, minimise="latency").front[0]
    chip, rows = described(networks, spec, found)
    assert chip["dram_bytes_per_s"] == {"dram": 2e8, "free_dag_dram": 4e8, "loopnest_dram": 2e8}[name]
    for cycle in {row["start_cycle"] for row in rows}:
        running = [row["dram_share"] for row in rows if row["start_cycle"] <= cycle < row["end_cycle"]]
        assert sum(running) <= 1 + 1e-9
    assert max(row["dram_share"] for row in rows) == 1
    plenty = registry.validate(ChipSpec, OPEN[name] | {"dram": "1000 GB/s"})
    _, quick = described(networks, plenty, explore(networks, plenty, minimise="latency").front[0])
    assert max(row["end_cycle"] for row in quick) < chip["latency_cycles"]


def test_layers_run_at_the_clusters_that_were_chosen(networks):
    spec = registry.validate(ChipSpec, OPEN["free"])
    found = explore(networks, spec, minimise="energy").front[0]
    _, rows = described(networks, spec, found)
    assert [row["cluster"] for row in rows] == found.clusters
    assert len(set(found.clusters or ())) > 1


def test_files_and_page(case, networks, tmp_path):
    spec, _, found = case
    written = registry.create("export", "chip_report").write(tmp_path, networks, spec, found, "it is <proven>")
    assert yaml.safe_load((tmp_path / "chip.yaml").read_text()) == written.chip
    assert json.loads((tmp_path / "schedule.json").read_text()) == written.schedule
    page = (tmp_path / "report.html").read_text()
    assert "it is &lt;proven&gt;" in page
    assert "<script src" not in page
    assert (tmp_path / "floor.svg").read_text().rstrip() in page
