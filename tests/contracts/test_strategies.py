import pytest

from archip.core import registry
from archip.testing.strategy import StrategyContract

TOY_OPTIONS = {
    "nsga2": {"population": 24},
    "optuna": {"sampler": "RandomSampler"},  # the time that other samplers take is theirs
    "regularized_evolution": {"population": 20, "tournament": 5},
}


@pytest.fixture(params=registry.names("strategies"))
def make(request):
    return lambda: registry.create("strategies", request.param, TOY_OPTIONS.get(request.param))


class TestStrategies(StrategyContract):
    pass
