"""Targets in problem files: what each of them tells, which limits and objectives it takes, and what is refused."""

from __future__ import annotations

import json

import pytest
import yaml

from archip.core.errors import UserError
from archip.core.problem import Problem, json_schema

NVDLA = {"template": {"nvdla": {"pes": 256, "bandwidth": "16 GB/s"}}}
MCU = {"flash": "1 MiB", "sram": "256 KiB"}
CHIP = {"cores": 1}


def problem(target, limits=None, **more):
    tasks = {"shapes": {"data": {"synthetic": {}}, "net": "resnet9"}}
    return Problem.from_dict({"name": "toy", "tasks": tasks, "target": target, "limits": limits or {}, **more})


@pytest.mark.parametrize(
    ("target", "limits", "objectives", "metrics"),
    [
        ({"chip": CHIP}, {"area": "1 mm2"}, ["latency_s", "energy_j", "area_mm2"], ["area_mm2"]),
        ({"accelerator": "tpu_like"}, {"latency": "8e5 cycles"}, ["latency_cycles", "energy_j"], ["latency_cycles"]),
        ({"accelerator": NVDLA}, {"energy": "2 mJ"}, ["latency_s", "energy_j"], ["energy_j"]),
        ({"device": "this"}, {"latency": "5 ms", "memory": "1 MB"}, ["latency_s"], ["latency_s", "memory_bytes"]),
        ({"mcu": MCU}, {}, ["sram_bytes", "flash_bytes"], ["flash_bytes", "sram_bytes"]),
        ({"mcu": MCU}, {"sram": "64 KiB"}, ["sram_bytes", "flash_bytes"], ["flash_bytes", "sram_bytes"]),
        (None, {"params": 1000}, ["macs"], ["params"]),
    ],
)  # fmt: skip
def test_what_each_target_tells(target, limits, objectives, metrics):
    found = problem(target, limits)
    assert [o.metric for o in found.goals.objectives] == ["quality", *objectives]
    assert [limit.metric for limit in found.goals.limits] == metrics
    again = Problem.from_dict(json.loads(json.dumps(found.to_json())))
    assert again.to_json() == found.to_json()
    assert again.goals == found.goals
    assert Problem.from_dict(yaml.safe_load(found.to_yaml())).id == found.id


def test_the_memory_of_a_microcontroller_is_a_limit_that_may_be_stricter():
    bounds = {limit.metric: limit.bound for limit in problem({"mcu": MCU}, {"sram": "64 KiB"}).goals.limits}
    assert bounds == {"flash_bytes": 2**20, "sram_bytes": 2**16}
    with pytest.raises(UserError, match=r"limits\.sram.*at most 256 KiB"):
        problem({"mcu": MCU}, {"sram": "1 MiB"})


@pytest.mark.parametrize(
    ("target", "limits", "more", "words"),
    [
        (None, {"latency": "1 ms"}, {}, ["needs a target", "chip"]),
        (None, {"sram": "1 KB"}, {}, ["needs a target", "mcu"]),
        ({"device": "this"}, {"energy": "1 mJ"}, {}, ["limits.energy", "device", "it tells latency, memory"]),
        ({"device": "this"}, {"latency": "8e5 cycles"}, {}, ["limits.latency", "cycles", "5 ms"]),
        ({"mcu": MCU}, {"latency": "1 ms"}, {}, ["limits.latency", "mcu", "it tells flash, sram"]),
        ({"chip": CHIP}, {"flash": "1 MB"}, {}, ["limits.flash", "chip", "it tells latency, energy, area"]),
        ({"mcu": MCU}, {}, {"objectives": ["quality", "energy"]}, ["objectives", "energy", "it tells flash"]),
        ({"mcu": MCU}, {}, {"objectives": ["quality", "srm"]}, ["objectives", "srm", "did you mean 'sram'"]),
        ({"accelerator": "eyeris_like"}, {}, {}, ["target.accelerator", "did you mean 'eyeriss_like'"]),
        ({"accelerator": "none.yaml"}, {}, {}, ["none.yaml"]),
        ({"accelerator": {}}, {}, {}, ["target.accelerator.name", "a name"]),
        ({"accelerator": {"template": {"nvdla": {"pess": 3}}}}, {}, {}, ["pess", "pes"]),
        ({"device": "phone.yaml"}, {}, {}, ["target", "phone.yaml", "no such device file"]),
        ({"device": "phone"}, {}, {}, ["target", "phone", "fitted"]),
        ({"device": 7}, {}, {}, ["target.device", "7"]),
        ({"device": {"mcu": MCU}}, {}, {}, ["target.device", "target of its own"]),
        ({"device": {"onnxruntime": {"threads": 0}}}, {}, {}, ["target.onnxruntime.threads"]),
        ({"mcu": {"flash": "1 MiB"}}, {}, {}, ["target.mcu", "sram"]),
        ({"mcu": {**MCU, "flash": "1 kg"}}, {}, {}, ["target.mcu.flash", "kg"]),
        ({"mcu": "big"}, {}, {}, ["target.mcu", "big"]),
        ({"chip": CHIP, "mcu": MCU}, {}, {}, ["target", "chip, mcu"]),
        ({"phone": {}}, {}, {}, ["phone", "device: this"]),
    ],
)
def test_what_is_refused_says_what_would_be_right(target, limits, more, words):
    with pytest.raises(UserError) as error:
        problem(target, limits, **more)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_the_schema_knows_every_target():
    options = json_schema()["properties"]["target"]["anyOf"]
    named = {key for option in options for key in option.get("properties", {})}
    assert named == {"chip", "accelerator", "device", "mcu"}
