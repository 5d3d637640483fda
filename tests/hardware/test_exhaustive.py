"""The mapper: what it finds is what the model says, and nothing in its space is better."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from _layers import random_row, workload

from archip.hardware.accelerator import OPERANDS, Dataflow
from archip.hardware.mappers.exhaustive import Exhaustive
from archip.hardware.mapping import LOOPS
from archip.hardware.models._kernels import ENERGY
from archip.hardware.models.loopnest import Loopnest, pack_layers
from archip.hardware.templates.eyeriss import Eyeriss
from archip.hardware.templates.nvdla import NVDLA
from archip.hardware.templates.shidiannao import ShiDianNao

TEMPLATES = [NVDLA, ShiDianNao, Eyeriss]


@pytest.fixture(scope="module")
def layers():
    rng = np.random.default_rng(1)
    work = workload(*(random_row(rng) for _ in range(30)))
    return pack_layers(work.dims_LD, work.stride_L2, work.padding_L2, work.dilation_L2, work.bits_LO)


def search(accelerators, layers, slack=0.0):
    which = np.array(list(product(range(len(accelerators)), range(len(layers)))))
    return Exhaustive(slack).search(accelerators, layers, which)


def order(result):
    return np.rint(result[:5].sum()), result[ENERGY]


@pytest.mark.parametrize("template", TEMPLATES)
def test_found_mappings_cost_what_was_found(template, layers):
    accelerators = [template(pes=p, bandwidth=8e9).accelerator() for p in (32, 160, 1024)]
    found = search(accelerators, layers)
    mappings = [found.mapping(p) for p in range(len(found.which_P2))]
    costs = Loopnest().costs(accelerators, layers, found.which_P2, mappings)
    np.testing.assert_array_equal(costs.cycles_M, np.rint(found.results_PR[:, :5].sum(1)))
    np.testing.assert_allclose(costs.energy_j_M, found.results_PR[:, ENERGY], rtol=1e-12)


@pytest.mark.parametrize("template", TEMPLATES)
def test_weights_fit_their_memories(template, layers):
    """Bits of the weights in each memory, counted from the mapping alone; other operands would only add to them."""
    accelerator = template(pes=160, bandwidth=8e9).accelerator()
    found = search([accelerator], layers)
    fullest = 0.0
    for p, (_, layer) in enumerate(found.which_P2):
        for level, v in enumerate(accelerator.levels("W")[:-1]):
            share = (
                _weights(accelerator, found.mapping(p), layers["dims_F"][layer], level)
                * 8
                / accelerator.memories[v].bits
            )
            assert share <= 1 + 1e-9, str(found.mapping(p))
            fullest = max(share, fullest)
    assert fullest > 0.5  # else this would show nothing


def _weights(accelerator, mapping, dims, level):
    inside = mapping.temporal[: mapping.cuts["W"][level]]
    memory = accelerator.memories[accelerator.levels("W")[level]]
    elements = 1.0
    for f, loop in enumerate(LOOPS):
        if loop in ("G", "K", "C", "FY", "FX"):
            iterations = np.prod([n for name, n in mapping.temporal if name == loop])
            elements *= np.prod([n for name, n in inside if name == loop])
            if memory.serves:  # all of the array: a share of the loop, the rest is in time
                elements *= dims[f] / iterations
    return elements


@pytest.mark.parametrize("template", TEMPLATES)
def test_best_of_all_orders_is_the_best_of_each(template, layers):
    accelerator = template(pes=160, bandwidth=8e9).accelerator()
    dataflow = accelerator.dataflow
    parts = [Dataflow((u,), (q,)) for u in dataflow.unrollings for q in dataflow.orders]
    whole = search([accelerator], layers)
    each = [search([replace(accelerator, dataflow=part)], layers) for part in parts]
    for p in range(len(layers)):
        assert order(whole.results_PR[p]) == min(order(one.results_PR[p]) for one in each)
    np.testing.assert_array_equal(whole.n_tried_P <= sum(one.n_tried_P for one in each), True)


@pytest.mark.parametrize("template", TEMPLATES)
def test_slack_buys_energy(template, layers):
    accelerator = template(pes=160, bandwidth=8e9).accelerator()
    fast = search([accelerator], layers).results_PR
    for slack in (0.01, 0.1, 10.0):
        frugal = search([accelerator], layers, slack).results_PR
        record = np.rint(fast[:, :5].sum(1))
        assert (np.rint(frugal[:, :5].sum(1)) <= record * (1 + slack)).all()
        assert (frugal[:, ENERGY] <= fast[:, ENERGY]).all()
        assert frugal[:, ENERGY].sum() < fast[:, ENERGY].sum()


@pytest.mark.parametrize("template", TEMPLATES)
def test_random_orders_hardly_beat_the_dataflow(template, layers):
    """The best of 40 random orders of all loops, unrolled and cut alike, gains 2 % on average at most."""
    accelerator = template(pes=160, bandwidth=8e9).accelerator()
    rng = np.random.default_rng(0)
    loops = ["FX", "FY", "C", "K", "OX", "OY", "G"]
    orders = [" ".join(["OX'", *rng.permutation(loops), 'K"', "B"]) for _ in range(40)]
    others = [replace(accelerator, dataflow=replace(accelerator.dataflow, orders=(order,))) for order in orders]
    found = search(others, layers).results_PR.reshape(40, len(layers), -1)
    cycles = np.where(found[:, :, 0] > 0, np.rint(found[:, :, :5].sum(2)), np.inf).min(0)
    record = np.rint(search([accelerator], layers).results_PR[:, :5].sum(1))
    assert np.exp(np.log(np.minimum(cycles / record, 1)).mean()) > 0.98
    assert (cycles >= record).mean() > 0.5


def test_permutations_of_the_outer_loops_are_covered():
    """For a layer that exceeds the buffers, no order of K, OX, OY outside the template's inner loops is faster."""
    work = workload({"K": 256, "C": 256, "OY": 28, "OX": 28, "FY": 3, "FX": 3, "padding": 1})
    layers = pack_layers(work.dims_LD, work.stride_L2, work.padding_L2, work.dilation_L2, work.bits_LO)
    accelerator = NVDLA(pes=160, bandwidth=8e9).accelerator()
    inner = "OX' OY' FX FY C"
    orders = [f'{inner} K" ' + " ".join(outer) for outer in permutations(("K", "OX", "OY"))]
    others = [replace(accelerator, dataflow=replace(accelerator.dataflow, orders=(o + " G B",))) for o in orders]
    best = search([accelerator], layers).results_PR[0]
    record = np.rint(best[:5].sum())
    assert record <= 1.001 * min(np.rint(r[:5].sum()) for r in search(others, layers).results_PR)


def test_every_operand_ends_off_chip(layers):
    accelerator = Eyeriss(pes=32, bandwidth=8e9).accelerator()
    found = search([accelerator], layers)
    for p in range(len(layers)):
        mapping = found.mapping(p)
        assert all(mapping.cuts[o][-1] == len(mapping.temporal) for o in OPERANDS)
        assert "space" in str(mapping)
