"""chip.yaml and schedule.json: complete, consistent with the metrics, and readable again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from archip.core import registry
from archip.core.objectives import Goals, Objective
from archip.core.protocols import RunContext, Task
from archip.evaluators.cost import plan
from archip.spaces.product import ProductSpace


@pytest.fixture
def design():
    net, chip = registry.create("spaces", "resnet9"), registry.create("spaces", "chip", {"pes": {"total": 512}})
    data = SimpleNamespace(input_shape=(1, 8, 8), n_outputs=10)
    tasks = tuple(Task(name, net, lambda: data, "accuracy", 0.5) for name in ("left", "right"))
    run = RunContext(tasks, chip, Goals((Objective("quality", 1),)), 0, Path())
    space = ProductSpace({"net.left": net, "net.right": net, "hw": chip})
    rng = np.random.default_rng(1)
    candidate = next(c for c in iter(lambda: space.sample(rng), None) if len(chip.design(c.hw)) == 2)
    return plan(candidate, run)


def test_files_say_what_the_metrics_say(design, tmp_path):
    written = registry.create("export", "chip_yaml").write(design, tmp_path)
    chip, schedule = yaml.safe_load(written.chip_path.read_text()), json.loads(written.schedule_path.read_text())
    assert (chip, schedule) == (written.chip, written.schedule)
    metrics = design.metrics
    assert {name: chip[name] for name in metrics} == metrics
    assert sum(core["area_mm2"] for core in chip["cores"]) == pytest.approx(metrics["area_mm2"])
    assert max(row["end_cycle"] for row in schedule) == metrics["latency_cycles"]
    assert sum(row["energy_j"] for row in schedule) == pytest.approx(metrics["energy_j"])
    assert chip["clock_hz"] == 1e9
    assert "65 nm" in chip["source_of_constants"]


def test_every_layer_stands_in_the_schedule(design, tmp_path):
    schedule = registry.create("export", "chip_yaml").write(design, tmp_path).schedule
    named = [name for row in schedule for name in (row["layer"], *row["fused"])]
    assert sorted(named) == sorted(design.workload.names)
    stem = schedule[0]
    assert (stem["layer"], stem["fused"]) == ("stem.conv", ["stem.norm", "stem.relu"])
    assert stem["mapping"].startswith("space ")
    assert {row["mapping"] for row in schedule if row["layer"].endswith(".add")} <= {"moves data only"}
    assert all(row["end_cycle"] - row["start_cycle"] == row["cycles"] for row in schedule)


def test_cores_are_described_in_full(design, tmp_path):
    chip = registry.create("export", "chip_yaml").write(design, tmp_path).chip
    for core, genes in zip(chip["cores"], design.design, strict=True):
        assert (core["dataflow"], core["pes"], core["bandwidth_bytes_per_s"]) == genes
        assert sum(core["area_parts_mm2"].values()) == pytest.approx(core["area_mm2"])
        assert np.prod(list(core["array"].values())) == core["pes"]
        assert all(memory["bytes"] > 0 and memory["instances"] >= 1 for memory in core["buffers"])
        assert 0 <= core["busy_share"] <= 1
    assert sum(c["busy_cycles"] for c in chip["cores"]) == sum(design.cycles_L)


def test_the_parts_of_an_energy_are_the_energy(design, tmp_path):
    schedule = registry.create("export", "chip_yaml").write(design, tmp_path).schedule
    for row in schedule:
        assert sum(row["energy_parts_j"].values()) == pytest.approx(row["energy_j"], rel=1e-9)
        assert min(row["energy_parts_j"].values()) >= 0
    stem, added = schedule[0], next(row for row in schedule if row["layer"].endswith(".add"))
    assert {"arithmetic", "dram"} < set(stem["energy_parts_j"])
    assert set(added["energy_parts_j"]) == {"dram", "buffers"}


def test_multiplications_cost_what_the_technology_says(design, tmp_path):
    """Every multiplication of the layer costs one product and one addition at the node's energies."""
    schedule = registry.create("export", "chip_yaml").write(design, tmp_path).schedule
    stem, core = schedule[0], design.accelerators[schedule[0]["core"]]
    by_hand = design.workload.macs_L[0] * (core.multiply_j + core.add_j)
    assert stem["energy_parts_j"]["arithmetic"] == pytest.approx(by_hand)
