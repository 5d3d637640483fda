"""The cost stage with a target that is given: against the device's own answers and layer costs added up by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archip.core import registry
from archip.core.candidate import Candidate, canonical_json
from archip.core.errors import CandidateError
from archip.core.objectives import Goals, Limit
from archip.core.record import Status
from archip.evaluators.cost import plan
from archip.hardware.cost import layer_costs
from archip.hardware.devices._device import Deployed
from archip.hardware.instances import load_accelerator
from archip.ir.workload import workload
from archip.search.cascade import Cascade
from archip.store.memory import Memory

MCU = {"flash": "1 MiB", "sram": "256 KiB"}


def stage_of(run, name, options):
    target = registry.create("hardware/devices", name, options)
    (stage,) = registry.create("evaluators", "cost").stages(replace(run, target=target))
    return stage


def graphs(tasks, candidate):
    return [t.space.graph(candidate.net[t.name], t.load().input_shape, t.load().n_outputs) for t in tasks]


def test_an_accelerator_runs_layer_after_layer(run, tasks, draw):
    stage = stage_of(run, "accelerator", {"template": {"nvdla": {"pes": 64, "bandwidth": "8 GB/s"}}})
    chip = load_accelerator("nvdla", pes=64, bandwidth="8 GB/s")
    for candidate, outcome in zip(draw(3), stage.evaluate(draw(3)), strict=True):
        costs = [layer_costs(workload(g), [chip]) for g in graphs(tasks, candidate)]
        cycles = sum(int(c.cycles_AL.sum()) for c in costs)
        assert outcome.metrics["latency_cycles"] == cycles
        assert outcome.metrics["latency_s"] == pytest.approx(cycles / chip.clock_hz)
        assert outcome.metrics["energy_j"] == pytest.approx(sum(float(c.energy_AL.sum()) for c in costs))
        assert outcome.metrics["area_mm2"] == pytest.approx(chip.area_mm2)
        assert plan(candidate, stage.run).metrics.items() <= dict(outcome.metrics).items()
    assert "hw" not in stage.reads


def test_a_microcontroller_counts_memory(run, tasks, draw):
    stage = stage_of(run, "mcu", MCU)
    (outcome,) = stage.evaluate(draw(1))
    expected = registry.create("hardware/devices", "mcu", MCU).costs([Deployed(g) for g in graphs(tasks, draw(1)[0])])
    assert expected.items() <= dict(outcome.metrics).items()
    assert outcome.metrics["params"] == sum(workload(g).params for g in graphs(tasks, draw(1)[0]))


def test_a_limit_says_how_many_bytes_are_short(run, draw):
    stage = stage_of(run, "mcu", MCU)
    (outcome,) = stage.evaluate(draw(1))
    needed = outcome.metrics["sram_bytes"]
    goals = Goals((), (Limit("sram_bytes", needed - 1234),))
    (record,) = Cascade([stage], goals, Memory(), []).evaluate(draw(1))
    assert record.status is Status.INFEASIBLE
    assert record.reason.startswith("breaks sram_bytes <= ")
    assert record.reason.endswith(" by 1,234 bytes")


def test_this_machine_is_measured(run, draw):
    stage = stage_of(run, "onnxruntime", {"repeats": 4, "warmup": 1, "tries": 1})
    (outcome,) = stage.evaluate(draw(1))
    assert 0 < outcome.metrics["latency_s"] < 1


def test_bits_reach_the_device(run, draw):
    (candidate,) = draw(1)
    narrow = Candidate(candidate.net, compress={"image": {"weight_bits": 4}})
    wide, less = stage_of(run, "mcu", MCU).evaluate([candidate, narrow])
    assert less.metrics["flash_bytes"] < wide.metrics["flash_bytes"]
    (refused,) = stage_of(run, "onnxruntime", {}).evaluate([narrow])
    assert (refused.status, "bits" in refused.reason) == (Status.FAILED, True)


def test_a_network_that_cannot_be_built_stays_alone(run, draw, monkeypatch):
    stage = stage_of(run, "mcu", MCU)
    good, bad = draw(2)

    def graph(space, genotype, *shapes):
        if genotype == bad.net["image"]:
            raise CandidateError("too wide")
        return original(space, genotype, *shapes)

    cls = type(stage.run.tasks[0].space)
    original = cls.graph
    monkeypatch.setattr(cls, "graph", graph)
    outcomes = stage.evaluate([good, bad])
    assert [o.status for o in outcomes] == [Status.OK, Status.FAILED]
    assert outcomes[1].reason == "too wide"


def test_the_key_holds_what_the_result_depends_on(run):
    keys = [
        canonical_json(stage_of(run, name, options).key)
        for name, options in (
            ("mcu", MCU),
            ("mcu", {**MCU, "code": "10 KiB"}),
            ("mcu", {**MCU, "activation_bits": 16}),
            ("onnxruntime", {}),
            ("onnxruntime", {"threads": 2}),
            ("accelerator", {"name": "tpu_like"}),
            ("accelerator", {"name": "eyeriss_like"}),
        )
    ]
    assert len(set(keys)) == len(keys)
    # the size of the memories is a limit, not a cost
    assert canonical_json(stage_of(run, "mcu", {**MCU, "flash": "2 MiB"}).key) == keys[0]
