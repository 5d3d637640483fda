import numpy as np
from _stairs import GOALS, Stairs, at, failed, record

from archip.strategies.local_search import LocalSearch

HEIGHTS = [0.1, 0.2, 0.3, 0.6, 0.5, 0.4, 0.3, 0.7, 0.8, 0.9]  # hills at 3 and 9


class Scripted(Stairs):
    """Stairs whose random draws are given."""

    def __init__(self, draws):
        super().__init__(len(HEIGHTS))
        self.draws = iter(draws)

    def sample(self, rng):
        return at(next(self.draws))


def climb(strategy, n_asks, n=1):
    """The numbers asked for, each ask answered at once."""
    path = []
    for number in range(n_asks):
        asked = [c.net["line"] for c in strategy.ask(n, np.random.default_rng(number))]
        strategy.tell([record(x, HEIGHTS[x]) for x in asked])
        path.append(sorted(asked))
    return path


def test_climbs_to_the_best_neighbour_and_starts_again_at_the_top():
    strategy = LocalSearch(initial=1)
    strategy.start(Scripted([1, 6, 6, 6]), GOALS)
    # 1; its neighbours 0 2, best 2; 3 (1 is known), best 3; 4, no better; start again at 6; 5 7; 8; 9
    path = [x for (x,) in climb(strategy, 10)]
    assert (path[0], set(path[1:3]), path[3:6], set(path[6:8]), path[8:]) == (1, {0, 2}, [3, 4, 6], {5, 7}, [8, 9])
    assert strategy.best.candidate == at(9)


def test_begins_at_the_best_of_the_initial_draws():
    strategy = LocalSearch(initial=3)
    strategy.start(Scripted([0, 5, 1]), GOALS)
    assert climb(strategy, 3) == [[0], [5], [1]]
    assert climb(strategy, 1, n=2) == [[4, 6]]


def test_room_in_an_ask_is_filled_with_next_places_to_start_from():
    strategy = LocalSearch(initial=1)
    strategy.start(Scripted([2, 9, 0, 5]), GOALS)
    assert climb(strategy, 1) == [[2]]
    assert climb(strategy, 1, n=4) == [[0, 1, 3, 9]]  # 1 and 3 are neighbours, 9 and 0 drawn
    assert climb(strategy, 1) == [[4]]  # on from 3, not from 9
    assert climb(strategy, 1) == [[8]]  # 3 is a top: start again at 9, the best drawn so far


def test_waits_for_late_results_and_passes_over_failures():
    strategy = LocalSearch(initial=1)
    strategy.start(Scripted([4, 0, 9]), GOALS)
    rng = np.random.default_rng(0)
    strategy.tell([record(x.net["line"], 0.5) for x in strategy.ask(1, rng)])
    around = strategy.ask(2, rng)
    strategy.tell([failed(3)])
    assert strategy.ask(1, rng) == [at(0)]  # 5 is still out
    strategy.tell([record(5, 0.4)])
    assert set(around) == {at(3), at(5)}
    assert strategy.ask(1, rng) == [at(9)]  # 4 was the top and no start is known: draw one
