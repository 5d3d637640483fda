"""Slopes of the perceptrons against finite differences, and what pretraining on statistics is good for."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from archip.core import registry
from archip.core.rng import generator
from archip.strategies._mlp import Adam, Mlp
from archip.strategies.nars import Nars, _Predictor
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record


def test_slopes_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    net, x, target = Mlp.drawn([4, 5, 3], rng), rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    inputs = net.backward(net.forward(x) - target)
    pairs = [pair for layer in range(2) for pair in zip(net.weights[layer], net.slopes[layer], strict=True)]
    loss = lambda: 0.5 * ((net.forward(x) - target) ** 2).sum()  # noqa: E731
    for array, slope in [*pairs, (x, inputs)]:
        at = (0,) * array.ndim
        old = array[at]
        values = []
        for sign in (1, -1):
            array[at] = old + sign * 1e-6
            values.append(loss())
        array[at] = old
        assert slope[at] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4)


def test_the_first_step_of_adam_is_the_rate_in_each_weight():
    net = Mlp([(np.array([[1.0]]), np.array([0.0]))], [(np.array([[123.0]]), np.array([-0.01]))])
    Adam([net], rate=0.1)()
    np.testing.assert_allclose(net.weights[0][0], 0.9, rtol=1e-6)
    np.testing.assert_allclose(net.weights[0][1], 0.1, rtol=1e-4)


class Told(ToySpace):
    """The toy space with its energy and latency as free statistics."""

    def statistics(self, candidates):
        metrics = [toy_record(c).metrics for c in candidates]
        return np.array([[m["energy_j"], m["latency_s"]] for m in metrics])


@threadpool_limits.wrap(limits=1)
def test_a_pretrained_encoder_ranks_better_from_few_results():
    """What is learnt is the depth-weighted energy; 20 results, 3 seeds; written before the first run."""
    from scipy.stats import kendalltau

    taus = {0: [], 300: []}
    for seed in range(3):
        for pretraining, found in taus.items():
            rng, space = np.random.default_rng(seed), Told()
            strategy = Nars(pretraining=pretraining)
            strategy.start(space, TOY_GOALS)
            sample = [space.sample(rng) for _ in range(220)]
            y = np.array([-np.log(toy_record(c).metrics["energy_j"]) - 0.3 * c.net["toy"]["depth"] for c in sample])
            strategy.tell([])
            strategy.told = [toy_record(c) for c in sample[:20]]
            model = _Predictor(strategy._pretrained(np.random.default_rng(seed)), np.random.default_rng(seed))
            model.fit(strategy._genes(sample[:20]), (y[:20] - y.mean()) / y.std(), 150)
            found.append(kendalltau(model.predict(strategy._genes(sample[20:])), y[20:])[0])
    assert np.mean(taus[300]) > np.mean(taus[0])


def test_without_statistics_it_still_learns():
    strategy = registry.create("strategies", "nars", {"pool": 100})
    strategy.start(ToySpace(), TOY_GOALS)
    for number in range(4):
        strategy.tell([toy_record(c) for c in strategy.ask(10, generator(0, "ask", number))])
    assert len(strategy.asked) == 40
