"""What every evaluator must keep (`core/protocols.py: Stage`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from archip.core.candidate import Candidate, canonical_json
from archip.core.protocols import CandidateSpace, Stage
from archip.core.record import Outcome, Status, metric

__all__ = ["EvaluatorContract"]

MakeStages = Callable[[], Sequence[Stage]]


class EvaluatorContract:
    """Derive a test class and give it two fixtures.

    `make`: a function that makes the stages of a run in a folder of its own, anew at each call.
    `space`: the candidates of that run.
    """

    @pytest.fixture
    def candidates(self, space: CandidateSpace) -> list[Candidate]:
        return [space.sample(np.random.default_rng(seed)) for seed in range(4)]

    @pytest.fixture
    def stages(self, make: MakeStages) -> Sequence[Stage]:
        stages = make()
        for stage in stages:
            stage.prepare(None)
        return stages

    def test_stages_follow_the_protocol(self, make: MakeStages, candidates: list[Candidate]):
        stages = make()
        assert stages
        assert all(isinstance(stage, Stage) for stage in stages)
        assert len({stage.name for stage in stages}) == len(stages)
        for stage in stages:
            assert canonical_json(stage.key)
            assert set(stage.reads) & set(candidates[0].parts)

    def test_one_outcome_each_in_order(self, stages: Sequence[Stage], candidates: list[Candidate]):
        for stage in stages:
            outcomes = stage.evaluate(candidates)
            assert len(outcomes) == len(candidates)
            assert any(o.status is Status.OK for o in outcomes)
            assert _results(stage.evaluate(candidates[::-1])) == _results(outcomes[::-1])
            assert stage.evaluate([]) == []

    def test_outcomes_are_plain_and_named(self, stages: Sequence[Stage], candidates: list[Candidate]):
        for stage in stages:
            for outcome in stage.evaluate(candidates):
                assert all(metric(name) and type(value) in (int, float) for name, value in outcome.metrics.items())
                assert bool(outcome.metrics) or outcome.status is not Status.OK
                assert bool(outcome.reason) == (outcome.status is not Status.OK)
                assert outcome.seconds >= 0
                assert canonical_json(dict(outcome.details))

    def test_batched_equals_one_by_one(self, stages: Sequence[Stage], candidates: list[Candidate]):
        for stage in stages:
            one_by_one = [outcome for c in candidates for outcome in stage.evaluate([c])]
            assert _results(stage.evaluate(candidates)) == _results(one_by_one)

    def test_made_anew_gives_the_same(self, make: MakeStages, stages: Sequence[Stage], candidates: list[Candidate]):
        for stage, again in zip(stages, make(), strict=True):
            again.prepare(None)
            assert (again.name, again.reads, again.key) == (stage.name, stage.reads, stage.key)
            assert _results(again.evaluate(candidates)) == _results(stage.evaluate(candidates))

    def test_results_depend_only_on_what_is_read(self, stages: Sequence[Stage], candidates: list[Candidate]):
        """The parts that a stage does not read are exchanged between candidates."""
        for stage in stages:
            others = candidates[1:] + candidates[:1]
            mixed = [
                Candidate.from_parts(b.parts | a.only(stage.reads)) for a, b in zip(candidates, others, strict=True)
            ]
            assert _results(stage.evaluate(mixed)) == _results(stage.evaluate(candidates))


def _results(outcomes: Sequence[Outcome]) -> list[tuple]:
    """Everything but the time it took."""
    return [(dict(o.metrics), o.status, o.reason) for o in outcomes]
