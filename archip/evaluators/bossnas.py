"""BossNAS: networks are rated without labels, by a supernet that is trained block by block.

Choose it where labels are few or not there yet (class numbers are read but not used), or for large spaces of networks
whose layers follow each other. Its training costs about ``4 x paths`` forward passes of a block a step; after it, a
candidate costs milliseconds, and nothing where the paths through its blocks are known.

What is reported in the place of the task's metric is no accuracy but a rating: 1 minus the sum of the distances of its
blocks over the largest sum there can be. So a limit on the metric means nothing here and is refused.
Source: Li et al. 2021, arXiv:2103.12424; `archip/train/bossnas.py` has the method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field

from archip.core.candidate import Genotype
from archip.core.errors import CandidateError, UserError
from archip.core.protocols import Progress, RunContext, Stage, Task
from archip.evaluators._accuracy import AccuracyStage
from archip.evaluators._ranks import refuse_limits

__all__ = ["BossNAS"]

_EPOCHS, _STEPS = 4, 130  # of a block, at least, where the options do not say

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class BossNAS:
    """Ratings without labels."""

    blocks: Count = 3  # parts that a network is cut into; the more, the fewer paths there are through each
    epochs: Count | None = None  # of all blocks together; None: 4 a block, on small data so many that it has 130 steps
    batch: Count = 64  # samples of a training step
    lr: Annotated[float, Field(gt=0)] = 3e-3  # the highest; of AdamW, with warm-up and half a cosine for each block
    paths: Annotated[int, Field(ge=2)] = 4  # through the block, drawn a step
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.99  # share of the target network that a step keeps, at first
    population: Annotated[int, Field(ge=2)] = 256  # paths that a block's centre is the mean of; all, if there are fewer
    samples: Annotated[int, Field(ge=2)] = 256  # of the validation split

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < self.blocks:
            text = f"{self.epochs} epochs are too few for {self.blocks} blocks, which are trained in turn"
            raise UserError(text, "epochs", f"at least {self.blocks}")

    def stages(self, run: RunContext) -> Sequence[Stage]:
        refuse_limits(run, "ratings without labels say")
        return [_BossNASStage(run, task, self) for task in run.tasks]


class _BossNASStage(AccuracyStage):
    def __init__(self, run: RunContext, task: Task, options: BossNAS) -> None:
        super().__init__("bossnas", run, task, {"fidelity": "bossnas", **asdict(options)})
        self.options = options
        self.failure = ""
        try:
            self._rule().check(task.space, self.data)  # said before the search
        except UserError as error:
            raise error.at("evaluator.bossnas") from None

    def prepare(self, progress: Progress | None) -> None:
        """Train the siamese supernets, go on with their training, or read them."""
        from archip.train.device import device
        from archip.train.loop import Recipe, fit
        from archip.train.recipe import steps_per_epoch

        o, n = self.options, len(self.data.splits["train"][0])
        fewest = o.blocks * max(_EPOCHS, -(-_STEPS // steps_per_epoch(n, o.batch)))
        epochs = fewest if o.epochs is None else o.epochs
        recipe = Recipe(epochs, o.batch, o.lr, keep="last", ema=0.0)  # the target is the average
        rule = self._rule()
        net = rule.network(self.task.space, self.data, self.seed)
        try:
            fit(net, self.data, recipe, self.seed, progress, self.folder / f"{self.task.name}.safetensors", rule)
        except CandidateError as error:
            self.failure = f"the supernet of {self.task.name}: {error}"
            return
        net.to(device())
        self.ratings = rule.ratings

    def measure(self, genotype: Genotype, bits: Mapping[str, Any]) -> float:
        if not self.failure and not hasattr(self, "ratings"):
            self.prepare(None)
        if self.failure:
            raise CandidateError(self.failure)
        return 1 - sum(self.ratings.distances(genotype)) / self.ratings.worst

    def _rule(self) -> Any:
        from archip.train.bossnas import BossNAS as Rule

        o = self.options
        return Rule(o.blocks, o.paths, o.momentum, o.population, o.samples, "flip" in self.data.augment)
