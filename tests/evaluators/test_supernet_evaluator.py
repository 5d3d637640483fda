"""The supernet evaluator: one training for a task, kept in the run's folder, then cheap scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.record import Status

torch = pytest.importorskip("torch")
from archip.evaluators.supernet import Supernet  # noqa: E402


@pytest.fixture
def make(run):
    """Makes a prepared stage of the series task."""

    def prepared(context=run, **options):
        stage = Supernet(**{"epochs": 3, **options}).stages(context)[1]
        stage.prepare(None)
        return stage

    return prepared


def results(outcomes):
    return [(dict(o.metrics), o.status, o.reason) for o in outcomes]


def test_there_is_a_stage_for_each_task_that_reads_its_network_only(run):
    stages = Supernet().stages(run)
    assert [s.name for s in stages] == ["supernet.image", "supernet.series"]
    assert [s.reads for s in stages] == [("net.image",), ("net.series",)]
    assert stages[0].key["fidelity"] == "supernet"
    assert stages[0].key != Supernet(lr=1e-3).stages(run)[0].key


def test_networks_of_a_trained_supernet_are_good_without_training_of_their_own(make, draw):
    candidates = draw(6)
    trained = make(epochs=25).evaluate(candidates)
    scores = [o.metrics["series.accuracy"] for o in trained]
    assert np.mean(scores) >= 0.9
    assert all(o.seconds < 1 for o in trained)


def test_a_second_session_reads_the_supernet_and_trains_nothing(make, draw, run, monkeypatch):
    from archip.train import loop

    candidates = draw(3)
    first = make()
    assert (run.folder / "supernet" / "series.safetensors").exists()
    monkeypatch.setattr(loop._Training, "epoch", None)
    second = make()
    assert all(torch.equal(a, b) for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True))
    assert results(first.evaluate(candidates)) == results(second.evaluate(candidates))


def test_an_interrupted_training_goes_on_to_the_same_weights(make, run, tmp_path, monkeypatch):
    from archip.train import loop

    whole = make(dataclasses.replace(run, folder=tmp_path / "whole"))
    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
    epoch = loop._Training.epoch

    def interrupted(self):
        if len(self.history) == 2:
            raise KeyboardInterrupt
        return epoch(self)

    monkeypatch.setattr(loop._Training, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make()
    epochs = []
    monkeypatch.setattr(loop._Training, "epoch", lambda self: epochs.append(len(self.history)) or epoch(self))
    continued = make()
    assert epochs == [2]
    assert all(torch.equal(a, b) for a, b in zip(whole.net.parameters(), continued.net.parameters(), strict=True))


def test_other_options_are_another_training(make, run):
    options = ({}, {"lr": 1e-3}, {"rule": {"uniform": {"n_paths": 2}}})
    weights = [torch.cat([p.flatten() for p in make(**o).net.parameters()]) for o in options]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_every_network_has_statistics_of_its_own(make, draw):
    """What was evaluated before does not matter."""
    stage, candidates = make(), draw(5)
    forward, backward = stage.evaluate(candidates), stage.evaluate(candidates[::-1])
    assert results(forward) == results(backward[::-1])


def test_networks_evaluated_together_score_as_one_by_one(make, draw, monkeypatch):
    from archip.evaluators import supernet

    stage, candidates = make(), draw(12)
    together = results(stage.evaluate(candidates))
    assert together == [results(stage.evaluate([candidate]))[0] for candidate in candidates]
    monkeypatch.setattr(supernet, "_BYTES", 3 * sum(p.nbytes for p in stage.net.parameters()))
    assert stage._n_together() == 3
    assert results(stage.evaluate(candidates)) == together


def test_a_supernet_that_diverges_fails_its_candidates_with_the_reason(run, draw):
    stage = Supernet(epochs=1).stages(run)[1]
    x, y = stage.data.splits["train"]
    broken = {**stage.data.splits, "train": (x * np.float32(np.nan), y)}
    stage.data = dataclasses.replace(stage.data, splits=broken)
    stage.prepare(None)
    outcomes = stage.evaluate(draw(2))
    assert [o.status for o in outcomes] == [Status.FAILED] * 2
    assert outcomes[0].reason == "the supernet of series: training diverged: loss nan in epoch 1, step 1"


def test_a_network_that_does_not_fit_fails_alone(make, draw):
    stage, candidates = make(), draw(3)
    extract = stage.net.extract

    def picky(genotype):
        if genotype == candidates[1].net["series"]:
            raise RuntimeError("no room\nsecond line")
        return extract(genotype)

    stage.net.extract = picky
    outcomes = stage.evaluate(candidates)
    assert [o.status for o in outcomes] == [Status.OK, Status.FAILED, Status.OK]
    assert outcomes[1].reason == "no room"


def test_a_trained_supernet_of_another_run_is_used_as_it_is(make, draw, run, tmp_path):
    first = make()
    file = str(run.folder / "supernet" / "series.safetensors")
    elsewhere = dataclasses.replace(run, folder=tmp_path / "other")
    used = make(elsewhere, epochs=0, start_from=file)
    assert all(torch.equal(a, b) for a, b in zip(first.net.parameters(), used.net.parameters(), strict=True))
    candidates = draw(3)
    assert results(first.evaluate(candidates)) == results(used.evaluate(candidates))
    assert first.key != used.key


def test_a_supernet_of_something_else_is_refused_with_the_difference(make, run, tmp_path):
    make()
    file = str(run.folder / "supernet" / "series.safetensors")
    stage = Supernet(epochs=1, start_from=file).stages(dataclasses.replace(run, folder=tmp_path / "x"))[0]
    with pytest.raises(UserError, match=r"space 'Conv1d' there, 'ResNet9' here") as error:
        stage.prepare(None)
    assert file in str(error.value)


def test_a_supernet_with_other_weights_is_refused_with_the_difference(make, run, tmp_path):
    make()
    file = str(run.folder / "supernet" / "series.safetensors")
    options = Supernet(epochs=1, start_from=file, kernel_transforms=True)
    with pytest.raises(UserError, match=r"something else: .*kernel_5_to_3 None there"):
        options.stages(dataclasses.replace(run, folder=tmp_path / "x"))[1].prepare(None)


def test_a_supernet_of_an_older_version_is_refused(make, run, monkeypatch, tmp_path):
    from archip.train import loop

    monkeypatch.setattr(loop, "FORMAT", 1)
    make()
    file = str(run.folder / "supernet" / "series.safetensors")
    stage = Supernet(epochs=1, start_from=file).stages(dataclasses.replace(run, folder=tmp_path / "x"))[1]
    with pytest.raises(UserError, match="version 1 of the format"):
        stage.prepare(None)


def test_wrong_rules_and_files_are_said_at_once(run):
    with pytest.raises(UserError, match=r"sandwich"):
        Supernet(rule="sandwic")
    with pytest.raises(UserError, match="n_random"):
        Supernet(rule={"sandwich": {"n_rnadom": 2}})
    with pytest.raises(UserError, match="start_from"):
        Supernet(epochs=0)
    with pytest.raises(UserError, match="cannot be read"):
        Supernet(start_from="nowhere.safetensors").stages(run)
