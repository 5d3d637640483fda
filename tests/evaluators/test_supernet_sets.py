"""The supernet evaluator with rules that train several weight sets: owners are stored, large spaces are refused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from archip.core import registry  # noqa: E402
from archip.core.candidate import Candidate  # noqa: E402
from archip.core.errors import UserError  # noqa: E402
from archip.core.problem import Problem  # noqa: E402
from archip.search.setup import prepare  # noqa: E402

SMALL = {"resnet9": {"stem": [4, 8], "filters": [4, 8], "skips": [0, 1], "blocks": 1}}


def stage_of(folder, rule, net=None):
    task = {"data": {"synthetic": {"n_samples": 60, "size": 8, "n_classes": 2}}, "net": net or SMALL}
    file = {"name": "sets", "tasks": {"image": task}, "evaluator": {"supernet": {"epochs": 3, "rule": rule}}}
    problem = Problem.from_dict({**file, "strategy": "random_search"})
    evaluator = registry.create("evaluators", problem.evaluator.name, problem.evaluator.options)
    return evaluator.stages(prepare(problem, folder).run)[0]


@pytest.mark.parametrize("rule", [{"balanced_mixture": {"sets": 2}}, {"few_shot": {"samples": 2}}, "neas"])
def test_a_second_session_gives_the_same_scores_and_trains_nothing(rule, tmp_path, monkeypatch):
    from archip.train import loop

    first = stage_of(tmp_path, rule)
    first.prepare(None)
    candidates = [Candidate({"image": genotype}) for genotype in first.net.space.enumerate()]
    scores = [outcome.metrics["image.accuracy"] for outcome in first.evaluate(candidates)]
    monkeypatch.setattr(loop._Training, "epoch", None)
    second = stage_of(tmp_path, rule)
    second.prepare(None)
    assert [outcome.metrics["image.accuracy"] for outcome in second.evaluate(candidates)] == scores
    if rule != "neas":
        owners = [[stage.net.owner(c.net["image"]) for c in candidates] for stage in (first, second)]
        assert owners[0] == owners[1]
        assert "balanced_mixture" in rule or set(owners[0]) == {0, 1, 2, 3}


def test_a_mixture_of_a_large_space_is_refused(tmp_path):
    stage = stage_of(tmp_path, "balanced_mixture", "resnet9")
    with pytest.raises(UserError, match="at most 512"):
        stage.prepare(None)
