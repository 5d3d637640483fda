"""ENAS with a memory: what the decoder reads, and what the plain controller forgets."""

import numpy as np
import pytest

from archip.core.knobs import Choice, KnobSpace
from archip.core.objectives import Goals, Objective
from archip.spaces.product import ProductSpace
from archip.strategies._controller import Decision, Episode
from archip.strategies.enas_memory import ENASMemory

pytest.importorskip("torch", reason="controllers with an LSTM need torch")
ALL = (0, 1, 2, 3)


class Knobs(KnobSpace):
    @property
    def knobs(self):
        return {name: Choice(ALL, ordered=False) for name in "abcde"}


def started(**options):
    strategy = ENASMemory(**options)
    strategy.start(ProductSpace({"net.t": Knobs()}), Goals((Objective("quality", +1),)))
    return strategy


def row(codes):
    return tuple(Decision(f"net.t/{n}", ALL, int(c)) for n, c in zip("abcde", codes, strict=True))


def test_before_it_has_learnt_every_value_is_as_likely():
    assert float(started().forgotten([row("01230"), row("33333")]).detach()) == pytest.approx(np.log(4))


def test_rows_of_other_lengths_are_read_as_far_as_they_go():
    strategy = started()
    for parameter in strategy._decoder.parameters():
        parameter.data.uniform_(-1, 1)
    rows = [row("01233")[:4], row("31203")]
    alone = [float(strategy.forgotten([r]).detach()) for r in rows]
    assert float(strategy.forgotten(rows).detach()) == pytest.approx((4 * alone[0] + 5 * alone[1]) / 9, rel=1e-5)


def test_the_memory_remembers_and_the_plain_controller_does_not():
    rng = np.random.default_rng(0)
    episodes = [Episode(row(rng.integers(4, size=5)), 0.0) for _ in range(120)]
    losses = {}
    for weight in (0.0, 1.0):
        strategy = started(weight=weight)
        for at in range(0, 120, 2):
            strategy.learn(episodes[at : at + 2])
        losses[weight] = float(strategy.forgotten([e.decisions for e in episodes[-40:]]).detach())
    assert losses[0.0] == pytest.approx(np.log(4))
    assert losses[1.0] < 0.7 * np.log(4)


def test_the_buffer_holds_the_newest():
    strategy = started(memory=3, replay=20)
    strategy.learn([Episode(row(codes), 0.5) for codes in ("00000", "11111", "22222", "33333")])
    assert [r[0].code for r in strategy._buffer] == [1, 2, 3]


def test_rewarded_decisions_become_likelier():
    strategy = started()
    for _ in range(30):
        strategy.learn([Episode(row("11111"), 1.0), Episode(row("22222"), 0.0)])
    p = strategy.probabilities(row("11111")[:2], "net.t/c", ALL)
    assert p[1] > 0.5  # by chance a quarter
