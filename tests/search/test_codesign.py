"""The best chip for given networks: against all chips of small spaces, one by one, through the cost stage."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Limit, Objective
from archip.core.protocols import RunContext, Task
from archip.evaluators.cost import Cost
from archip.hardware.chip.table import cost_table
from archip.hardware.chip.totals import Bandwidth, PEs
from archip.ir.workload import workload
from archip.search.codesign import ChipDesigner
from archip.spaces.chip import Chip
from archip.spaces.resnet9 import ResNet9
from archip.spaces.unet import UNet

CHIP = Chip(dataflows=("nvdla", "shidiannao"), pes=PEs(96, 32), bandwidth=Bandwidth("16 GB/s", "8 GB/s"))
IMAGES = SimpleNamespace(input_shape=(3, 16, 16), n_outputs=10, digest="none")
MASKS = SimpleNamespace(input_shape=(1, 16, 16), n_outputs=1, digest="none")
TASKS = (
    Task("a", ResNet9(stem=(8, 16), filters=(16, 32)), lambda: IMAGES, "accuracy", 0.5),
    Task("b", UNet(), lambda: MASKS, "iou", 0.5),
)
QUALITY = (Objective("quality", 1),)


def _run(goals, chip=CHIP, schedule="dynamic_programming"):
    run = RunContext(TASKS, chip, goals, 0, Path(), schedule)
    (stage,) = Cost().stages(run)
    return ChipDesigner(run), stage


def _networks(seed):
    rng = np.random.default_rng(seed)
    return Candidate({task.name: task.space.sample(rng) for task in TASKS})


def _everything(stage, networks, chip=CHIP):
    """Metrics of these networks on every chip of the space."""
    return [outcome.metrics for outcome in stage.evaluate([Candidate(networks.net, hw) for hw in chip.enumerate()])]


def _unlimited(networks):
    return _everything(_run(Goals(QUALITY))[1], networks)


@pytest.mark.parametrize("schedule", ["dynamic_programming", "cp_sat"])
@pytest.mark.parametrize("seed", range(3))
def test_least_energy_within_the_limits_as_by_trying_all_chips(seed, schedule):
    """Limits at which some chips, and not all, are feasible; the scheduler of the trial is another program."""
    networks = _networks(seed)
    fastest, smallest = (min(m[name] for m in _unlimited(networks)) for name in ("latency_cycles", "area_mm2"))
    goals = Goals(QUALITY, (Limit("latency_cycles", round(1.5 * fastest)), Limit("area_mm2", 2.5 * smallest)))
    designer, stage = _run(goals, schedule=schedule)
    tried = [m for m in _everything(stage, networks) if goals.violation(m) == 0]
    (found,) = stage.evaluate([designer(networks, goals, "energy")])
    assert 0 < len(tried) < len(list(CHIP.enumerate()))
    assert goals.violation(found.metrics) == 0
    assert found.metrics["energy_j"] == pytest.approx(min(m["energy_j"] for m in tried), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("least", "metric"), [("latency", "latency_cycles"), ("area", "area_mm2")])
def test_least_latency_or_area_as_by_trying_all_chips(seed, least, metric):
    networks = _networks(10 + seed)
    goals = Goals(QUALITY, (Limit("energy_j", 1.2 * min(m["energy_j"] for m in _unlimited(networks))),))
    designer, stage = _run(goals)
    tried = [m for m in _everything(stage, networks) if goals.violation(m) == 0]
    (found,) = stage.evaluate([designer(networks, goals, least)])
    assert found.metrics[metric] == pytest.approx(min(m[metric] for m in tried), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_where_no_chip_keeps_the_limits_the_answer_is_near_them(seed):
    """Half of the least latency: nothing is feasible; the chip is chosen by bounds, which are 5 % off at most here."""
    networks = _networks(20 + seed)
    fastest = min(m["latency_cycles"] for m in _unlimited(networks))
    goals = Goals(QUALITY, (Limit("latency_cycles", fastest // 2), Limit("area_mm2", 100.0)))
    designer, stage = _run(goals)
    tried = [goals.violation(m) for m in _everything(stage, networks)]
    (found,) = stage.evaluate([designer(networks, goals, "energy")])
    assert min(tried) > 0
    assert min(tried) <= goals.violation(found.metrics) <= 1.05 * min(tried) + 0.05


def test_prices_are_those_of_the_cost_table_whatever_was_priced_before():
    designer, _ = _run(Goals(QUALITY))
    for seed in range(4):
        networks = _networks(seed)
        data = {"a": IMAGES, "b": MASKS}
        works = {
            task.name: workload(
                task.space.graph(networks.net[task.name], data[task.name].input_shape, data[task.name].n_outputs)
            )
            for task in TASKS
        }
        ours, whole = designer.table(networks), cost_table(works, designer.spec)
        for column in ("cycles_DL", "energy_DL", "area_D", "first_C"):
            assert np.array_equal(getattr(ours, column), getattr(whole, column))
        assert (ours.layers, ours.designs) == (whole.layers, whole.designs)


def test_a_network_that_cannot_be_built_is_left_to_the_cost_stage():
    space = UNet()
    deepest = {name: max(knob.values) for name, knob in space.knobs.items()}
    tiny = SimpleNamespace(input_shape=(1, 3, 3), n_outputs=1, digest="none")
    run = RunContext((Task("b", space, lambda: tiny, "iou", 1.0),), CHIP, Goals(QUALITY), 0, Path())
    (stage,) = Cost().stages(run)
    (found,) = stage.evaluate([ChipDesigner(run)(Candidate({"b": space.canonical(deepest)}), run.goals, "energy")])
    assert found.status == "failed"
