"""Zero-cost ranks: what they are set against, and what they refuse."""

import math

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.core.record import Status
from archip.ir.workload import workload
from archip.search.setup import prepare

PROBLEM = {
    "name": "ranks",
    "tasks": {"digits": {"data": "digits", "net": {"resnet9": {"stem": [4, 8], "filters": [8, 16, 32], "blocks": 2}}}},
    "evaluator": {"zero_cost": {"scores": ["flops"], "sample": 16}},
}


def _stage(tmp_path, **changes):
    setup = prepare(Problem.from_dict({**PROBLEM, **changes}), tmp_path)
    stage = setup.stages[-1]
    stage.prepare(None)
    return setup, stage


def test_one_score_keeps_its_order_without_end(tmp_path):
    setup, stage = _stage(tmp_path)
    space = setup.run.tasks[0].space
    nets = sorted(space.enumerate(), key=lambda g: workload(space.graph(g, (1, 8, 8), 10)).macs)
    outcomes = stage.evaluate([Candidate(net={"digits": net}) for net in nets])
    ranks = [o.metrics["digits.accuracy"] for o in outcomes]
    macs = [workload(space.graph(g, (1, 8, 8), 10)).macs for g in nets]
    assert all(0 < r < 1 for r in ranks)
    for (r, m), (s, n) in zip(zip(ranks, macs, strict=True), zip(ranks[1:], macs[1:], strict=True), strict=False):
        assert (r < s) == (m < n)


def test_several_scores_are_joined_by_their_geometric_mean(tmp_path):
    setup, both = _stage(tmp_path, evaluator={"zero_cost": {"scores": ["flops", "parameters"], "sample": 16}})
    candidate = Candidate(net={"digits": setup.run.tasks[0].space.sample(np.random.default_rng(1))})
    single = []
    for name in ("flops", "parameters"):
        _, stage = _stage(tmp_path, evaluator={"zero_cost": {"scores": [name], "sample": 16}})
        single.append(stage.evaluate([candidate])[0].metrics["digits.accuracy"])
    (outcome,) = both.evaluate([candidate])
    assert outcome.metrics["digits.accuracy"] == pytest.approx(math.sqrt(single[0] * single[1]))


def test_a_limit_on_the_metric_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"limits\.digits\.accuracy"):
        prepare(Problem.from_dict({**PROBLEM, "limits": {"digits.accuracy": 0.9}}), tmp_path)


def test_an_unknown_score_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"'flop'.*flops"):
        Problem.from_dict({**PROBLEM, "evaluator": {"zero_cost": {"scores": ["flop"]}}})


def test_scores_that_are_not_finite_are_a_failure_with_the_reason(tmp_path):
    setup, stage = _stage(tmp_path)
    stage.proxies[0] = type("Endless", (), {"score": lambda self, probe: math.inf})()
    candidate = Candidate(net={"digits": next(iter(setup.run.tasks[0].space.enumerate()))})
    (outcome,) = stage.evaluate([candidate])
    assert (outcome.status, outcome.reason) == (Status.FAILED, "flops is inf")
