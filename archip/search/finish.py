"""Finish: train in full what was chosen from the front, on the splits that the data set states.

Weights are fitted on ``train``, the best epoch and the best candidate are chosen on ``val``, and ``test`` is only
reported. Every training is a stored outcome with its weights beside it: a run that is continued trains nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archip.core.candidate import Genotype, digest
from archip.core.files import make_folder
from archip.core.objectives import Goals
from archip.core.problem import Finish
from archip.core.protocols import Progress, Store, Task
from archip.core.record import Outcome, Record
from archip.core.rng import integer_seed

if TYPE_CHECKING:
    import torch

__all__ = ["Finalist", "Trained", "choose", "finish"]


@dataclass(frozen=True)
class Trained:
    """One network after its full training."""

    task: Task
    genotype: Genotype
    module: torch.nn.Module
    val: float
    test: float
    seconds: float
    epochs: int


@dataclass(frozen=True)
class Finalist:
    """A chosen candidate with its trained networks by task; `quality` is measured on the validation splits."""

    record: Record
    networks: dict[str, Trained]
    quality: float


def choose(front: Sequence[Record], goals: Goals, keep: int) -> list[Record]:
    """The `keep` best of the front by the first objective, no two with the same networks."""
    chosen: dict[str, Record] = {}
    for record in sorted(front, key=goals.key):
        chosen.setdefault(digest(dict(record.candidate.net)), record)
    return list(chosen.values())[:keep]


@dataclass
class Trainer:
    """Trains networks with one recipe; answers from the store where it can."""

    options: Finish
    seed: int
    store: Store
    folder: Path
    progress: Progress | None

    def train(self, task: Task, genotype: Genotype, repeat: int = 0) -> Trained:
        """The network of `genotype` trained on the data of `task`; `repeat` counts trainings with other seeds."""
        from archip.train.loop import Recipe, fit

        data = task.load()
        recipe = Recipe(**{k: v for k, v in self._recipe().items() if v is not None})
        seed = integer_seed(self.seed, "finish", task.name, repeat)
        key = digest(["finish", task.name, dict(recipe.to_json()), data.digest, seed, genotype])
        module = task.space.build(genotype, data.input_shape, data.n_outputs, seed)
        weights = make_folder(self.folder / task.name) / f"{key}.safetensors"
        known = self.store.get([key]).get(key)
        if known is None or not weights.exists():
            result = fit(module, data, recipe, seed, self.progress, checkpoint=weights.with_suffix(".checkpoint"))
            _save(module, weights)
            metrics = {s: result.metrics[s][task.metric] for s in ("val", "test")}
            known = Outcome(metrics | {"epochs": float(len(result.history))}, seconds=result.seconds)
            self.store.put([(key, f"finish.{task.name}", {f"net.{task.name}": genotype}, known)])
        _load(module, weights)
        m = known.metrics
        return Trained(task, genotype, module, m["val"], m["test"], known.seconds, int(m["epochs"]))

    def _recipe(self) -> dict[str, Any]:
        return {k: getattr(self.options, k) for k in ("epochs", "patience", "lr", "batch")}


def finish(trainer: Trainer, tasks: Sequence[Task], chosen: Sequence[Record], goals: Goals) -> list[Finalist]:
    """The chosen candidates trained, the best first: limits kept with the measured qualities, then quality."""
    finalists = []
    for record in chosen:
        networks = {task.name: trainer.train(task, record.candidate.net[task.name]) for task in tasks}
        quality = sum(task.weight * networks[task.name].val for task in tasks)
        finalists.append(Finalist(record, networks, quality))
    return sorted(finalists, key=lambda f: (goals.violation(measured(f)), -f.quality))


def measured(finalist: Finalist) -> dict[str, float]:
    """The record's metrics with every quality replaced by the one after full training (validation split)."""
    scores = {f"{name}.{net.task.metric}": net.val for name, net in finalist.networks.items()}
    return {**finalist.record.metrics, **scores, "quality": finalist.quality}


def _save(module: torch.nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    from archip.core.files import replacing

    with replacing(path) as temporary:
        save_file({k: v.contiguous() for k, v in module.state_dict().items()}, temporary)


def _load(module: torch.nn.Module, path: Path) -> None:
    from safetensors.torch import load_file

    module.load_state_dict(load_file(path))
    module.eval()
