"""Train: every network is trained from scratch for a few epochs; its score on the validation split counts.

Choose it where networks are few or train in seconds, or to check what a cheaper evaluator says. The number of epochs is
the fidelity: with few of them networks that learn fast are favoured. A training that was interrupted goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from archip.core.candidate import Genotype, digest
from archip.core.errors import CandidateError
from archip.core.protocols import RunContext, Stage, Task
from archip.evaluators._accuracy import AccuracyStage

if TYPE_CHECKING:
    from archip.train.loop import Recipe

__all__ = ["Train"]


@dataclass(frozen=True)
class Train:
    """A short training for each network."""

    epochs: Annotated[int, Field(ge=1)] = 5  # of each network
    batch: Annotated[int, Field(ge=1)] = 64  # samples of a training step
    lr: Annotated[float, Field(gt=0)] = 4e-3  # the highest; of AdamW, with warm-up and half a cosine

    def stages(self, run: RunContext) -> Sequence[Stage]:
        from archip.train.loop import Recipe

        recipe = Recipe(epochs=self.epochs, batch=self.batch, lr=self.lr)
        return [_TrainStage(run, task, recipe) for task in run.tasks]


class _TrainStage(AccuracyStage):
    def __init__(self, run: RunContext, task: Task, recipe: Recipe) -> None:
        super().__init__("train", run, task, {"fidelity": f"train:{recipe.epochs}", "recipe": recipe.to_json()})
        self.recipe = recipe

    def measure(self, genotype: Genotype, bits: Mapping[str, Any]) -> float:
        from archip.train.loop import fit

        module = self.task.space.build(genotype, self.data.input_shape, self.data.n_outputs, self.seed)
        checkpoint = self.folder / self.task.name / f"{digest([self.key, genotype])}.checkpoint"
        try:
            result = fit(module, self.data, self.recipe, self.seed, checkpoint=checkpoint)
        except CandidateError:
            checkpoint.unlink(missing_ok=True)
            raise
        checkpoint.unlink(missing_ok=True)  # the outcome is what stays; any other end leaves it, to go on from
        return result.metrics["val"][self.task.metric]
