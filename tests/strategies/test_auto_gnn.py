"""Auto-GNN: classes of knobs, one of which changes at a time, and how it is drawn."""

import numpy as np
import pytest

from archip.core.knobs import Choice, KnobSpace
from archip.core.objectives import Goals, Objective
from archip.core.record import Record
from archip.spaces.product import ProductSpace
from archip.strategies.auto_gnn import AutoGNN

pytest.importorskip("torch", reason="controllers with an LSTM need torch")


class Layers(KnobSpace):
    @property
    def knobs(self):
        names = ("op1", "op2", "op3", "act1", "act2", "act3")
        return {name: Choice((0, 1, 2, 3), ordered=False) for name in names}


def judged(candidate, worth):
    return Record(candidate, {"quality": worth(candidate.net["t"])})


def started(**options):
    strategy = AutoGNN(**options)
    strategy.start(ProductSpace({"net.t": Layers()}), Goals((Objective("quality", +1),)))
    return strategy, np.random.default_rng(0)


def test_candidates_differ_from_the_best_in_one_class_only():
    strategy, rng = started(initial=4)
    strategy.tell([judged(c, lambda genes: genes["op1"] / 3) for c in strategy.ask(4, rng)])
    best = strategy.best.candidate.net["t"]
    asked = strategy.ask(20, rng)
    changed = [{name[:-1] for name, value in c.net["t"].items() if value != best[name]} for c in asked]
    assert all(len(classes) == 1 for classes in changed)
    assert set.union(*changed) == {"op", "act"}


def test_the_class_in_doubt_is_changed_more_often():
    strategy, rng = started(initial=2)
    strategy.tell([judged(c, lambda genes: 0.5) for c in strategy.ask(2, rng)])
    op, act = strategy._doubt
    counts = {op: 0, act: 0}
    for _ in range(200):
        strategy._doubt = {op: 1.2, act: 0.3}  # 4 : 1
        candidate = strategy.propose(rng)
        if candidate.id in strategy._out:
            counts[strategy._out[candidate.id][0]] += 1
    assert 2.5 < counts[op] / counts[act] < 6.5


def test_the_best_is_replaced_by_a_better_one_only_and_the_optimum_is_found():
    strategy, rng = started(lr=0.03)
    worth = lambda genes: sum(v == 3 for v in genes.values()) / 6  # noqa: E731
    found = []
    for _ in range(150):
        strategy.tell([judged(c, worth) for c in strategy.ask(1, rng)])
        found.append(strategy.best.metrics["quality"])
    assert found == sorted(found)
    assert found[-1] == 1.0  # one of 4,096
