import pytest

from archip.core import registry
from archip.core.problem import Problem
from archip.search.setup import prepare
from archip.testing.evaluator import EvaluatorContract

TOY_OPTIONS = {
    "train": {"epochs": 1},
    "supernet": {"epochs": 1},
    "bossnas": {"blocks": 2, "epochs": 2, "paths": 2, "population": 4, "samples": 8},
}
PROBLEM = {
    "name": "toy",
    "tasks": {
        "image": {"data": {"synthetic": {"n_samples": 60, "size": 8, "n_classes": 2}}, "net": "resnet9"},
        "series": {"data": {"synthetic": {"n_samples": 60, "size": 16, "axes": "NCL"}}, "net": "conv1d"},
    },
    "target": {"chip": {"cores": 2, "pes": {"total": 512, "step": 128}}},
    "strategy": "random_search",
    "baselines": ["random_search"],
}


NEEDS_A_TABLE = {"tabular"}  # tests/evaluators/test_tabular_evaluator.py has its contract


@pytest.fixture(params=sorted(set(registry.names("evaluators")) - NEEDS_A_TABLE))
def name(request):
    return request.param


@pytest.fixture
def setup(name, tmp_path):
    plug = {name: TOY_OPTIONS.get(name, {})}
    return prepare(Problem.from_dict({**PROBLEM, "evaluator": plug}), tmp_path)


class TestEvaluators(EvaluatorContract):
    @pytest.fixture
    def make(self, name, setup):
        return lambda: registry.create("evaluators", name, TOY_OPTIONS.get(name)).stages(setup.run)

    @pytest.fixture
    def space(self, setup):
        return setup.space
