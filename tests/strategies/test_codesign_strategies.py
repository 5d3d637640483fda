"""Strategies that treat networks and chip apart: nested, alternating, joint, and NASAIC's baselines."""

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status
from archip.core.rng import generator
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record

CHIPS = {str(chip) for chip in ToySpace().chips}


def _walk(name, n_asks, n=10, space=None, **options):
    """All candidates that a strategy asks for, each answered at once; and the strategy."""
    strategy = registry.create("strategies", name, options)
    strategy.start(space or ToySpace(), TOY_GOALS)
    asked = []
    for number in range(n_asks):
        batch = strategy.ask(n, generator(0, "ask", number))
        strategy.tell([toy_record(c) for c in batch])
        asked += batch
    return asked, strategy


def test_nested_gives_every_network_its_best_chip():
    """Each chip is compared with all others of the same networks, by brute force."""
    asked, _ = _walk("nested", 6)
    assert len({str(c.net) for c in asked}) == len(asked)  # a network is asked for once
    for candidate in asked:
        records = [toy_record(type(candidate)(candidate.net, chip)) for chip in ToySpace().chips]
        feasible = [r.metrics["latency_s"] for r in records if TOY_GOALS.feasible(r)]
        found = toy_record(candidate)
        if feasible:
            assert TOY_GOALS.feasible(found)
            assert found.metrics["latency_s"] == min(feasible)
        else:
            assert TOY_GOALS.violation(found.metrics) == min(TOY_GOALS.violation(r.metrics) for r in records)


def test_nested_asks_for_several_chips_of_a_network_where_several_are_best():
    goals = Goals((*TOY_GOALS.objectives, Objective("area_mm2", -1)), TOY_GOALS.limits)
    wanted = []

    class Two(ToySpace):
        def designer(self, networks, goals, least):
            wanted.append(least)
            return super().designer(networks, goals, "energy" if least == "area" else least)

    strategy = registry.create("strategies", "nested")
    strategy.start(Two(), goals)
    asked = strategy.ask(12, generator(0))
    assert wanted[:4] == ["latency", "area", "latency", "area"]
    assert len({str(c.net) for c in asked}) < 12


def test_nested_learns_from_its_outer_strategy_what_networks_are_worth():
    """Evolution of networks finds better ones than random networks with the same, best, chips."""
    quality = Goals((Objective("quality", 1),), TOY_GOALS.limits)

    def best(outer, seed):
        strategy = registry.create("strategies", "nested", {"outer": outer})
        strategy.start(ToySpace(), quality)
        found = []
        for number in range(15):
            records = [toy_record(c) for c in strategy.ask(10, generator(seed, number))]
            strategy.tell(records)
            found += [r.metrics["quality"] for r in records if quality.feasible(r)]
        return max(found)

    bred = [best({"regularized_evolution": {"population": 20, "tournament": 5}}, seed) for seed in range(5)]
    drawn = [best("random_search", seed) for seed in range(5)]
    assert np.mean(bred) > np.mean(drawn)


@pytest.mark.parametrize(
    ("limit", "least", "right"), [("latency_s", "latency", "energy"), ("energy_j", "energy", "latency")]
)
def test_nested_refuses_to_choose_chips_by_what_schedules_do_not_minimise(limit, least, right):
    strategy = registry.create("strategies", "nested", {"least": [least]})
    with pytest.raises(UserError, match=f"chosen by {least}") as error:
        strategy.start(ToySpace(), Goals((Objective("quality", 1),), (Limit(limit, 1.0),)))
    assert error.value.right == f"{right} or area"


@pytest.mark.parametrize("name", ["nested", "joint", "alternating", "nas_then_asic", "asic_then_nas"])
def test_without_a_chip_to_be_designed_they_say_so(name):
    with pytest.raises(UserError, match="no chip to be designed"):
        registry.create("strategies", name).start(ToySpace(has_chip=False), TOY_GOALS)


@pytest.mark.parametrize("name", ["nested", "alternating", "nas_then_asic"])
def test_without_a_solver_they_say_so(name):
    space = ToySpace()
    space.designer = None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UserError, match="nothing solves the chip"):
        registry.create("strategies", name).start(space, TOY_GOALS)


@pytest.mark.parametrize("outer", ["nsga3", {"nsga2": {"populatoin": 3}}, {"nsga2": {}, "mcts": {}}])
def test_an_outer_strategy_that_does_not_exist_is_refused_before_anything_runs(outer):
    for name in ("nested", "alternating", "nas_then_asic", "asic_then_nas"):
        with pytest.raises(UserError) as error:
            registry.create("strategies", name, {"outer": outer})
        assert error.value.where.startswith(f"{name}.outer")
    with pytest.raises(UserError, match="nsga3"):
        registry.create("strategies", "joint", {"search": "nsga3"})


def test_joint_asks_as_the_strategy_inside_does():
    options = {"population": 20}
    assert _walk("joint", 5, search={"nsga2": options})[0] == _walk("nsga2", 5, **options)[0]


def test_alternating_keeps_a_chip_for_a_turn_and_then_takes_the_best_for_the_best_networks():
    strategy = registry.create("strategies", "alternating", {"turn": 10})
    strategy.start(ToySpace(), TOY_GOALS)
    first = strategy.ask(10, generator(0, 0))
    assert len({str(c.hw) for c in first}) == 1
    strategy.tell([toy_record(c) for c in first])
    best = min((toy_record(c) for c in first), key=TOY_GOALS.key).candidate
    solved = ToySpace().designer(type(best)(best.net), TOY_GOALS, "latency")
    second = strategy.ask(10, generator(0, 1))
    assert solved in second or solved in first
    assert {str(c.hw) for c in second} == {str(solved.hw)}


def test_nas_then_asic_searches_by_quality_alone_and_solves_the_chip_for_the_most_accurate():
    asked, strategy = _walk("nas_then_asic", 5, networks=40, outer="regularized_evolution")
    nets, rest = asked[:40], asked[40:]
    assert strategy.prunes is False
    assert len({str(c.hw) for c in nets}) == 1
    most = max((toy_record(c) for c in nets), key=lambda r: r.metrics["quality"]).candidate
    assert rest[0] == ToySpace().designer(type(most)(most.net), TOY_GOALS, "latency")
    assert {str(c.net) for c in rest} == {str(most.net)}
    assert len({str(c.hw) for c in rest}) == 10


def test_asic_then_nas_takes_the_chip_that_comes_nearest_to_the_limits_from_within():
    asked, _ = _walk("asic_then_nas", 3, chips=10, outer="random_search")
    tried, rest = asked[:10], asked[10:]
    assert len({str(c.net) for c in tried}) == 1
    records = [toy_record(c) for c in tried]
    within = [r for r in records if TOY_GOALS.feasible(r)]
    most = (
        max(within, key=lambda r: r.metrics["energy_j"])
        if within
        else min(records, key=lambda r: r.metrics["energy_j"])
    )
    assert {str(c.hw) for c in rest} == {str(most.candidate.hw)}


def test_failed_networks_do_not_stop_the_baselines():
    for name, options in (("nas_then_asic", {"networks": 5}), ("asic_then_nas", {"chips": 5})):
        strategy = registry.create("strategies", name, options)
        strategy.start(ToySpace(), TOY_GOALS)
        for number in range(6):
            batch = strategy.ask(4, generator(0, number))
            assert len(batch) == 4
            strategy.tell([Record(c, {}, Status.FAILED, "diverged") for c in batch])
