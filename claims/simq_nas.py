"""SimQ-NAS (Kundu et al. 2023): networks and bits searched together beat the best networks, quantised uniformly.

The paper searches sub-networks of ViT, BERT and BEiT-3 with INT8 or floats for each linear layer; here it is a small
space of vision transformers on Fashion-MNIST, and 3, 4 or 8 bits for the weights of each layer, against flash. (At 2
bits these networks answer by chance without training, so that nothing would be left to choose.) What was measured is
kept in build/claims, so that a run that was stopped goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.candidate import Candidate, digest
from archip.core.objectives import Goals, Objective
from archip.core.pareto import dominates, front, hypervolume
from archip.core.problem import Problem
from archip.core.record import Record
from archip.core.rng import generator
from archip.search.setup import Setup, prepare
from archip.spaces.compression import Compression
from archip.spaces.product import ProductSpace
from archip.spaces.vit import Vit
from claims import _claim
from claims._claim import Observed, data_file

EXPECTED = """One supernet of vision transformers on 4,000 images of Fashion-MNIST, three seeds of the search, 240
evaluations each: LINAS over networks and bits of every layer together ends with a larger hypervolume of test error and
logarithm of flash (sizes differ by two orders of magnitude) than 180 float networks found by LINAS of which the 20 best
are rounded to 3, 4 and 8 bits throughout (60 evaluations): in the mean and in two of three seeds at least; its front
dominates more than half of the other one, and the other less than half of it. On a separable objective of 20 layers
LINAS has more hypervolume after five rounds of 50 than random search with as many evaluations, in 9 of 10 seeds."""
SOURCE = (
    "arXiv:2312.13301, abstract (less latency and memory than fully quantised networks); the last check is the card's"
)

WIDTHS = (3, 4, 8)
N, N_FLOAT, KEPT, SEEDS = 240, 180, 20, 3
GOALS = Goals((Objective.of("quality"), Objective.of("flash_bytes")))
WORST_ERROR = 0.5
SPACE = {
    "patches": [7], "depths": [1, 2, 3], "dims": [8, 16, 32, 64], "heads": [1, 2, 4], "head_features": 8,
    "ratios": [1, 2, 4], "end": "mean",
}  # fmt: skip
PROBLEM = {
    "name": "simq_nas",
    "tasks": {
        "clothes": {
            "data": {"fashion_mnist": {"limit": 4000}},
            "net": {"vit": SPACE},
        }
    },
    "target": {"mcu": {"flash": "4 MiB", "sram": "4 MiB", "code": "1 KiB"}},
    "objectives": ["quality", "flash"],
    "compress": {"weight_bits": list(WIDTHS)},
    "evaluator": {"supernet": {"epochs": 30, "lr": 3e-3}},
}


def check() -> Observed:
    data_file("fashion_mnist.npz")
    judged = _Judged(prepare(Problem.from_dict(PROBLEM), _place()))
    rows, lines = [], []
    for seed in range(SEEDS):
        ours, theirs = (judged.on_test(records) for records in (_together(judged, seed), _one_by_one(judged, seed)))
        volumes = [judged.volume(records) for records in (ours, theirs)]
        shares = _share_dominated(ours, theirs), _share_dominated(theirs, ours)
        rows.append((*volumes, *shares))
        lines.append(f"{volumes[0]:.4f} against {volumes[1]:.4f}, dominated {shares[1]:.0%} against {shares[0]:.0%}")
    table = np.array(rows)
    wins = int((table[:, 0] > table[:, 1]).sum())
    n_synthetic = sum(_separable(seed) for seed in range(10))
    mean = table.mean(0)
    holds = wins >= 2 and mean[0] > mean[1] and mean[2] > 0.5 > mean[3] and n_synthetic >= 9
    text = (
        f"hypervolume together against one by one: {'; '.join(lines)}; separable objective: {n_synthetic} of 10 seeds"
    )
    return Observed(bool(holds), text)


def _together(judged: _Judged, seed: int) -> list[Record]:
    return _searched(judged.setup.space, judged.records, N, seed)


def _one_by_one(judged: _Judged, seed: int) -> list[Record]:
    """The best float networks, each at every width."""
    space = ProductSpace({"net.clothes": judged.setup.run.tasks[0].space})
    found = front(_searched(space, judged.records, N_FLOAT, seed), GOALS).records
    by_size = sorted(found, key=lambda record: record.metrics["flash_bytes"])
    places = np.linspace(0, len(found) - 1, min(KEPT, len(found))).round().astype(int)
    chosen = [by_size[place].candidate for place in places]
    return judged.records([_uniform(candidate, bits) for candidate in chosen for bits in WIDTHS])


def _uniform(candidate: Candidate, bits: int) -> Candidate:
    return Candidate(candidate.net, compress={"clothes": {"weight_bits": bits, "activation_bits": 8}})


def _searched(space: ProductSpace, evaluate: Any, n: int, seed: int, population: int = 30) -> list[Record]:
    strategy = registry.create("strategies", "linas", {"population": population})
    strategy.start(space, GOALS)
    records: list[Record] = []
    for number in range(n // population):
        batch = evaluate(strategy.ask(population, generator(seed, "ask", number)))
        strategy.tell(batch)
        records += batch
    return records


def _share_dominated(by: Sequence[Record], records: Sequence[Record]) -> float:
    """Of the front of `records`, what the front of `by` dominates."""
    ours, theirs = (front(some, GOALS).losses for some in (by, records))
    return float(np.mean([any(dominates(a, b) for a in ours) for b in theirs]))


class _Judged:
    """The supernet's networks at their bits; what was measured is kept in a file."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.cost, self.supernet = setup.stages
        self.supernet.prepare(None)
        self.path = _place() / f"measured_{_claim.digest('simq_nas')}.json"
        self.known: dict[str, float] = json.loads(self.path.read_text()) if self.path.exists() else {}
        net: Any = self.supernet
        largest = Candidate({"clothes": net.net.largest})
        self.most = self.cost.evaluate([largest])[0].metrics["flash_bytes"]

    def records(self, candidates: Sequence[Candidate]) -> list[Record]:
        """By the validation split."""
        return [self._record(candidate, "val") for candidate in candidates]

    def on_test(self, records: Sequence[Record]) -> list[Record]:
        """The front, and what it has on the test split."""
        return [self._record(record.candidate, "test") for record in front(records, GOALS).records]

    def volume(self, records: Sequence[Record]) -> float:
        """Share of what could be dominated: error from 0 to 50 %, flash from 1 KiB to the largest network at 8 bits."""
        losses = front(records, GOALS).losses  # minus the accuracy, and bytes
        places = np.column_stack([1 + losses[:, 0], np.log(losses[:, 1] / 1024) / np.log(self.most / 1024)])
        return hypervolume(places, np.array([WORST_ERROR, 1.0])) / WORST_ERROR

    def _record(self, candidate: Candidate, split: str) -> Record:
        key = digest([candidate.parts, split])
        if key not in self.known:
            self.known[key] = self._accuracy(candidate, split)
            self.path.write_text(json.dumps(self.known))
        flash = self.cost.evaluate([candidate])[0].metrics["flash_bytes"]
        return Record(candidate, {"quality": self.known[key], "flash_bytes": flash})

    def _accuracy(self, candidate: Candidate, split: str) -> float:
        stage: Any = self.supernet
        if split == "test":
            x, y = stage.data.splits["test"]
            kept, stage.x, stage.y = (stage.x, stage.y), x[:2000], y[:2000]
        found = stage.evaluate([candidate])[0].metrics["clothes.accuracy"]
        if split == "test":
            stage.x, stage.y = kept
        return found


def _place() -> Path:
    place = _claim.FOLDER.parent / "build" / "claims" / "simq_nas"
    place.mkdir(parents=True, exist_ok=True)
    return place


def _separable(seed: int) -> bool:
    """Whether LINAS beats random search where layers lose quality and save bytes on their own."""
    net = Vit(depths=(1,), dims=(32,), heads=(1,), ratios=(2,), patches=(4,))
    layers = tuple(f"layer{i}" for i in range(20))
    space = ProductSpace({"net.a": net, "compress.a": Compression(layers, WIDTHS)})
    rng = generator(0, "separable")
    lost, size = rng.lognormal(-5, 1, 20), rng.lognormal(0, 1, 20)

    def evaluate(candidates: Sequence[Candidate]) -> list[Record]:
        return [_synthetic(candidate, layers, lost, size) for candidate in candidates]

    drawn = generator(seed, "random")
    random = evaluate([space.sample(drawn) for _ in range(250)])
    found = _searched(space, evaluate, 250, seed, 50)
    reference = np.array([-0.5, 8 * size.sum()])
    ours, theirs = (hypervolume(front(records, GOALS).losses, reference) for records in (found, random))
    return ours > theirs


def _synthetic(candidate: Candidate, layers: Sequence[str], lost: np.ndarray, size: np.ndarray) -> Record:
    genes: Mapping[str, Any] = candidate.compress["a"]  # pyright: ignore[reportAssignmentType]
    bits = np.array([genes[f"{layer}.weight_bits"] for layer in layers])
    return Record(
        candidate, {"quality": float(1 - (lost * 4.0 ** (2 - bits) * 4).sum()), "flash_bytes": float(bits @ size)}
    )
