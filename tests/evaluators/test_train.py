"""The evaluator that trains every network: what it measures, what it keeps, and what a failure does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.errors import CandidateError
from archip.core.protocols import Stage
from archip.core.record import Status

pytest.importorskip("torch")
from archip.evaluators.train import Train


@pytest.fixture
def stages(run):
    return Train(epochs=2).stages(run)


def results(outcomes):
    return [(dict(o.metrics), o.status, o.reason) for o in outcomes]


def with_space(run, space):
    return dataclasses.replace(run, tasks=(dataclasses.replace(run.tasks[0], space=space), *run.tasks[1:]))


def test_there_is_a_stage_for_each_task_that_reads_its_network_only(stages):
    assert all(isinstance(stage, Stage) for stage in stages)
    assert [s.name for s in stages] == ["train.image", "train.series"]
    assert [s.reads for s in stages] == [("net.image",), ("net.series",)]


def test_the_score_is_that_of_a_training_with_the_same_recipe(stages, run, draw):
    from archip.train.loop import fit

    (candidate,), stage, task = draw(1), stages[1], run.tasks[1]
    data, genotype = task.load(), candidate.net["series"]
    module = task.space.build(genotype, data.input_shape, data.n_outputs, stage.seed)
    expected = fit(module, data, stage.recipe, stage.seed).metrics["val"]["accuracy"]
    (outcome,) = stage.evaluate([candidate])
    assert outcome.metrics == {"series.accuracy": expected}
    assert outcome.seconds > 0


def test_more_epochs_learn_more(run, draw):
    few, many = (np.mean([
        o.metrics["series.accuracy"] for o in Train(epochs=n, lr=1e-2).stages(run)[1].evaluate(draw(3))
    ]) for n in (1, 15))  # fmt: skip
    assert many > few


def test_what_the_score_depends_on_is_in_the_key(run, tasks):
    def key(options: dict, context=run) -> dict:
        return Train(**options).stages(context)[0].key

    base = key({"epochs": 2})
    assert base["fidelity"] == "train:2"
    others = [key({"epochs": 3}), key({"epochs": 2, "lr": 1e-3}), key({"epochs": 2}, dataclasses.replace(run, seed=1))]
    smaller = dataclasses.replace(tasks[0].space, blocks=2)
    others.append(key({"epochs": 2}, with_space(run, smaller)))
    other_data = dataclasses.replace(tasks[0].load(), digest="other")
    task = dataclasses.replace(tasks[0], load=lambda: other_data)
    others.append(key({"epochs": 2}, dataclasses.replace(run, tasks=(task,))))
    assert all(base != other for other in others)


def test_a_failing_candidate_is_a_failed_outcome_and_the_rest_go_on(run, draw):
    class Fails:
        """A space whose second network cannot be built, and whose third cannot run."""

        def __init__(self, space) -> None:
            self.space, self.n = space, 0
            self.__dataclass_fields__ = space.__dataclass_fields__

        def __getattr__(self, name):
            return getattr(self.space, name)

        def build(self, *args):
            from torch import nn

            self.n += 1
            if self.n == 2:
                raise CandidateError("no such layer")
            return nn.Linear(3, 3) if self.n == 3 else self.space.build(*args)

    stage = Train(epochs=1).stages(with_space(run, Fails(run.tasks[0].space)))[0]
    outcomes = stage.evaluate(draw(4))
    assert [o.status for o in outcomes] == [Status.OK, Status.FAILED, Status.FAILED, Status.OK]
    assert outcomes[1].reason == "no such layer"
    assert "shapes" in outcomes[2].reason
    assert outcomes[1].metrics == {}


def test_a_training_that_diverges_says_where(run, draw):
    stage = Train(epochs=2).stages(run)[1]
    data = stage.data
    x, y = data.splits["train"]
    stage.data = dataclasses.replace(data, splits={**data.splits, "train": (x * np.float32(np.nan), y)})
    (outcome,) = stage.evaluate(draw(1))
    assert outcome.status is Status.FAILED
    assert outcome.reason == "training diverged: loss nan in epoch 1, step 1"
    assert not list(run.folder.rglob("*.checkpoint"))


def test_an_interrupted_training_goes_on_and_leaves_nothing_behind(run, draw, monkeypatch):
    from archip.train import loop

    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
    candidates = draw(1)
    whole = results(Train(epochs=4).stages(run)[0].evaluate(candidates))
    epochs, epoch = [], loop._Training.epoch

    def counted(self):
        if len(epochs) == 2:
            raise KeyboardInterrupt
        epochs.append(len(self.history))
        return epoch(self)

    monkeypatch.setattr(loop._Training, "epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        Train(epochs=4).stages(run)[0].evaluate(candidates)
    assert len(list(run.folder.rglob("*.checkpoint"))) == 1
    monkeypatch.setattr(loop._Training, "epoch", lambda self: epochs.append(len(self.history)) or epoch(self))
    assert results(Train(epochs=4).stages(run)[0].evaluate(candidates)) == whole
    assert epochs == [0, 1, 2, 3]
    assert not list(run.folder.rglob("*.checkpoint"))


def test_candidates_may_carry_other_parts(stages, draw):
    (candidate,) = draw(1)
    richer = Candidate(candidate.net, {"pes": 3}, {"image": {"bits": 4}})
    assert results(stages[0].evaluate([candidate])) == results(stages[0].evaluate([richer]))
