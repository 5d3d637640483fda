import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.encoding import encode_codes, knob_codes
from archip.core.knobs import Choice, IntRange
from archip.core.protocols import KnobbedSpace
from archip.spaces.product import ProductSpace
from archip.testing.toy import ToyKnobs, ToySpace

KNOBS = {"op": Choice(("a", "b", "c"), ordered=False), "width": Choice((8, 16, 24)), "one": Choice((1,))}


def test_columns_by_hand():
    codes = knob_codes(KNOBS, [{"op": "b", "width": 24, "one": 1}, {"op": "c", "one": 1}])
    assert codes.tolist() == [[1, 2, 0], [2, -1, 0]]
    expected = [[0, 1, 0, 1.0, 0, 0, 1], [0, 0, 1, 0.0, 0, 0, 0]]  # op; position and choice of width; none of one
    assert encode_codes(codes, list(KNOBS.values())).tolist() == expected


def test_a_long_range_is_a_position_only():
    knob = IntRange(0, 100)
    assert encode_codes(knob_codes({"n": knob}, [{"n": 25}]), [knob]).tolist() == [[0.25]]


@pytest.mark.parametrize("space", [ToySpace(), ProductSpace({"net.a": ToyKnobs(2), "hw": ToyKnobs(1)})])
def test_spaces_of_candidates_are_knobbed(space):
    assert isinstance(space, KnobbedSpace)
    rng = np.random.default_rng(0)
    candidates = [space.sample(rng) for _ in range(20)]
    codes = space.codes(candidates)
    assert codes.shape == (20, len(space.knobs))
    assert len(np.unique(space.encode(candidates), axis=0)) == len({c.id for c in candidates})
    assert space.statistics(candidates).shape == (20, 0)
    for candidate, row in zip(candidates, codes, strict=True):  # the decisions that lead back to it
        place = dict(zip(space.knobs, row.tolist(), strict=True))
        asked = []
        assert space.decide(lambda name, allowed, p=place, a=asked: (a.append(name), p[name])[1]) == candidate
        assert asked == [name for name in space.knobs if place[name] >= 0]


def test_decisions_that_break_a_constraint_give_nothing():
    class Even(ToyKnobs):
        def permits(self, genes):
            return genes["depth"] % 2 == 0

    space = ProductSpace({"net.a": Even(3)})
    assert space.decide(lambda name, allowed: 0) is None
    assert isinstance(space.decide(lambda name, allowed: min(1, len(allowed) - 1)), Candidate)
