"""What auto picks, and that evolution goes on from what the models found."""

import pytest
from _stairs import GOALS, Stairs

from archip.core import registry
from archip.core.objectives import Goals, Objective
from archip.core.rng import generator
from archip.strategies.auto import Auto
from archip.strategies.bayesian import Bayesian
from archip.strategies.nsga2 import NSGA2
from archip.strategies.regularized_evolution import RegularizedEvolution
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record

COSTS = Goals((Objective("energy_j", -1), Objective("latency_s", -1)))
MANY = Goals(tuple(Objective.of(name) for name in ("quality", "latency_s", "energy_j", "params")))


@pytest.mark.parametrize(
    ("space", "goals", "picked"),
    [
        (ToySpace(), TOY_GOALS, Bayesian),
        (ToySpace(), Goals(TOY_GOALS.objectives[:1]), Bayesian),
        (ToySpace(), COSTS, NSGA2),
        (ToySpace(), MANY, NSGA2),
        (Stairs(9), GOALS, NSGA2),
        (Stairs(9), Goals(GOALS.objectives[:1]), RegularizedEvolution),
    ],
)
def test_picks_by_space_and_objectives(space, goals, picked):
    auto = Auto()
    auto.start(space, goals)
    assert type(auto._inner) is picked


def test_starts_as_bayesian_does():
    asked = {}
    for name in ("auto", "bayesian"):
        strategy = registry.create("strategies", name)
        strategy.start(ToySpace(), TOY_GOALS)
        asked[name] = []
        for number in range(14):
            batch = strategy.ask(1, generator(0, "ask", number))
            strategy.tell([toy_record(c) for c in batch])
            asked[name] += batch
    assert asked["auto"] == asked["bayesian"]


def test_evolution_goes_on_from_what_was_found():
    auto = Auto(switch=40)
    auto.start(ToySpace(), TOY_GOALS)
    for number in range(5):
        auto.tell([toy_record(c) for c in auto.ask(8, generator(0, "ask", number))])
    assert isinstance(auto._inner, NSGA2)
    assert len(auto._inner.living) == auto._inner.population
    more = auto.ask(60, generator(0, "ask", 5))
    assert len({c.id for c in more}) == 60
    auto.tell([toy_record(c) for c in more])
    assert len(auto.asked) == 100
