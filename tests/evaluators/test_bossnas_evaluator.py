"""BossNAS in a problem file: a rating from 0 to 1 in the place of the metric, and what is refused before the search."""

import pytest

pytest.importorskip("torch")

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.core.record import Status
from archip.search.setup import prepare

OPTIONS = {"blocks": 2, "epochs": 2, "samples": 64}
NET = {"resnet9": {"stem": [2, 4], "filters": [2, 4], "skips": [0, 1], "blocks": 2}}
PROBLEM = {
    "name": "ratings",
    "tasks": {"digits": {"data": {"digits": {"limit": 100}}, "net": NET}},
    "evaluator": {"bossnas": OPTIONS},
}


def test_the_rating_falls_with_the_sum_of_the_distances(tmp_path):
    setup = prepare(Problem.from_dict(PROBLEM), tmp_path)
    stage = setup.stages[-1]
    networks = list(setup.run.tasks[0].space.enumerate())
    outcomes = stage.evaluate([Candidate(net={"digits": genotype}) for genotype in networks])
    assert all(outcome.status is Status.OK for outcome in outcomes)
    rated = [outcome.metrics["digits.accuracy"] for outcome in outcomes]
    sums = [sum(stage.ratings.distances(genotype)) for genotype in networks]
    assert rated == pytest.approx([1 - total / 8 for total in sums])
    assert len(set(rated)) > len(networks) // 2
    assert networks[rated.index(max(rated))] == stage.ratings._net.settled  # the best path of every block


def test_a_limit_on_the_metric_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"limits\.digits\.accuracy: ratings without labels say nothing"):
        prepare(Problem.from_dict({**PROBLEM, "limits": {"digits.accuracy": 0.9}}), tmp_path)


@pytest.mark.parametrize(
    ("net", "options", "words"),
    [
        (NET, {**OPTIONS, "blocks": 4, "epochs": 4}, r"evaluator\.bossnas\.blocks: 4 blocks.*at most 3"),
        ("nb201", OPTIONS, r"evaluator\.bossnas\.blocks: 2 blocks.*at most 1"),
    ],
)
def test_networks_that_cannot_be_cut_are_refused_before_the_search(net, options, words, tmp_path):
    problem = {**PROBLEM, "tasks": {"digits": {"data": "digits", "net": net}}, "evaluator": {"bossnas": options}}
    with pytest.raises(UserError, match=words):
        prepare(Problem.from_dict(problem), tmp_path)


def test_too_few_epochs_are_said_with_the_option():
    with pytest.raises(UserError, match=r"epochs: 2 epochs are too few for 3 blocks"):
        Problem.from_dict({**PROBLEM, "evaluator": {"bossnas": {"epochs": 2}}})


def test_a_training_that_diverged_is_a_failure_with_the_reason(tmp_path):
    problem = {**PROBLEM, "evaluator": {"bossnas": {**OPTIONS, "lr": 1e38}}}
    setup = prepare(Problem.from_dict(problem), tmp_path)
    candidate = Candidate(net={"digits": next(iter(setup.run.tasks[0].space.enumerate()))})
    (outcome,) = setup.stages[-1].evaluate([candidate])
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("the supernet of digits: training diverged")
