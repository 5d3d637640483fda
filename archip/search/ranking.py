"""Ranking: how well the scores that a search goes by rank networks that are trained alone.

Networks are drawn at random from the space, so that the figure is one for the whole space; among those that a search
has chosen it would be smaller. Training them costs as much as finishing as many candidates.
Source: Kendall's tau and Spearman's rho, as in Yu et al. 2020, arXiv:1902.08142 (evaluating the search phase).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archip.core.candidate import Candidate, canonical_json
from archip.core.errors import CandidateError
from archip.core.protocols import Stage, Task
from archip.core.rng import generator
from archip.evaluators._accuracy import AccuracyStage
from archip.search.finish import Trainer
from archip.search.setup import Setup

__all__ = ["ranking"]

_TRIES = 20  # draws for each network wanted; small spaces have no more


def ranking(setup: Setup, trainer: Trainer) -> dict[str, Any]:
    """By task: ``rows`` (score in the search, after training alone; validation split), ``spearman`` and ``kendall``.

    The correlations are None with fewer than three networks, or where all scores are equal.
    """
    n = setup.problem.finish.ranked
    if n == 0:
        return {}
    if trainer.options.epochs == 0:  # nothing is trained for the finish, but here it has to be
        trainer = replace(trainer, options=trainer.options.model_copy(update={"epochs": None}))
    judges = {stage.task.name: stage for stage in setup.stages if isinstance(stage, AccuracyStage)}
    return {task.name: _ranked(task, judges[task.name], trainer, n) for task in setup.run.tasks if task.name in judges}


def _ranked(task: Task, stage: Stage, trainer: Trainer, n: int) -> dict[str, Any]:
    rng = generator(trainer.seed, "ranked", task.name)
    drawn = [task.space.sample(rng) for _ in range(_TRIES * n)]
    genotypes = list({canonical_json(genotype): genotype for genotype in drawn}.values())[:n]
    stage.prepare(trainer.progress)
    outcomes = stage.evaluate([Candidate({task.name: genotype}) for genotype in genotypes])
    rows = []
    for genotype, outcome in zip(genotypes, outcomes, strict=True):
        score = outcome.metrics.get(f"{task.name}.{task.metric}")
        if score is None:
            continue
        try:
            rows.append([score, trainer.train(task, genotype).val])
        except CandidateError:
            continue  # a network that cannot be trained alone has no place in either ranking
    return {"rows": rows, **_correlations(rows)}


def _correlations(rows: list[list[float]]) -> dict[str, float | None]:
    from scipy.stats import kendalltau, spearmanr

    if len(rows) < 3 or any(len(set(column)) == 1 for column in zip(*rows, strict=True)):
        return {"spearman": None, "kendall": None}
    seen, trained = zip(*rows, strict=True)
    results: dict[str, Any] = {"spearman": spearmanr(seen, trained), "kendall": kendalltau(seen, trained)}
    return {name: float(result.statistic) for name, result in results.items()}
