"""What every mapper must keep (`hardware/mappers/_mapper.py: Mapper`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import pytest

from archip.hardware.accelerator import Accelerator, Memory
from archip.hardware.mappers._mapper import Found, Mapper
from archip.hardware.mapping import LOOPS
from archip.hardware.models.loopnest import Loopnest, pack_layers
from archip.hardware.templates.eyeriss import Eyeriss
from archip.hardware.templates.nvdla import NVDLA

__all__ = ["MapperContract", "toy_accelerators", "toy_layers"]

_NEEDS = {"W": "G K C FY FX", "O": "B G K OY OX"}  # the input's window is left to the model


def toy_accelerators() -> list[Accelerator]:
    """Two templates, and a bare accelerator with a shared buffer and no dataflow."""
    memories = (
        Memory("registers", "O", 64, 0.1, 0.1, (32, 32), "4"),
        Memory("buffer", "WIO", 8 * 4096, 4.0, 5.0, (64, 128), "RW", ("D1", "D2")),
        Memory("dram", "WIO", 2.0**40, 100.0, 100.0, (64, 64), "RW"),
    )
    bare = Accelerator("bare", {"D1": 4, "D2": 8}, memories, multiply_j=0.1)
    return [NVDLA(pes=32, bandwidth=8e9).accelerator(), Eyeriss(pes=32, bandwidth=8e9).accelerator(), bare]


def toy_layers() -> np.ndarray:
    """A convolution with stride, a depthwise one, a matrix product, and one with odd sizes."""
    dims = [
        [1, 1, 16, 8, 7, 7, 3, 3],
        [1, 24, 1, 1, 14, 14, 3, 3],
        [1, 1, 30, 64, 8, 1, 1, 1],
        [2, 1, 5, 3, 11, 6, 5, 1],
    ]
    stride, padding = [[2, 2], [1, 1], [1, 1], [1, 2]], [[1, 1], [1, 1], [0, 0], [2, 0]]
    return pack_layers(np.array(dims), np.array(stride), np.array(padding), np.ones((4, 2)), np.full((4, 3), 8))


class MapperContract:
    """Derive a test class and give it the fixture `make`: a function from options of `Mapper` to the mapper."""

    @pytest.fixture
    def find(self, make: Callable[..., Mapper]) -> Callable[..., Found]:
        """Best mappings of all toy pairs, remembered by options."""
        chips, layers = toy_accelerators(), toy_layers()
        which = np.array(list(product(range(len(chips)), range(len(layers)))))
        return cache(lambda **options: make(**options).search(chips, layers, which))

    def test_finds_something_for_every_pair(self, find: Callable[..., Found]):
        found = find()
        assert (found.cycles_P > 0).all()
        assert (found.n_tried_P > 0).all()
        assert (found.n_covered_P >= found.n_tried_P).all()
        assert {found.reason(p) for p in range(len(found.which_P2))} == {""}

    @pytest.mark.parametrize("zigzag", [False, True])
    def test_costs_are_those_of_the_model(self, find: Callable[..., Found], zigzag: bool):
        """The model checks on the way that the mapping multiplies to the layer and fits the array."""
        found = find(zigzag=zigzag)
        mappings = [found.mapping(p) for p in range(len(found.which_P2))]
        costs = Loopnest(zigzag).costs(found.accelerators, toy_layers(), found.which_P2, mappings)
        np.testing.assert_array_equal(costs.cycles_M, found.cycles_P)
        np.testing.assert_array_equal(costs.energy_j_M, found.energy_j_P)

    def test_tiles_fit_their_memories(self, find: Callable[..., Found]):
        """Weights and outputs, counted from the mapping alone with whole unrollings: no more than the model's tiles."""
        found, layers = find(), toy_layers()
        for p, (a, layer) in enumerate(found.which_P2):
            for v, memory in enumerate(found.accelerators[a].memories[:-1]):
                bits = sum(_bits(found, p, o, v) for o in _NEEDS if o in memory.operands)
                assert bits <= memory.bits, (found.mapping(p), layers[layer])

    def test_batched_equals_one_by_one(self, make: Callable[..., Mapper], find: Callable[..., Found]):
        found = find()
        for p, pair in enumerate(found.which_P2):
            one = make().search(found.accelerators, toy_layers(), pair[None])
            assert (one.cycles_P[0], one.energy_j_P[0]) == (found.cycles_P[p], found.energy_j_P[p])

    def test_objectives_do_what_they_say(self, find: Callable[..., Found]):
        """Each is best at its own, within what one search sees: the same mappings whatever the objective, or more."""
        cycles, energy, edp = (find(objective=o, slack=0.0) for o in ("cycles", "energy", "edp"))
        assert (cycles.cycles_P <= edp.cycles_P * 1.05).mean() > 0.7
        assert (energy.energy_j_P <= edp.energy_j_P * 1.05).mean() > 0.7
        assert energy.energy_j_P.sum() < cycles.energy_j_P.sum()
        assert cycles.cycles_P.sum() < energy.cycles_P.sum()

    def test_slack_buys_energy(self, find: Callable[..., Found]):
        exact, slack = find(slack=0.0), find(slack=0.5)
        assert (slack.cycles_P <= exact.cycles_P * 1.5).all()
        assert slack.energy_j_P.sum() < exact.energy_j_P.sum()

    def test_limits_hold_or_are_refused_with_a_reason(self, find: Callable[..., Found]):
        free = find(objective="energy")
        limit = float(np.median(free.cycles_P)) - 0.5
        held = find(objective="energy", limit_cycles=limit)
        feasible = held.cycles_P >= 0
        assert feasible.any()
        assert (held.cycles_P[feasible] <= limit).all()
        for p in np.flatnonzero(~feasible):
            assert held.reason(p).startswith("no mapping within the limit: at least ")
            assert np.isnan(held.energy_j_P[p])
        impossible = find(limit_energy_j=1e-30)
        assert (impossible.cycles_P == -1).all()
        assert impossible.reason(0).endswith(" J")

    def test_a_memory_too_small_is_named(self, make: Callable[..., Mapper]):
        small = Memory("small buffer", "WIO", 64, 4.0, 5.0, (8, 8), "RW", ("D1", "D2"))
        *_, bare = toy_accelerators()
        registers, _, dram = bare.memories
        chip = Accelerator("small", {"D1": 4, "D2": 8}, (registers, small, dram), multiply_j=0.1)
        found = make().search([chip], toy_layers(), np.array([[0, 0]]))
        assert found.cycles_P[0] == -1
        assert found.reason(0).startswith("small buffer is ")
        assert found.reason(0).endswith(" bytes short of one element of each operand")


def _bits(found: Found, p: int, operand: str, v: int) -> float:
    accelerator, mapping = found.accelerators[found.which_P2[p, 0]], found.mapping(p)
    level = accelerator.levels(operand).index(v)
    served = {d for u in accelerator.levels(operand)[: level + 1] for d in accelerator.memories[u].serves}
    elements = 1
    for d, loops in zip(accelerator.array, mapping.spatial, strict=True):
        for loop, times in loops if d in served else ():
            whole = int(np.prod([n for other in mapping.spatial for name, n in other if name == loop]))
            steps = int(np.prod([n for name, n in mapping.temporal if name == loop]))
            size = int(toy_layers()["dims_F"][found.which_P2[p, 1]][LOOPS.index(loop)])
            real = size * times // (steps * whole)  # an unrolling that does not divide is not full
            elements *= max(1, real) if loop in _NEEDS[operand].split() else 1
    for loop, n in mapping.temporal[: mapping.cuts[operand][level]]:
        elements *= n if loop in _NEEDS[operand].split() else 1
    return elements * 8.0
