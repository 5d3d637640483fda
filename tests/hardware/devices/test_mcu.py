"""A microcontroller's memory, counted by hand."""

from __future__ import annotations

import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.hardware.devices._device import Deployed
from archip.hardware.devices.mcu import flash_bytes
from archip.ir.graph import Graph, GraphBuilder


def network(width: int = 8, bias: bool = False) -> Graph:
    g = GraphBuilder()
    x = g.input("image", (1, 3, 8, 8), "NCHW")
    x = g.add("conv", x, name="conv", out_channels=width, kernel=(3, 3), padding=(1, 1), bias=bias)
    x = g.add("relu", g.add("batch_norm", x, name="norm"), name="relu")
    x = g.add("flatten", g.add("max_pool", x, name="pool", kernel=(2, 2)), name="flat")
    return g.finish(g.add("linear", x, name="classifier", out_features=10))


def mcu(**options):
    return registry.create("hardware/devices", "mcu", {"flash": "1 MiB", "sram": "256 KiB", **options})


@pytest.mark.parametrize("bias", [False, True])
def test_flash_by_hand(bias):
    conv, classifier = 3 * 3 * 3 * 8, 16 * 8 * 10
    assert flash_bytes(network(bias=bias)) == conv + 4 * 8 + classifier + 4 * 10  # one absorbed bias a channel
    assert flash_bytes(network(), 4) == conv // 2 + 4 * 8 + classifier // 2 + 4 * 10
    assert flash_bytes(network(), {"conv": 2}) == conv // 4 + 4 * 8 + classifier + 4 * 10


def test_a_norm_that_nothing_absorbs_keeps_its_scale_and_shift():
    g = GraphBuilder()
    x = g.input("image", (1, 3, 8, 8), "NCHW")
    a = g.add("conv", x, name="conv", out_channels=4, kernel=(1, 1))
    b = g.add("batch_norm", a, name="norm")
    assert flash_bytes(g.finish(g.add("add", a, b, name="sum"))) == 12 + 4 * 4 + 2 * 4 * 4


def test_weights_add_up_and_activations_take_turns():
    one, two = Deployed(network(8)), Deployed(network(32))
    alone = [mcu().costs([n]) for n in (one, two)]
    both = mcu().costs([one, two])
    code, runtime = 64 * 1024, 8 * 1024
    assert alone[0]["sram_bytes"] == runtime + 8 * 64 + 3 * 64  # image and the convolution's result
    assert both["sram_bytes"] == alone[1]["sram_bytes"]
    assert both["flash_bytes"] == alone[0]["flash_bytes"] + alone[1]["flash_bytes"] - code


def test_time_follows_from_the_rate_of_the_device():
    one, two = Deployed(network(8)), Deployed(network(32))
    macs = [3 * 3 * 3 * n * 64 + 16 * n * 10 for n in (8, 32)]
    timed = mcu(macs_per_s=2e6)
    assert timed.costs([one, two])["latency_s"] == pytest.approx(sum(macs) / 2e6)
    assert timed.metrics == mcu().metrics | {"latency_s"}
    assert timed.key != mcu().key
    problem = {"name": "a", "tasks": {"x": {"data": "digits", "net": "resnet9"}}, "limits": {"latency": "5 ms"}}
    target = {"flash": "1 MiB", "sram": "1 MiB"}
    found = Problem.from_dict({**problem, "target": {"mcu": {**target, "macs_per_s": 4e7}}})
    assert [limit.metric for limit in found.goals.limits] == ["flash_bytes", "sram_bytes", "latency_s"]
    with pytest.raises(UserError, match="latency"):
        Problem.from_dict({**problem, "target": {"mcu": target}})


def test_bits_of_the_candidate_come_first():
    wide = mcu(activation_bits=16).costs([Deployed(network())])
    narrow = mcu(activation_bits=16).costs([Deployed(network(), {"activation_bits": 8, "weight_bits": 4})])
    assert wide["sram_bytes"] - 8 * 1024 == 2 * (narrow["sram_bytes"] - 8 * 1024)
    assert narrow["flash_bytes"] < wide["flash_bytes"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"flash": "64 KiB"}, ["flash", "64 KiB for code"]),
        ({"sram": "4 KiB"}, ["sram", "8 KiB for runtime"]),
        ({"sram": "5 ms"}, ["sram", "256 KB"]),
        ({"flash": "many"}, ["flash", "many"]),
        ({"weight_bits": 0}, ["weight_bits"]),
    ],
)
def test_sizes_that_make_no_sense_are_refused(options, words):
    with pytest.raises(UserError) as error:
        mcu(**options)
    assert all(word in str(error.value) for word in words)
