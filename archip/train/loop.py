"""The training loop: one for classification and segmentation, for single networks and supernets.

An epoch depends only on the state before it, on the seed and on its number: order, augmentation and dropout are drawn
from generators of (seed, purpose, epoch). So a killed training that is continued ends with the same weights.

On CUDA, and on processors that multiply bfloat16 natively, the forward pass of training runs in bfloat16 (measured
1.5 to 2 x faster on an AVX512-BF16 processor, batches of 64), as does the validation after an epoch; loss, optimiser
and the metrics of the result are in float32.
Images are laid out channels last (1.0 to 1.4 x faster on the same processor).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archip.core.candidate import digest
from archip.core.errors import CandidateError, UserError
from archip.core.protocols import Progress
from archip.core.rng import generator, integer_seed
from archip.train.augment import augment
from archip.train.calibration import batches, recalibrate
from archip.train.checkpoint import FORMAT, read_checkpoint, write_checkpoint
from archip.train.device import device, laid_out, mixed_precision, out_of_memory, repeatable
from archip.train.evaluation import evaluate, score
from archip.train.losses import METRIC, TaskKind, loss_function
from archip.train.recipe import Recipe, load_optimiser, make_optimiser, steps_per_epoch
from archip.train.rule import Plain, Rule, Scene, Step
from archip.train.schedules import ema_decay, warmup_cosine
from archip.train.sorting import Sortable, sort_along

__all__ = ["FitResult", "Recipe", "evaluate", "fit", "score"]

_CALIBRATION_BATCHES = 4
_PLAIN = Plain()
_MOST_SKIPPED = 5  # steps in a row without a finite gradient end a training
_CHECKPOINT_S = 2.0  # a kill loses at most so much work, and an epoch; writing costs far less


@dataclass(frozen=True)
class FitResult:
    """What a training gave: metrics by split, one entry an epoch, and the seconds it took (of all sessions)."""

    metrics: Mapping[str, Mapping[str, float]]
    history: list[dict[str, float]]
    seconds: float


def fit(
    module: nn.Module,
    dataset: Any,
    recipe: Recipe,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    rule: Rule = _PLAIN,
) -> FitResult:
    """Train `module` in place on the split ``train`` of a `data._dataset.DataSet`; it ends with the weights to keep.

    Args:
        checkpoint: file to continue from if it is there, and to write to. At the end it holds weights and result, so
            that the same call gives them at once. One of another training is replaced.

    A step whose loss or gradient is not finite leaves the weights as they are, and the history says how many such steps
    an epoch had (``skipped``).

    Raises:
        CandidateError: five steps in a row were not finite (with epoch and step), or memory does not suffice.
    """
    with repeatable(), out_of_memory():
        training = _Training(module, dataset, recipe, seed, rule)
        training.resume(checkpoint)
        handle = progress.start(f"{rule.verb} {dataset.name}", recipe.epochs) if progress else None
        if progress:
            progress.advance(handle, len(training.history))
        written = time.perf_counter()
        while not training.done:
            entry = training.epoch()
            if progress:
                progress.advance(handle, 1, **entry)
            if checkpoint and time.perf_counter() - written > _CHECKPOINT_S:
                training.write(checkpoint)
                written = time.perf_counter()
        if progress:
            progress.finish(handle)
        return training.finish(checkpoint)


class _Training:
    """A training between two epochs.

    Attributes:
        average: the module with the moving average of the weights.
        best: weights of the best epoch so far, by name; empty where the last are kept.
        metrics: of the kept weights, by split; empty until the end, and where no network stands for what is trained.
    """

    def __init__(self, module: nn.Module, dataset: Any, recipe: Recipe, seed: int, rule: Rule) -> None:
        self.dataset, self.recipe, self.seed, self.rule = dataset, recipe, seed, rule
        self.task: TaskKind = dataset.task
        self.device = device()
        self.module = module.to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = copy.deepcopy(self.module)
        self.x, self.y = (torch.from_numpy(a).to(self.device) for a in dataset.splits["train"])
        self.optimiser = make_optimiser(self.module, recipe)
        self.loss = loss_function(self.task, recipe.label_smoothing)
        self.n_steps = steps_per_epoch(len(self.x), recipe.batch)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.metrics: dict[str, dict[str, float]] = {}
        self.finished = False
        self.seconds = 0.0
        shapes = {k: list(t.shape) for k, t in self.module.state_dict().items()}
        self.key = digest([recipe.to_json(), seed, dataset.digest, repr(rule), shapes])
        about = (self.module, self.n_steps, recipe.epochs, self._validation_batch, self.loss, self.task)
        rule.start(Scene(*about, self._usual_rate, self._sort))

    @property
    def done(self) -> bool:
        best, patience = self._best_epoch(), self.recipe.patience
        early = patience is not None and len(self.history) - best > patience
        return self.finished or len(self.history) >= self.recipe.epochs or early

    def epoch(self) -> dict[str, float]:
        """Train one epoch; gives back its entry of the history."""
        began, number = time.perf_counter(), len(self.history)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(integer_seed(self.seed, "dropout", number))
            losses = [value for value in self._steps(number) if value is not None]
        entry = {"loss": sum(losses) / len(losses) if losses else math.nan}
        if len(losses) < self.n_steps:
            entry["skipped"] = self.n_steps - len(losses)
        self.rule.epoch_ended(number, generator(self.seed, "epoch", number))
        for kept, value in zip(self.average.buffers(), self.module.buffers(), strict=True):
            kept.copy_(value)
        if self.recipe.keep == "best":
            entry |= self._validate(number)
        self.history.append(entry)
        if self.recipe.keep == "best" and self._best_epoch() == number + 1:
            self.best = {k: t.clone() for k, t in self.average.state_dict().items()}
        self.seconds += time.perf_counter() - began
        return entry

    def finish(self, checkpoint: Path | None) -> FitResult:
        """Put the weights to keep into the module, measure them, and close the checkpoint."""
        began = time.perf_counter()
        self.module.load_state_dict(self.best or self.average.state_dict())
        if not self.finished:
            network = self.rule.evaluated(self.module)
            if network is not None:
                recalibrate(network, self._calibration())
                self.metrics = {split: self._evaluate(network, split) for split in ("val", "test")}
            self.finished = True
            self.seconds += time.perf_counter() - began
            if checkpoint:
                write_checkpoint(checkpoint, self.module.state_dict(), self._about())
        self.module.to("cpu", memory_format=torch.contiguous_format).eval()
        return FitResult(self.metrics, self.history, self.seconds)

    def write(self, checkpoint: Path) -> None:
        """Write everything that the next epoch depends on."""
        states = {"module": self.module.state_dict(), "average": self.average.state_dict(), "best": self.best}
        tensors = {f"{part}/{k}": t for part, state in states.items() for k, t in state.items()}
        optimiser = self.optimiser.state_dict()["state"]
        tensors |= {f"optimiser/{i}/{k}": t for i, state in optimiser.items() for k, t in state.items()}
        tensors |= {f"rule/{k}": t for k, t in self.rule.state().items()}
        write_checkpoint(checkpoint, tensors, self._about())

    def resume(self, checkpoint: Path | None) -> None:
        """Go on from `checkpoint` if it is there and of this very training."""
        tensors, about = read_checkpoint(checkpoint) if checkpoint else ({}, {})
        if about.get("key") != self.key or about.get("format") != FORMAT:
            return
        self.history, self.metrics, self.seconds = about["history"], about["metrics"], about["seconds"]
        self.finished = about["finished"]
        if self.finished:
            self.best = tensors
            return
        parts: dict[str, dict[str, Tensor]]
        parts = {part: {} for part in ("module", "average", "best", "optimiser", "rule")}
        for name, tensor in tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = tensor
        self.module.load_state_dict(parts["module"])
        self.average.load_state_dict(parts["average"])
        self.best = parts["best"]
        load_optimiser(self.optimiser, parts["optimiser"])
        self.rule.restore(parts["rule"])

    def _steps(self, number: int) -> Iterator[float | None]:
        """One optimiser step after another of epoch `number`: each one's loss, or None where it was left out.

        Raises:
            CandidateError: too many in a row were left out.
        """
        order = generator(self.seed, "order", number).permutation(len(self.x))
        changes = torch.Generator().manual_seed(integer_seed(self.seed, "augment", number))
        draws = generator(self.seed, "rule", number)
        names = self.dataset.augment if self.recipe.augment else ()
        skipped: list[str] = []
        self.module.train()
        for i, rows in enumerate(np.array_split(order, self.n_steps)):
            index = torch.from_numpy(rows).to(self.device)
            x, y = augment(self.x[index], self.y[index], names, changes)
            done = self._set_rate(number * self.n_steps + i)
            step = Step(self._forward, laid_out(x), y, self.loss, draws, done)
            value, norm = self._gradients(step)
            is_finite = math.isfinite(value) and math.isfinite(norm)
            if is_finite:
                self.optimiser.step()
                self._update_average(ema_decay(number * self.n_steps + i, self.recipe.ema))
                self.rule.stepped(step)
            self.optimiser.zero_grad()
            what = f"gradient {norm}" if math.isfinite(value) else f"loss {value}"
            skipped = [] if is_finite else [*skipped, f"{what} in epoch {number + 1}, step {i + 1}"]
            if len(skipped) == min(_MOST_SKIPPED, self.n_steps):
                raise CandidateError(f"training diverged: {skipped[0]}")
            yield value if is_finite else None

    def _set_rate(self, step: int) -> float:
        """Give the optimiser the learning rate of a step; gives back the share of the training that lies behind."""
        total = self.n_steps * self.recipe.epochs
        done = step / total
        rate = self.rule.rate(done, self._usual_rate(done), step < round(self.recipe.warmup * total))
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.lr * rate
        return done

    def _usual_rate(self, done: float) -> float:
        total = self.n_steps * self.recipe.epochs
        return warmup_cosine(round(done * total), total, round(self.recipe.warmup * total))

    def _sort(self) -> None:
        if isinstance(self.module, Sortable):
            sort_along(self.module, self.average, self.optimiser)

    def _gradients(self, step: Step) -> tuple[float, float]:
        """The loss of a step, and the norm of its gradient before it is clipped."""
        value = self.rule.backward(step)
        largest = math.inf if self.recipe.clip is None else self.recipe.clip
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), largest)
        return float(value), float(norm)

    def _forward(self, *inputs: Any) -> Tensor:
        with mixed_precision(self.device):
            return self.module(*inputs).float()

    def _validation_batch(self, rng: np.random.Generator, n: int) -> tuple[Tensor, Tensor]:
        """Samples of the validation split, drawn with replacement where there are fewer."""
        x, y = self.dataset.splits["val"]
        rows = rng.choice(len(x), n, replace=len(x) < n)
        return laid_out(torch.from_numpy(x[rows]).to(self.device)), torch.from_numpy(y[rows]).to(self.device)

    @torch.no_grad()
    def _update_average(self, decay: float) -> None:
        for mean, value in zip(self.average.parameters(), self.module.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def _calibration(self) -> list[Tensor]:
        """A few batches of the training split, the same in every epoch."""
        return batches(self.x, self.recipe.batch, _CALIBRATION_BATCHES, generator(self.seed, "calibration"))

    def _validate(self, number: int) -> dict[str, float]:
        network = self.rule.evaluated(self.average)
        if network is None:
            raise UserError("this rule trains no single network that could be validated", "keep", "keep: last")
        with mixed_precision(self.device):
            recalibrate(network, self._calibration())
            found = self._evaluate(network, "val")
        if not math.isfinite(found["loss"]):
            raise CandidateError(f"training diverged: validation loss {found['loss']} after epoch {number + 1}")
        return {f"val_{k}": v for k, v in found.items()}

    def _evaluate(self, network: nn.Module, split: str) -> dict[str, float]:
        x, y = self.dataset.splits[split]
        return evaluate(network, x, y, self.task)

    def _best_epoch(self) -> int:
        """Number of the best epoch so far, from 1: by the metric, then by the loss; 0 before the first."""
        metric = f"val_{METRIC[self.task]}"
        ranked = [(e[metric], -e["val_loss"], -i) for i, e in enumerate(self.history) if metric in e]
        return 1 - int(max(ranked)[2]) if ranked else 0

    def _about(self) -> dict[str, Any]:
        names = ("key", "history", "metrics", "seconds", "finished")
        about = {name: getattr(self, name) for name in names}
        return {**about, "format": FORMAT, "of": getattr(self.module, "about", {})}
