"""HAO: cycles and needs by hand; the division against exhaustive enumeration and against HiGHS."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from archip.core import registry
from archip.core.errors import CandidateError
from archip.hardware.schedule.hao import HAO
from archip.ir.graph import GraphBuilder
from archip.ir.workload import workload


def network(channels=8, side=8, kernel=3, **bits):
    """A k x k, a depthwise and a pointwise convolution, and a classifier."""
    g = GraphBuilder()
    x = g.input("x", (1, 4, side, side), "NCHW")
    pad = (kernel // 2, kernel // 2)
    x = g.add("conv", x, name="full", out_channels=channels, kernel=(kernel, kernel), padding=pad)
    x = g.add("relu", x, name="relu")
    x = g.add("conv", x, name="depth", out_channels=channels, kernel=(3, 3), padding=(1, 1), groups=channels)
    x = g.add("conv", x, name="point", out_channels=2 * channels, kernel=(1, 1))
    x = g.add("linear", g.add("global_avg_pool", x, name="pool"), name="classes", out_features=10)
    return workload(g.finish(x), **bits)


def at(designs, *unroll):
    row = int(np.flatnonzero((designs.unroll_D3 == unroll).all(axis=1))[0])
    return int(designs.cycles_D[row]), designs.needs_DR[row].tolist()


def enumerated(model: HAO, work):
    """Cycles and needs of every combination of designs, one by one; the least (cycles, needs) that fits."""
    best = None
    tables = [list(zip(d.cycles_D.tolist(), d.needs_DR.tolist(), strict=True)) for d in model.designs(work).values()]
    for chosen in itertools.product(*tables):
        needs = [sum(column) for column in zip(*(n for _, n in chosen), strict=True)]
        if all(n <= most for n, most in zip(needs, (model.dsps, model.luts, model.brams), strict=True)):
            cycles = [c for c, _ in chosen]
            key = (sum(cycles) if model.mode == "sequential" else max(cycles), *needs)
            best = key if best is None else min(best, key)
    return best


def random_case(seed: int):
    rng = np.random.default_rng(seed)
    work = network(int(rng.integers(3, 40)), int(rng.integers(4, 20)), int(rng.choice([1, 3, 5])))
    budgets = {
        "dsps": int(rng.integers(2, 60)),
        "luts": int(rng.integers(7000, 12000)),
        "brams": int(rng.integers(4, 30)),
    }
    mode = ("sequential", "pipelined")[seed % 2]
    return replace(HAO(most=8, bytes_per_cycle=float(rng.choice([2, 1e6]))), mode=mode, **budgets), work


def test_cycles_by_hand():
    """Without a limit of the DRAM: ceilings of channels and pixels over the factors, times the taps."""
    designs = HAO(bytes_per_cycle=1e9).designs(network())
    assert list(designs) == ["conv", "depthwise", "pointwise"]
    assert at(designs["conv"], 4, 2, 16)[0] == 2 * 2 * 4 * 9
    assert at(designs["depthwise"], 16, 1, 2)[0] == 1 * 32 * 9
    assert at(designs["pointwise"], 8, 4, 1)[0] == 2 * 2 * 64 + 2 * 4 * 1  # 8 -> 16 on 64 pixels, 16 -> 10 on one


def test_a_layer_takes_at_least_its_time_on_the_dram():
    """The k x k layer moves 288 weights, 256 inputs and 512 outputs of one byte."""
    work = network()
    moved = int(work.moved_LO[0].sum())
    assert moved == 288 + 256 + 512
    assert at(HAO(bytes_per_cycle=2).designs(work)["conv"], 8, 4, 64)[0] == moved // 2


@pytest.mark.parametrize(("bits", "dsps"), [(16, 64), (8, 32), (4, 16)])
def test_slices_do_one_two_or_four_products(bits, dsps):
    designs = HAO().designs(network(weight_bits=bits, activation_bits=bits))["conv"]
    assert at(designs, 4, 2, 8)[1][0] == dsps


def test_block_rams_by_hand():
    """k x k engine of 4 x 2 x 8, 8 bits. Filters: 64 bits are 2 blocks wide, 2 x 9 taps x 2 input words deep: 2 blocks.
    Inputs: 2 x 8 x 8 bits = 128 are 4 wide, 2 words of channels x (3 + 1) rows x 1 word of pixels deep: 4."""
    needs = at(HAO().designs(network())["conv"], 4, 2, 8)[1]
    assert needs[1:] == [2000 + 40 * 64, 2 + 4]


@pytest.mark.parametrize("seed", range(24))
def test_equals_exhaustive_enumeration(seed):
    model, work = random_case(seed)
    best = enumerated(model, work)
    if best is None:
        with pytest.raises(CandidateError, match="do not fit"):
            model.plan(work)
        return
    plan = model.plan(work)
    needs = tuple(sum(getattr(e, name) for e in plan.engines) for name in ("dsps", "luts", "brams"))
    engines = [e.cycles for e in plan.engines]
    assert (sum(engines) if model.mode == "sequential" else max(engines), *needs) == best


@pytest.mark.parametrize("seed", range(100, 106))
def test_equals_an_integer_program(seed):
    """One design for each engine, budgets as constraints, cycles to be minimised; sequential."""
    model, work = random_case(2 * seed)
    model = replace(model, dsps=60, luts=12000, brams=40)
    tables = list(model.designs(work).values())
    scale = max(int(d.cycles_D.min()) for d in tables)
    cost = np.concatenate([d.cycles_D for d in tables]) / scale
    one = np.zeros((len(tables), len(cost)))
    for e, start in enumerate(np.cumsum([0, *(len(d.cycles_D) for d in tables)])[:-1]):
        one[e, start : start + len(tables[e].cycles_D)] = 1
    needs = np.concatenate([d.needs_DR for d in tables]).T
    constraints = [LinearConstraint(one, 1, 1), LinearConstraint(needs, ub=[model.dsps, model.luts, model.brams])]
    found = milp(cost, integrality=np.ones(len(cost)), bounds=Bounds(0, 1), constraints=constraints)
    assert found.success
    assert model.plan(work).cycles == pytest.approx(found.fun * scale, rel=2e-4)  # HiGHS stops at a gap of 1e-4


def test_fewer_slices_never_help_and_few_hurt():
    work = network(32, 16)
    for mode in ("sequential", "pipelined"):
        cycles = [HAO(dsps=dsps, mode=mode).plan(work).cycles for dsps in (3, 6, 12, 24, 48, 96, 192, 360)]
        assert cycles == sorted(cycles, reverse=True)
        assert cycles[0] > 4 * cycles[-1]


def test_is_found_by_its_name():
    assert registry.create("hardware/schedule", "hao", {"mode": "pipelined"}) == HAO(mode="pipelined")
