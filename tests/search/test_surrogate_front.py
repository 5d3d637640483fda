"""Searches by looked-up costs: the numbers are the engine's own, the front is the one that enumeration finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from archip.core.encoding import encode_codes, knob_codes
from archip.core.errors import UserError
from archip.core.pareto import hypervolume, non_dominated_mask
from archip.evaluators._block_costs import BlockCosts
from archip.hardware.cost import layer_costs
from archip.hardware.instances import load_accelerator
from archip.ir.workload import workload
from archip.predictors.ridge import Ridge
from archip.search.surrogate import surrogate_front
from archip.spaces._activity import activity
from archip.spaces.conv1d import Conv1d
from archip.spaces.mobilenet_edge_tpu import MobileNetEdgeTPU
from archip.strategies._coded_nsga2 import CodedNSGA2

SHAPE, CLASSES = (3, 16, 16), 10


@pytest.fixture(scope="module")
def space():
    return MobileNetEdgeTPU(filters=(32, 64), layers=2, stem=16, head=32)


@pytest.fixture(scope="module")
def accelerators():
    return [load_accelerator(name) for name in ("eyeriss_like", "tpu_like")]


@pytest.fixture(scope="module")
def costs(space, accelerators):
    return BlockCosts.of(space, SHAPE, CLASSES, accelerators)


def test_looked_up_costs_are_those_of_the_engine(space, accelerators, costs):
    rng = np.random.default_rng(1)
    genotypes = [space.sample(rng) for _ in range(12)]
    codes_NG = knob_codes(space.knobs, genotypes)
    for a, accelerator in enumerate(accelerators):
        latency_N, energy_N = costs.costs(codes_NG, np.full(len(genotypes), a))
        for genotype, latency_s, energy_j in zip(genotypes, latency_N, energy_N, strict=True):
            found = layer_costs(workload(space.graph(genotype, SHAPE, CLASSES)), [accelerator])
            assert latency_s == pytest.approx(found.cycles_AL.sum() / accelerator.clock_hz, rel=1e-12)
            assert energy_j == pytest.approx(found.energy_AL.sum(), rel=1e-12)


@pytest.mark.parametrize("space", [MobileNetEdgeTPU(filters=(32, 64), layers=3), Conv1d()], ids=["mbconv", "conv1d"])
def test_activity_of_arrays_is_that_of_genotypes(space):
    rng = np.random.default_rng(2)
    sizes = [len(knob.values) for knob in space.knobs.values()]
    codes_NG = rng.integers(0, sizes, (200, len(sizes)))
    found_NG = activity(space)(codes_NG)
    for codes_G, row_G in zip(codes_NG, found_NG, strict=True):
        genes: dict = {}
        for (name, knob), code in zip(space.knobs.items(), codes_G, strict=True):
            if space.is_active(name, genes):
                genes[name] = knob.values[code]
        assert [name for name, code in zip(space.knobs, row_G, strict=True) if code >= 0] == list(genes)
        assert all(code in (-1, own) for code, own in zip(row_G, codes_G, strict=True))


def test_arrays_find_the_front_that_enumeration_has():
    """Six genes of four values, two goals that pull against each other, and a limit: 4,096 candidates, 1,500 seen."""
    sizes = (4,) * 6
    rng = np.random.default_rng(3)
    goals_GV2 = rng.random((6, 4, 2))

    def evaluate(codes_NG):
        losses_N2 = goals_GV2[np.arange(6), codes_NG].sum(1)
        return losses_N2, np.maximum(losses_N2[:, 0] - 3.0, 0.0)

    everything = np.array(list(itertools.product(range(4), repeat=6)))
    all_losses, all_violations = evaluate(everything)
    allowed = all_losses[all_violations == 0]
    best = allowed[non_dominated_mask(allowed)]
    method = CodedNSGA2(sizes, lambda codes_NG: codes_NG, evaluate, population=100)
    rng = np.random.default_rng(4)
    now = method.first(rng)
    for _ in range(14):
        now = method.next(now, rng)
    assert len(np.unique(now.codes_NG, axis=0)) == len(now.codes_NG)
    assert (now.violations_N[now.front] == 0).all()
    reference = np.array([3.0, allowed[:, 1].max()])
    reached = hypervolume(now.losses_NM[now.front], reference) / hypervolume(best, reference)
    first = method.first(np.random.default_rng(5))
    drawn = np.random.default_rng(6).integers(0, 4, (1500, 6))
    losses, violations = evaluate(drawn)
    random = hypervolume(losses[violations == 0], reference) / hypervolume(best, reference)
    assert reached > 0.999 > random
    assert hypervolume(first.losses_NM[first.front], reference) < hypervolume(best, reference) * reached


def test_limits_are_kept_and_members_cost_what_they_say(space, accelerators, costs):
    rng = np.random.default_rng(7)
    known = [space.sample(rng) for _ in range(60)]
    macs = np.array([workload(space.graph(g, SHAPE, CLASSES)).macs for g in known], dtype=float)
    knobs = list(space.knobs.values())
    predictor = Ridge().fit(encode_codes(knob_codes(space.knobs, known), knobs), np.log(macs))
    latency_N, _ = costs.costs(knob_codes(space.knobs, known), np.zeros(60, dtype=int))
    bound = float(np.median(latency_N))
    front, n_seen = surrogate_front(space, costs, predictor, {"latency_s": bound}, candidates=2000, population=200)
    assert n_seen == 2000
    assert front
    assert all(found.latency_s <= bound for found in front)
    names = [a.name for a in accelerators]
    for found in front[::20]:
        work = workload(space.graph(found.genotype, SHAPE, CLASSES))
        accelerator = accelerators[names.index(found.accelerator)]
        cycles = layer_costs(work, [accelerator]).cycles_AL.sum()
        assert found.latency_s == pytest.approx(cycles / accelerator.clock_hz, rel=1e-12)
    assert [f.quality for f in front] == sorted((f.quality for f in front), reverse=True)
    with pytest.raises(UserError, match="latency_s"):
        surrogate_front(space, costs, predictor, {"latency": bound})
