"""Finish: train in full what was chosen from the front, on the splits that the data set states.

Weights are fitted on ``train``, the best epoch and the best candidate are chosen on ``val``, and ``test`` is only
reported. Every training keeps its checkpoint in the run's folder: a run that is continued trains nothing twice.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archip.core.candidate import Candidate, Genotype, bits_of, digest
from archip.core.errors import ArchipError, CandidateError
from archip.core.files import make_folder
from archip.core.objectives import Goals
from archip.core.problem import Finish
from archip.core.protocols import Progress, Task
from archip.core.record import Record
from archip.core.rng import generator, integer_seed

if TYPE_CHECKING:
    import torch

    from archip.train.recipe import Recipe

__all__ = ["Finalist", "Trained", "Trainer", "choose", "finish", "measured", "retrained", "trained"]

_log = logging.getLogger(__name__)
_EPOCHS, _STEPS = 40, 800  # at least, where the problem does not say
_CALIBRATION = (64, 4)  # samples of a batch, batches on which ranges of activations are measured


@dataclass(frozen=True)
class Trained:
    """One network after its full training.

    Attributes:
        module: in floats.
        val, test: as it will run: at its bits, if the candidate has some.
        rounded: the network at these bits, simulated.
        float_test: the test score of `module`.
    """

    task: Task
    genotype: Genotype
    module: torch.nn.Module
    val: float
    test: float
    seconds: float
    epochs: int
    rounded: torch.nn.Module | None = None
    bits: Mapping[str, Any] = field(default_factory=dict)
    float_test: float = math.nan


@dataclass(frozen=True)
class Finalist:
    """A chosen candidate with its trained networks by task; `quality` is measured on the validation splits."""

    record: Record
    networks: dict[str, Trained]
    quality: float


@dataclass(frozen=True)
class Trainer:
    """Trains networks with one recipe.

    Attributes:
        failed: trainings that ended on a worker, and why, by the stem of the checkpoint.
        inherited: of each task, what gives a network with the weights of the trained supernet; for 0 epochs.
        quantizer: rounds trained networks to their bits.
    """

    options: Finish
    seed: int
    folder: Path
    progress: Progress | None
    failed: Mapping[str, str] = field(default_factory=dict)
    inherited: Mapping[str, Callable[[Genotype], torch.nn.Module]] = field(default_factory=dict)
    quantizer: Any = None

    def train(self, task: Task, genotype: Genotype, repeat: int = 0, bits: Mapping[str, Any] | None = None) -> Trained:
        """The network of `genotype` trained on the data of `task`.

        Args:
            repeat: counts trainings with other seeds.
            bits: to which it is rounded after its training (`core.candidate.bits_of`); the checkpoint is in floats.

        Raises:
            CandidateError: the training diverged or ran out of memory.
        """
        trained = self._as_it_is(task, genotype) if self.options.epochs == 0 else self._fitted(task, genotype, repeat)
        return self._rounded(trained, bits) if bits else trained

    def _rounded(self, trained: Trained, bits: Mapping[str, Any]) -> Trained:
        import torch

        from archip.train.calibration import batches
        from archip.train.loop import evaluate

        data = trained.task.load()
        seen = batches(torch.from_numpy(data.splits["train"][0]), *_CALIBRATION, generator(self.seed, "calibration"))
        rounded = self.quantizer.quantized(trained.module, bits, seen)
        splits = (data.splits[split] for split in ("val", "test"))
        val, test = (evaluate(rounded, x, y, data.task)[trained.task.metric] for x, y in splits)
        return replace(trained, val=val, test=test, rounded=rounded, bits=bits, float_test=trained.test)

    def _fitted(self, task: Task, genotype: Genotype, repeat: int) -> Trained:
        from archip.train.loop import fit

        checkpoint = self.checkpoint(task, genotype, repeat)
        if checkpoint.stem in self.failed:
            raise CandidateError(self.failed[checkpoint.stem])
        data = task.load()
        recipe = self._recipe(len(data.splits["train"][0]))
        seed = integer_seed(self.seed, "finish", task.name, repeat)
        module = task.space.build(genotype, data.input_shape, data.n_outputs, seed)
        make_folder(checkpoint.parent)
        result = fit(module, data, recipe, seed, self.progress, checkpoint)
        val, test = (result.metrics[split][task.metric] for split in ("val", "test"))
        return Trained(task, genotype, module.eval(), val, test, result.seconds, len(result.history))

    def _as_it_is(self, task: Task, genotype: Genotype) -> Trained:
        """The network with the weights that it has in the supernet."""
        import torch

        from archip.train.loop import evaluate

        data, began = task.load(), time.perf_counter()
        module = self.inherited[task.name](genotype)
        splits = (data.splits[split] for split in ("val", "test"))
        val, test = (evaluate(module, x, y, data.task)[task.metric] for x, y in splits)
        module = module.cpu().to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        return Trained(task, genotype, module.eval(), val, test, time.perf_counter() - began, 0)

    def checkpoint(self, task: Task, genotype: Genotype, repeat: int = 0) -> Path:
        """The file that holds this training; it may be finished already.

        Raises:
            CandidateError: the network cannot be built.
        """
        data = task.load()
        recipe = self._recipe(len(data.splits["train"][0]))
        seed = integer_seed(self.seed, "finish", task.name, repeat)
        graph = task.space.graph(genotype, data.input_shape, data.n_outputs)
        key = digest([recipe.to_json(), data.digest, seed, genotype, graph.id])
        return self.folder / task.name / f"{key}.safetensors"

    def _recipe(self, n_samples: int) -> Recipe:
        from archip.train.recipe import Recipe, steps_per_epoch

        given = {key: getattr(self.options, key) for key in ("epochs", "patience", "lr", "batch")}
        recipe = Recipe(**{key: value for key, value in given.items() if value is not None})
        if self.options.epochs is not None:
            return recipe
        return replace(recipe, epochs=max(_EPOCHS, _STEPS // steps_per_epoch(n_samples, recipe.batch)))


def choose(front: Sequence[Record], goals: Goals, keep: int) -> list[Record]:
    """The `keep` best of the front by the first objective, no two with the same networks and bits."""
    chosen: dict[str, Record] = {}
    for record in sorted(front, key=goals.key):
        chosen.setdefault(digest([dict(record.candidate.net), dict(record.candidate.compress)]), record)
    return list(chosen.values())[:keep]


def finish(trainer: Trainer, tasks: Sequence[Task], chosen: Sequence[Record], goals: Goals) -> list[Finalist]:
    """The chosen candidates trained, the best first: limits kept with the measured qualities, then quality.

    Raises:
        ArchipError: not one of them could be trained; the message has the last reason.
    """
    finalists = []
    reason = ""
    for record in chosen:
        try:
            networks = {task.name: trained(trainer, task, record.candidate) for task in tasks}
        except CandidateError as error:
            reason = f"candidate {record.candidate.id}: {error}"
            _log.warning("not trained: %s", reason)
            continue
        quality = sum(task.weight * networks[task.name].val for task in tasks)
        finalists.append(Finalist(record, networks, quality))
    if not finalists:
        raise ArchipError(f"none of the chosen candidates could be trained; {reason}")
    return sorted(finalists, key=lambda f: (goals.violation(measured(f)), -f.quality))


def trained(trainer: Trainer, task: Task, candidate: Candidate) -> Trained:
    """The candidate's network for one task, at its bits.

    Raises:
        CandidateError: the training diverged or ran out of memory.
    """
    return trainer.train(task, candidate.net[task.name], bits=bits_of(candidate.compress.get(task.name, {})))


def retrained(trainer: Trainer, finalist: Finalist) -> dict[str, list[float]]:
    """Test scores of the finalist's networks by task, the first from its own training, then from other seeds."""
    scores = {name: [net.test] for name, net in finalist.networks.items()}
    for name, net in finalist.networks.items():
        for repeat in range(1, trainer.options.seeds):
            try:
                scores[name].append(trainer.train(net.task, net.genotype, repeat, net.bits).test)
            except CandidateError as error:
                _log.warning("training %d of %s failed: %s", repeat, name, error)
    return scores


def measured(finalist: Finalist) -> dict[str, float]:
    """The record's metrics with every quality replaced by the one after full training (validation split)."""
    scores = {f"{name}.{net.task.metric}": net.val for name, net in finalist.networks.items()}
    return {**finalist.record.metrics, **scores, "quality": finalist.quality}
