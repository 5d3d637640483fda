"""The training loop: it learns, repeats itself exactly, continues after a kill, and says why it failed."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.core.errors import CandidateError, UserError  # noqa: E402
from archip.train import loop  # noqa: E402
from archip.train.loop import Recipe, evaluate, fit, score  # noqa: E402
from archip.train.recipe import make_optimiser, steps_per_epoch  # noqa: E402

SHORT = Recipe(epochs=3, batch=8)


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k: t.clone() for k, t in module.state_dict().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def train(make, data, recipe=SHORT, seed=0, **more):
    module = make(data.task)
    return fit(module, data, recipe, seed, **more), weights(module)


def test_it_learns_to_classify(small_net, images):
    result, _ = train(small_net, images, Recipe(epochs=10, batch=8, lr=1e-2))
    assert result.metrics["test"]["accuracy"] >= 0.9
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.seconds > 0


def test_it_learns_to_segment(small_net, masks):
    result, _ = train(small_net, masks, Recipe(epochs=20, batch=8, lr=3e-2))
    assert result.metrics["test"]["iou"] >= 0.8


def test_two_runs_give_identical_weights(small_net, images):
    one, two, other = (train(small_net, images, seed=seed)[1] for seed in (0, 0, 1))
    assert equal(one, two)
    assert not equal(one, other)


def test_the_global_generator_is_neither_used_nor_moved(small_net, images):
    module = small_net()
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    fit(module, images, SHORT, 0)
    assert torch.equal(torch.rand(1), expected)


class _Kill(Exception):
    pass


class _KillAfter:
    """A progress display that ends the training after so many epochs, as a kill between two epochs would."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def start(self, description, total):
        return self

    def advance(self, handle, n=1, **fields):
        self.left -= n
        if fields and self.left < 0:
            raise _Kill

    def finish(self, handle):
        pass


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_killed_and_continued_training_ends_with_the_same_weights(
    small_net, images, tmp_path, monkeypatch, keep, optimiser
):
    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
    recipe = Recipe(epochs=5, batch=8, keep=keep, optimiser=optimiser, lr=1e-2)
    whole, expected = train(small_net, images, recipe)
    path = tmp_path / "file.checkpoint"
    for epochs in (2, 3):
        with pytest.raises(_Kill):
            train(small_net, images, recipe, checkpoint=path, progress=_KillAfter(epochs))
    result, found = train(small_net, images, recipe, checkpoint=path)
    assert equal(found, expected)
    assert result.history == whole.history
    assert result.metrics == whole.metrics


def test_a_finished_checkpoint_answers_without_training(small_net, images, tmp_path, monkeypatch):
    path = tmp_path / "file.checkpoint"
    result, expected = train(small_net, images, checkpoint=path)
    monkeypatch.setattr(loop._Training, "epoch", None)
    again, found = train(small_net, images, checkpoint=path)
    assert again == result
    assert equal(found, expected)


def test_a_checkpoint_of_another_training_is_not_used(small_net, images, tmp_path):
    path = tmp_path / "file.checkpoint"
    train(small_net, images, checkpoint=path, seed=1)
    _, found = train(small_net, images, checkpoint=path, seed=0)
    assert equal(found, train(small_net, images, seed=0)[1])


@pytest.mark.slow
def test_a_killed_process_continues_to_the_same_weights(tmp_path):
    """A real process, killed with SIGKILL at moments spread over the training."""
    script = Path(__file__).parent / "_process.py"

    def run(name: str, kill_after_s: float | None = None) -> None:
        process = subprocess.Popen([sys.executable, str(script), str(tmp_path / name)], env={**os.environ})
        try:
            assert process.wait(kill_after_s) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()

    run("whole")
    for kill_after_s in (2.5, 3.0, 3.5, 4.0):
        run("killed", kill_after_s)
    run("killed")
    assert (tmp_path / "killed.weights").read_bytes() == (tmp_path / "whole.weights").read_bytes()


def test_the_weights_of_the_best_epoch_are_kept(small_net, images):
    result, found = train(small_net, images, Recipe(epochs=8, batch=8, lr=1e-2))
    best = max(result.history, key=lambda e: (e["val_accuracy"], -e["val_loss"]))
    module = small_net()
    module.load_state_dict(found)
    again = evaluate(module, *images.splits["val"], "classification")
    assert again["accuracy"] == result.metrics["val"]["accuracy"]
    assert again["loss"] == pytest.approx(result.metrics["val"]["loss"], rel=1e-5)
    assert again["loss"] == pytest.approx(best["val_loss"], rel=0.05)  # in the precision of training


def test_early_stop_waits_for_its_patience(small_net, images, monkeypatch):
    scores = iter([0.5, 0.75, 0.7, 0.6, 0.9, 0.9])
    monkeypatch.setattr(
        loop._Training, "_validate", lambda self, number: {"val_accuracy": next(scores), "val_loss": 1.0}
    )
    result, _ = train(small_net, images, Recipe(epochs=6, batch=8, patience=1))
    assert [e["val_accuracy"] for e in result.history] == [0.5, 0.75, 0.7, 0.6]


def test_patience_without_validation_is_refused():
    with pytest.raises(UserError, match="patience"):
        Recipe(keep="last", patience=3)


def test_the_kept_weights_are_the_moving_average_of_the_path(images):
    """The recurrence, computed from the weights that each step saw and those after the last step."""
    path: list[torch.Tensor] = []

    def trained(ema: float) -> torch.Tensor:
        module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False))
        nn.init.zeros_(module[1].weight)
        path.clear()

        class Watching(loop.Plain):
            def backward(self, step):
                path.append(module[1].weight.detach().clone())
                return super().backward(step)

        fit(module, images, Recipe(epochs=2, batch=24, ema=ema, keep="last"), 0, rule=Watching())
        return module[1].weight.detach()

    final = trained(ema=0.0)
    average = path[0]
    for step, after in enumerate([*path[1:], final]):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * after
    assert len(path) == 2 * steps_per_epoch(48, 24)
    assert torch.allclose(trained(ema=0.5), average, atol=1e-7)
    assert not torch.allclose(final, average, atol=1e-4)


class _Exploding(loop.Plain):
    """The second step of each epoch has an infinite gradient, behind a loss that looks well."""

    seen: ClassVar[list[torch.Tensor]] = []

    def backward(self, step):
        value = super().backward(step)
        _Exploding.seen.append(_Exploding.weight.detach().clone())
        if len(_Exploding.seen) % 6 == 2:
            _Exploding.weight.grad[0] = np.inf
        return value


def test_steps_that_are_not_finite_leave_the_weights_and_are_recorded(small_net, images):
    module = small_net()
    _Exploding.weight = module[0].weight
    result = fit(module, images, Recipe(epochs=2, batch=8, keep="last"), 0, rule=_Exploding())
    seen = _Exploding.seen
    assert [entry["skipped"] for entry in result.history] == [1, 1]
    assert len(seen) == 12
    kept = [i for i in range(11) if torch.equal(seen[i], seen[i + 1])]
    assert kept == [1, 7]
    assert all(torch.isfinite(t).all() for t in module.state_dict().values())


def test_nan_in_all_data_is_a_failure_with_epoch_and_step(small_net, images):
    x, y = images.splits["train"]
    with pytest.raises(CandidateError, match=r"diverged: loss nan in epoch 1, step 1"):
        train(small_net, dataclasses.replace(images, splits={**images.splits, "train": (x * np.nan, y)}))


def test_a_learning_rate_that_explodes_is_a_failure(small_net, images):
    with pytest.raises(CandidateError, match="diverged"):
        train(small_net, images, Recipe(epochs=4, batch=8, optimiser="sgd", lr=1e30, clip=None))


@pytest.mark.parametrize(
    "error", [RuntimeError("DefaultCPUAllocator: can't allocate memory"), torch.OutOfMemoryError("CUDA out of memory")]
)
def test_lack_of_memory_is_a_failure(images, error):
    class Big(nn.Linear):
        def forward(self, x):
            raise error

    with pytest.raises(CandidateError, match="out of memory"):
        fit(Big(1, 1), images, SHORT, 0)


def test_memory_that_is_really_not_there_is_a_failure(images):
    class Big(nn.Linear):
        def forward(self, x):
            return torch.empty(2**50)

    with pytest.raises(CandidateError, match="out of memory"):
        fit(Big(1, 1), images, SHORT, 0)


def test_a_defect_of_the_code_is_not_taken_for_a_lack_of_memory(images):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), images, SHORT, 0)


def test_steps_are_of_about_equal_size_and_not_too_few():
    assert steps_per_epoch(1150, 64) == 18  # 1150 / 18 = 63.9
    assert steps_per_epoch(32, 64) == 4  # batches of 8
    assert steps_per_epoch(5, 64) == 1
    assert steps_per_epoch(1000, 1000) == 16  # batches of 62


def test_biases_and_norms_do_not_decay(small_net):
    decayed, spared = make_optimiser(small_net(), Recipe()).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.05, 0.0)
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert [p.ndim for p in spared["params"]] == [1, 1, 1]


def test_a_score_of_outputs_is_what_the_evaluation_says(small_net, images, masks):
    for data in (images, masks):
        x, y = data.splits["test"]
        module = small_net(data.task).eval()
        with torch.no_grad():
            outputs = module(torch.from_numpy(x)).numpy()
        found = evaluate(module, x, y, data.task)
        found.pop("loss")
        assert score(outputs, y, data.task) == found


def test_evaluation_in_batches_is_evaluation_at_once(small_net, images, monkeypatch):
    x, y = images.splits["train"]
    module = small_net().eval()
    whole = evaluate(module, x, y, "classification")
    monkeypatch.setattr("archip.train.evaluation._ELEMENTS", 7 * 64)
    parts = evaluate(module, x, y, "classification")
    assert parts["accuracy"] == whole["accuracy"]
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_two_runs_give_identical_weights(small_net, images, masks):
    for data in (images, masks):
        assert equal(train(small_net, data)[1], train(small_net, data)[1])
