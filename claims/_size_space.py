"""NATS-Bench's size space as a problem of two objectives: error, and multiply-accumulates that are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Objective
from archip.core.pareto import front, hypervolume
from archip.core.record import Record
from archip.core.rng import generator
from archip.spaces.product import ProductSpace
from archip.spaces.tabular import Tabular
from claims._claim import data_file

GOALS = Goals((Objective.of("quality"), Objective.of("macs")))
_RESOLUTIONS = (32, 32, 16, 16, 8)  # of the convolution into each width


class Sized(Tabular):
    """The table's space, with multiply-accumulates and parameters as free statistics."""

    def statistics(self, genotypes: Sequence[dict[str, int]]) -> np.ndarray:
        return np.log([[macs(g), macs(g, np.ones(5))] for g in genotypes])


def macs(genotype: dict[str, int], resolutions: Sequence[float] | np.ndarray = _RESOLUTIONS) -> float:
    """Of one 3x3 convolution into each width; at resolution 1 their number of weights."""
    widths = [3, *(genotype[f"c{stage}"] for stage in range(1, 6))]
    return float(sum(9 * a * b * r * r for (a, b), r in zip(pairwise(widths), resolutions, strict=True)))


def size_space() -> tuple[Sized, ProductSpace, Callable[[Candidate], Record]]:
    """The table, the space of candidates, and what their evaluation gives."""
    table = Sized("nats_size", str(data_file("nats_size_cifar10.csv.gz").parent))
    accuracy = table.rows.metric(table.rows.search()[1].full)

    def record(candidate: Candidate) -> Record:
        genotype = candidate.net["size"]
        return Record(candidate, {"quality": float(accuracy[table.row(genotype)]), "macs": macs(genotype)})  # pyright: ignore

    return table, ProductSpace({"net.size": table}), record


def share_of_hypervolume(records: Sequence[Record], whole: Sequence[Record]) -> float:
    """Of what the whole space dominates; reference: error 21 %, the largest number of multiply-accumulates."""
    reference = np.array([-0.79, max(r.metrics["macs"] for r in whole)])
    volumes = [hypervolume(front(some, GOALS).losses, reference) for some in (records, whole)]
    return volumes[0] / volumes[1]


def searched(strategy, space: ProductSpace, record: Callable[[Candidate], Record], n: int, seed: int) -> list[Record]:
    """The records of a search in batches of 50."""
    strategy.start(space, GOALS)
    records: list[Record] = []
    for number in range(n // 50):
        batch = [record(c) for c in strategy.ask(50, generator(seed, "ask", number))]
        strategy.tell(batch)
        records += batch
    return records
