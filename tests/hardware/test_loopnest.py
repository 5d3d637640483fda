"""The loop-nest model against step-by-step execution, and on cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from _simulator import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.accelerator import OPERANDS, Accelerator, Memory
from archip.hardware.mapping import LOOPS, Mapping
from archip.hardware.models.loopnest import Loopnest, pack_layers

IRRELEVANT = {"W": ("B", "OY", "OX"), "I": ("K",), "O": ("C", "FY", "FX")}
DIRECTIONS = ("rd_to_higher", "wr_from_higher", "rd_to_lower", "wr_from_lower")


def cost(accelerator, sizes, mapping, stride=1, padding=0, dilation=1, bits=(8, 8, 8)):
    dims = [[sizes.get(loop, 1) for loop in LOOPS]]
    layers = pack_layers(dims, [[stride] * 2], [[padding] * 2], [[dilation] * 2], [list(bits)])
    return Loopnest().costs([accelerator], layers, np.array([[0, 0]]), [mapping])


def chip(serves_w, serves_i, serves_o, ports="R+W"):
    """One 8-bit element is one word everywhere; partial sums too."""

    def memory(name, operands, serves):
        return Memory(name, operands, 1e6, 1.0, 1.0, (8, 8), ports, serves)

    memories = (
        memory("rf_w", "W", serves_w),
        memory("rf_i", "I", serves_i),
        memory("rf_o", "O", serves_o),
        memory("l1_w", "W", ("D1", "D2")),
        memory("l1", "IO", ("D1", "D2")),
        memory("dram", "WIO", ()),
    )
    return Accelerator("toy", {"D1": 4, "D2": 4}, memories, multiply_j=1.0, partial_bits=8)


SERVES = st.sampled_from([(), ("D1",), ("D2",), ("D1", "D2")])


def one_element_words(accelerator):
    """The same hierarchy, in which one 8-bit element is one word everywhere, and everything fits."""
    memories = tuple(replace(memory, bits=1e9, width_bits=(8, 8)) for memory in accelerator.memories)
    return replace(accelerator, memories=memories, partial_bits=8)


@st.composite
def cases(draw, accelerators):
    """An accelerator, a small layer, and a mapping without remainders."""
    accelerator = draw(accelerators)
    sizes = {loop: draw(st.integers(1, 3 if loop in ("B", "G", "FY", "FX") else 4)) for loop in LOOPS}
    while np.prod(list(sizes.values())) > 300:
        largest = max(sizes, key=lambda loop: sizes[loop])
        sizes[largest] -= 1
    left, spatial = dict(sizes), []
    for units in accelerator.array.values():
        loop = draw(st.sampled_from(LOOPS))
        times = draw(st.sampled_from([n for n in range(1, min(left[loop], units) + 1) if left[loop] % n == 0]))
        spatial.append(((loop, times),) if times > 1 else ())
        left[loop] //= times
    factors = [(loop, n) for loop in LOOPS for n in ((2, 2) if left[loop] == 4 else (left[loop],)) if n > 1]
    temporal = tuple(draw(st.permutations(factors)))
    cuts = {}
    for operand in OPERANDS:
        n_inner = len(accelerator.levels(operand)) - 1
        inner = sorted(draw(st.lists(st.integers(0, len(temporal)), min_size=n_inner, max_size=n_inner)))
        cuts[operand] = (*_move_in(operand, inner, temporal), len(temporal))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return accelerator, sizes, stride, dilation, Mapping(tuple(spatial), temporal, cuts)


CHIPS = st.builds(chip, SERVES, SERVES, SERVES)


def of_template(name):
    """Small chips of a template."""
    make = registry.find("hardware/templates", name)
    return st.sampled_from([4, 6, 12]).map(lambda pes: one_element_words(make(pes=pes, bandwidth=8e9).accelerator()))


def _move_in(operand, cuts, temporal):
    """Loops that do not concern the operand belong to the memory further in."""
    moved = []
    for cut in cuts:
        cut = max([cut, *moved])
        while cut < len(temporal) and temporal[cut][0] in IRRELEVANT[operand]:
            cut += 1
        moved.append(cut)
    return moved


def assert_equal_to_execution(case):
    accelerator, sizes, stride, dilation, mapping = case
    simulator = Simulator(accelerator, sizes, stride, dilation, mapping)
    counts = simulator.run()
    assert len(simulator.visited) == np.prod(list(sizes.values()))  # every product once
    words = cost(accelerator, sizes, mapping, stride, 0, dilation).words_MOE4[0]
    for o, operand in enumerate(OPERANDS):
        for level in range(len(accelerator.levels(operand))):
            for d, direction in enumerate(DIRECTIONS):
                if operand == "I" and direction == "rd_to_lower":
                    continue  # the halo of neighbouring units is a convention there, see the test below
                expected = counts.get((operand, level, direction), 0)
                assert words[o, level, d] == expected, (operand, level, direction, case)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases(CHIPS))
def test_accesses_equal_those_of_execution(case):
    assert_equal_to_execution(case)


@pytest.mark.parametrize("name", registry.names("hardware/templates"))
def test_accesses_equal_those_of_execution_on_every_template(name):
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(cases(of_template(name)))
    def check(case):
        assert_equal_to_execution(case)

    check()


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(cases(CHIPS))
def test_accesses_equal_those_of_execution_at_length(case):
    assert_equal_to_execution(case)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("hardware/templates"))
def test_accesses_equal_those_of_execution_on_every_template_at_length(name):
    @settings(max_examples=1000, deadline=None)
    @given(cases(of_template(name)))
    def check(case):
        assert_equal_to_execution(case)

    check()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(cases(CHIPS | st.sampled_from(registry.names("hardware/templates")).flatmap(of_template)))
def test_input_reads_equal_those_of_execution_without_overlap(case):
    accelerator, sizes, _, _, mapping = case
    sizes = sizes | {"FY": 1, "FX": 1}
    keep = [i for i, (loop, _) in enumerate(mapping.temporal) if loop not in ("FY", "FX")]
    cuts = {o: tuple(sum(i < cut for i in keep) for cut in c) for o, c in mapping.cuts.items()}
    spatial = tuple(tuple(x for x in loops if x[0] not in ("FY", "FX")) for loops in mapping.spatial)
    temporal = tuple(mapping.temporal[i] for i in keep)
    cuts = {o: (*_move_in(o, c[:-1], temporal), c[-1]) for o, c in cuts.items()}
    mapping = Mapping(spatial, temporal, cuts)
    counts = Simulator(accelerator, sizes, 1, 1, mapping).run()
    words = cost(accelerator, sizes, mapping).words_MOE4[0]
    for level in range(len(accelerator.levels("I"))):
        assert words[1, level, 2] == counts.get(("I", level, "rd_to_lower"), 0)


def test_dot_product_by_hand():
    """C = 8 in time on one multiplier: 8 cycles. W and I: 8 words through each memory.

    O: the sum is written to and read back from the register in each of 8 cycles, and leaves once, over the buffer.
    """
    mapping = Mapping(((), ()), (("C", 8),), {"W": (0, 1, 1), "I": (0, 1, 1), "O": (1, 1, 1)})
    found = cost(chip((), (), ()), {"C": 8}, mapping)
    w, i, o = found.words_MOE4[0][:, :3]
    assert found.compute_M[0] == 8
    np.testing.assert_array_equal(w, [[0, 8, 8, 0], [0, 8, 8, 0], [0, 0, 8, 0]])
    np.testing.assert_array_equal(i, w)
    np.testing.assert_array_equal(o, [[1, 0, 8, 8], [1, 0, 0, 1], [0, 0, 0, 1]])
    assert found.energy_j_M[0] == 40 + 40 + 20 + 8  # words at 1 J each (5 x 8, 5 x 8, 17 + 2 + 1), 8 products


def test_stall_by_hand():
    """A weight is needed every 2 cycles (OX 2 inside) but takes 4 (16 bits over a 4-bit port): (4 - 2) * 7 late."""
    slow = chip((), (), ())
    memories = tuple(
        replace(m, width_bits=(4, 4)) if m.name == "rf_w" else replace(m, width_bits=(1000, 1000))
        for m in slow.memories
    )
    mapping = Mapping(((), ()), (("OX", 2), ("K", 8)), {"W": (1, 2, 2), "I": (2, 2, 2), "O": (0, 2, 2)})
    found = cost(replace(slow, memories=memories), {"OX": 2, "K": 8}, mapping, bits=(16, 8, 8))
    assert (found.compute_M[0], found.stall_M[0]) == (16, 14)
    assert slow.memories[found.worst_M.astype(int)[0]].name == "rf_w"


def test_padding_is_neither_stored_nor_moved():
    """Output 4, filter 3, padding 1: 4 inputs, not 6. Stride 2, filter 1: every other of 7 columns is skipped."""
    whole = Mapping(((), ()), (("FX", 3), ("OX", 4)), {"W": (2, 2, 2), "I": (2, 2, 2), "O": (2, 2, 2)})
    assert cost(chip((), (), ()), {"FX": 3, "OX": 4}, whole, padding=1).words_MOE4[0, 1, 0, 1] == 4
    assert cost(chip((), (), ()), {"FX": 3, "OX": 4}, whole, padding=0).words_MOE4[0, 1, 0, 1] == 6
    pointwise = Mapping(((), ()), (("OX", 4),), {"W": (1, 1, 1), "I": (1, 1, 1), "O": (1, 1, 1)})
    assert cost(chip((), (), ()), {"OX": 4}, pointwise, stride=2).words_MOE4[0, 1, 0, 1] == 4


@pytest.mark.parametrize(
    ("mapping", "what"),
    [
        (Mapping(((("K", 5),), ()), (), {o: (0, 0, 0) for o in OPERANDS}), "5 units asked for along D1"),
        (Mapping(((), ()), (("K", 4),), {o: (0, 0, 1) for o in OPERANDS}), "loop K of 5: 1 in space, 4 in time"),
        (Mapping(((), ()), (("K", 5),), {o: (1, 0, 1) for o in OPERANDS}), r"cuts \(1, 0, 1\) of operand W"),
        (Mapping(((), ()), (("K", 5),), {o: (0, 1) for o in OPERANDS}), "3 rising numbers"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(mapping, what):
    with pytest.raises(UserError, match=what):
        cost(chip((), (), ()), {"K": 5}, mapping)
