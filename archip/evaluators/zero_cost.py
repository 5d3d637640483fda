"""Zero cost: untrained networks are ranked by scores that take one batch, or none.

Choose it for a first look at a large space, or where training is out of the question; compare with `flops`, which
many scores hardly beat. What is reported in the place of the task's metric is no accuracy but a rank, so a limit on the
metric means nothing here and is refused.

Each score is set against a fixed sample of the space: z = (score - median) / interquartile range, r = (1 + z / (1 +
|z|)) / 2, which lies between 0 and 1 and keeps the order however far a search gets. Several scores are joined by the
geometric mean of their r. Source of the non-linear joining: AZ-NAS, Lee and Ham 2024, arXiv:2403.19232, eq. 12 (the
sum of logarithms of ranks); ours replaces ranks in a growing population, which would change after the fact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from archip.core import registry
from archip.core.candidate import Genotype
from archip.core.errors import CandidateError
from archip.core.protocols import Progress, RunContext, Stage, Task
from archip.core.rng import generator
from archip.evaluators._accuracy import AccuracyStage
from archip.evaluators._ranks import refuse_limits
from archip.evaluators.proxies._probe import Probe, Proxy

__all__ = ["ZeroCost"]

Names = Annotated[tuple[str, ...], Field(min_length=1)]
_SMALLEST = 1e-12  # of a rank, so that its logarithm exists


@dataclass(frozen=True)
class ZeroCost:
    """Ranks networks by one score or several."""

    scores: Names = ("flops",)  # names from `archip list proxies`
    batch: Annotated[int, Field(ge=2)] = 32  # samples that the scores see
    sample: Annotated[int, Field(ge=4)] = 64  # networks of the space that scores are set against

    def __post_init__(self) -> None:
        for name in self.scores:
            registry.find("proxies", name)

    def stages(self, run: RunContext) -> Sequence[Stage]:
        refuse_limits(run, "zero-cost scores say")
        return [_ZeroCostStage(run, task, self) for task in run.tasks]


class _ZeroCostStage(AccuracyStage):
    def __init__(self, run: RunContext, task: Task, options: ZeroCost) -> None:
        fidelity = {"fidelity": "zero_cost", "scores": options.scores, "batch": options.batch, "sample": options.sample}
        super().__init__("zero_cost", run, task, fidelity)
        self.options = options
        self.proxies: list[Proxy] = [registry.create("proxies", name) for name in options.scores]
        x, y = self.data.splits["train"]
        rows = generator(self.seed, "batch").permutation(len(x))[: options.batch]
        self.x, self.y = x[rows], y[rows]
        self.scale: list[tuple[float, float]] = []

    def prepare(self, progress: Progress | None) -> None:
        """Score the sample of the space that all networks are set against."""
        rng = generator(self.seed, "sample")
        handle = progress.start(f"{self.name}: scores of a sample", self.options.sample) if progress else None
        rows: list[list[float]] = []
        for _ in range(self.options.sample):
            try:
                rows.append(self._scores(self.task.space.sample(rng)))
            except (CandidateError, RuntimeError):  # networks that cannot be built are no measure
                continue
            finally:
                if progress:
                    progress.advance(handle)
        if progress:
            progress.finish(handle)
        self.scale = [_median_and_range(column) for column in zip(*rows, strict=True)]

    def measure(self, genotype: Genotype, bits: Mapping[str, Any]) -> float:
        if not self.scale:
            raise CandidateError(f"no network of the sample of {self.task.name} can be scored")
        scores = self._scores(genotype)
        ranks = [_rank((s - middle) / width) for s, (middle, width) in zip(scores, self.scale, strict=True)]
        return math.exp(sum(math.log(max(r, _SMALLEST)) for r in ranks) / len(ranks))

    def _scores(self, genotype: Any) -> list[float]:
        graph = self.task.space.graph(genotype, self.data.input_shape, self.data.n_outputs)
        probe = Probe(graph, self.x, self.y, self.data.task, self.seed)
        scores = [proxy.score(probe) for proxy in self.proxies]
        for name, score in zip(self.options.scores, scores, strict=True):
            if not math.isfinite(score):
                raise CandidateError(f"{name} is {score}")
        return scores


def _median_and_range(scores: Sequence[float]) -> tuple[float, float]:
    low, middle, high = np.quantile(scores, (0.25, 0.5, 0.75))
    return float(middle), float(high - low) or 1.0


def _rank(z: float) -> float:
    return (1 + z / (1 + abs(z))) / 2
