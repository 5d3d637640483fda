import pytest

from archip.core import registry
from archip.testing.strategy import StrategyContract

TOY_OPTIONS = {
    "diffusion_nag": {"training": 20, "fitting": 20, "steps": 5, "hidden": 8, "layers": 1},
    "nsga2": {"population": 24},
    "optuna": {"sampler": "RandomSampler"},  # the time that other samplers take is theirs
    "regularized_evolution": {"population": 20, "tournament": 5},
}


# Strategies that fit models take minutes for all that the contract asks.
GUIDED = {"auto", "bayesian", "diffusion_nag", "gbdt_nas", "linas", "nars", "predictor_guided", "smbo"}

# Also those that go over every batch several times with gradients, and the one that fits a model of accuracy.
CHEAP_S = dict.fromkeys(GUIDED | {"ppo", "enas_memory", "hao"}, 20e-3)


def _names():
    names = registry.names("strategies")
    return [pytest.param(name, marks=pytest.mark.slow) if name in GUIDED else name for name in names]


@pytest.fixture(params=_names())
def make(request):
    return lambda: registry.create("strategies", request.param, TOY_OPTIONS.get(request.param))


class TestStrategies(StrategyContract):
    @pytest.fixture
    def cheap_s(self, request):
        return CHEAP_S.get(request.node.callspec.params["make"], 1e-3)
