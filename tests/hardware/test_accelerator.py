"""Accelerators: what is refused, and what their digest covers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archip.core.errors import UserError
from archip.hardware import accelerator
from archip.hardware.accelerator import Accelerator, Dataflow, Memory
from archip.hardware.mappers import _search
from archip.hardware.models import _kernels

BUFFER = Memory("buffer", "WIO", 1024, 1.0, 1.0, (8, 8), serves=("D1",))
DRAM = Memory("dram", "WIO", 1e9, 1.0, 1.0, (8, 8))
ORDER = "FX FY C K OX OY G B"


def make(array=None, memories=(BUFFER, DRAM), **options):
    return Accelerator("toy", array or {"D1": 4}, memories, multiply_j=1.0, **options)


@pytest.mark.parametrize(
    ("options", "where", "what"),
    [
        ({"array": {"D1": 0}}, "toy.array.D1", "0 units"),
        ({"clock_hz": 0}, "toy.clock_hz", "0 Hz"),
        ({"memories": (BUFFER, replace(DRAM, width_bits=(-8, -8)))}, "toy.memories.dram.width_bits", "-8"),
        ({"memories": (replace(BUFFER, bits=0), DRAM)}, "toy.memories.buffer.bits", "capacity of 0 bits"),
        ({"memories": (replace(BUFFER, bits=31), DRAM)}, "toy.memories.buffer.bits", "capacity of 31 bits"),
        ({"memories": (replace(BUFFER, read_j=-1.0), DRAM)}, "toy.memories.buffer.read_j", "-1.0 J"),
        ({"memories": (replace(BUFFER, operands="WX"), DRAM)}, "toy.memories.buffer.operands", "'WX'"),
        ({"memories": (replace(BUFFER, name="dram"), DRAM)}, "toy.memories", "two memories are named dram"),
        ({"memories": ()}, "toy.memories", "no memory"),
        ({"array": {f"D{i}": 2 for i in range(1, 6)}}, "toy.array", "5 entries"),
        ({"add_j": -1.0}, "toy.add_j", "-1.0 J"),
        ({"partial_bits": 0}, "toy.partial_bits", "0 bits"),
        ({"dataflow": Dataflow(((("Q",),),), (ORDER,))}, "toy.dataflow.unrollings[0]", "unknown loop 'Q'"),
        ({"dataflow": Dataflow(((("K",), ("C",)),), (ORDER,))}, "toy.dataflow.unrollings[0]", "2 array dimensions"),
        (
            {"dataflow": Dataflow(((("K",),),), (ORDER, "FX FY C OX OY G B"))},
            "toy.dataflow.orders[1]",
            "plain K exactly",
        ),
        ({"dataflow": Dataflow(((("K",),),), ())}, "toy.dataflow.orders", "1 to 4"),
        ({"memories": (replace(BUFFER, serves=("D7",)), DRAM)}, "toy.memories.buffer.serves", "'D7'"),
        ({"memories": (BUFFER, replace(DRAM, operands="WI"))}, "toy.memories", "operand O has no path to dram"),
        ({"memories": (replace(BUFFER, operands="IO"), DRAM)}, "toy.memories", "operand W has no on-chip memory"),
    ],
)
def test_what_cannot_be_is_refused(options, where, what):
    with pytest.raises(UserError, match=what) as caught:
        make(**options)
    assert caught.value.where == where


def test_digest_tells_accelerators_apart():
    assert make().digest == make().digest
    others = [make(clock_hz=2e9), make(add_j=1.0), make(memories=(replace(BUFFER, bits=2048), DRAM)), make({"D1": 8})]
    assert len({a.digest for a in [make(), *others]}) == 5


def test_units_and_area():
    accelerator = make({"D1": 4, "D2": 3}, area_parts={"a": 1.5, "b": 0.25})
    assert (accelerator.n_units, accelerator.area_mm2) == (12, 1.75)


def test_limits_are_those_of_the_compiled_models():
    limits = [_kernels.MAX_ARRAY, _kernels.MAX_MEMORIES, _kernels.MAX_LEVELS]
    limits += [_search.MAX_UNROLLINGS, _search.MAX_TOGETHER, _search.MAX_ORDERS, _search.MAX_PLACES]
    assert list(accelerator._MOST.values()) == limits
