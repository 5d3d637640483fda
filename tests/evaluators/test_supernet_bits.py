"""The supernet evaluator where bits are searched: what it reads, and what fewer bits do to scores and costs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from archip.core.candidate import Candidate, bits_of
from archip.core.record import Status

torch = pytest.importorskip("torch")
from archip.compress.quantize.uniform import Uniform  # noqa: E402
from archip.evaluators.cost import Cost  # noqa: E402
from archip.evaluators.supernet import Supernet  # noqa: E402
from archip.hardware.devices.accelerator import FixedAccelerator  # noqa: E402
from archip.hardware.devices.mcu import Mcu  # noqa: E402
from archip.train.loop import evaluate  # noqa: E402


@pytest.fixture
def bits_run(run):
    return dataclasses.replace(run, quantizer=Uniform())


@pytest.fixture
def stage(bits_run):
    made = Supernet(epochs=25).stages(bits_run)[1]
    made.prepare(None)
    return made


def at(candidate, weight_bits, activation_bits=8):
    return dataclasses.replace(
        candidate, compress={"series": {"weight_bits": weight_bits, "activation_bits": activation_bits}}
    )


def test_stages_read_bits_where_they_are_searched_only(run, bits_run):
    plain, stage = (Supernet().stages(r)[1] for r in (run, bits_run))
    assert plain.reads == ("net.series",)
    assert stage.reads == ("net.series", "compress.series")
    assert "quantizer" not in plain.key
    assert stage.key["quantizer"] == {"Uniform": {"percentile": 99.99}}


def test_eight_bits_keep_the_score_and_two_bits_lose_it(stage, draw):
    candidates = draw(6)
    scores = {
        bits: np.mean([o.metrics["series.accuracy"] for o in stage.evaluate([at(c, bits) for c in candidates])])
        for bits in (2, 8, 32)
    }
    assert abs(scores[8] - scores[32]) < 0.05
    assert scores[2] < scores[8] - 0.05


def test_scores_are_those_of_the_rounded_network(stage, draw):
    """Extracted, rounded and evaluated here by hand."""
    candidate = at(draw(1)[0], 4)
    (outcome,) = stage.evaluate([candidate])
    rounded = Uniform().quantized(
        stage.network(candidate.net["series"]), bits_of(candidate.compress["series"]), stage.batches
    )
    assert outcome.metrics["series.accuracy"] == evaluate(rounded, stage.x, stage.y, "classification")["accuracy"]


def test_a_candidate_without_bits_is_in_floats(stage, draw):
    candidate = draw(1)[0]
    assert stage.measure(candidate.net["series"], {}) == stage.measure(
        candidate.net["series"], {"weight_bits": 32, "activation_bits": 32}
    )


def test_bits_of_a_layer_that_is_not_there_fail_the_candidate(stage, draw):
    candidate = Candidate(draw(1)[0].net, compress={"series": {"nowhere.weight_bits": 4}})
    (outcome,) = stage.evaluate([candidate])
    assert outcome.status is Status.FAILED
    assert "nowhere" in outcome.reason


@pytest.mark.parametrize("target", [FixedAccelerator("eyeriss_like"), Mcu("1 MiB", "256 KiB")])
def test_each_layer_of_fewer_bits_costs_less(bits_run, target, draw):
    costs = Cost().stages(dataclasses.replace(bits_run, target=target))[0]
    candidate = draw(1)[0]
    narrow = {
        "series": {"classifier.weight_bits": 4, "activation_bits": 8},
        "image": {"weight_bits": 8, "activation_bits": 8},
    }
    wide = {
        "series": {"classifier.weight_bits": 8, "activation_bits": 8},
        "image": {"weight_bits": 8, "activation_bits": 8},
    }
    few, many = costs.evaluate([Candidate(candidate.net, compress=c) for c in (narrow, wide)])
    name = "flash_bytes" if isinstance(target, Mcu) else "energy_j"
    assert few.metrics[name] < many.metrics[name]


def test_more_bits_than_the_multipliers_take_fail_with_the_reason(bits_run, draw):
    costs = Cost().stages(dataclasses.replace(bits_run, target=FixedAccelerator("edge_tpu_like")))[0]
    wide = {name: {"weight_bits": 16, "activation_bits": 8} for name in ("series", "image")}
    (outcome,) = costs.evaluate([Candidate(draw(1)[0].net, compress=wide)])
    assert outcome.status is Status.FAILED
    assert "operands of 16 bits, multipliers take 8" in outcome.reason
