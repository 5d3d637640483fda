"""Lineage: who was bred from whom in a search, and what that says of it.

A space that notes what is drawn, mutated and crossed tells the parents of every candidate, whatever the strategy. From
births and records follow how alike a population is, who is bred from most, and what a cache of trained prefixes would
have saved.
Source: Underwood et al. 2023, arXiv:2309.12576; its measures are given in words there, the formulas here are ours.

Legend: N candidates in the order in which they were told.
"""

from __future__ import annotations

import csv
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.candidate import Candidate
from archip.core.protocols import CandidateSpace
from archip.core.record import Record

__all__ = ["Birth", "LineageFile", "TracedSpace", "children", "diversity", "greediness", "prefix_hits", "traced"]


@dataclass(frozen=True)
class Birth:
    """How a candidate came about (``sample``, ``mutate``, ``crossover``, ``neighbour``, …), and the parents' ids."""

    how: str
    parents: tuple[str, ...] = ()


class TracedSpace:
    """What `traced` adds to a space: it notes the births of candidates.

    Attributes:
        births: candidate id → its birth; of several, the first.
    """

    births: dict[str, Birth]
    _inner: CandidateSpace
    _crossed: dict[str, tuple[str, ...]]  # children of a crossover, which may only be on their way

    def sample(self, rng: np.random.Generator) -> Candidate:
        return self._noted(self._inner.sample(rng), Birth("sample"))

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        child = self._inner.mutate(candidate, rng)
        crossed = self._crossed.pop(candidate.id, None)
        if crossed is not None and child.id != candidate.id:
            self.births.pop(candidate.id, None)
            return self._noted(child, Birth("crossover+mutate", crossed))
        return self._noted(child, Birth("mutate", (candidate.id,)))

    def crossover(self, a: Candidate, b: Candidate, rng: np.random.Generator) -> Candidate:
        child, parents = self._inner.crossover(a, b, rng), tuple(dict.fromkeys((a.id, b.id)))
        if child.id not in self.births and child.id not in parents:
            self._crossed[child.id] = parents
        return self._noted(child, Birth("crossover", parents))

    def neighbours(self, candidate: Candidate) -> Iterator[Candidate]:
        for child in self._inner.neighbours(candidate):
            yield self._noted(child, Birth("neighbour", (candidate.id,)))

    def birth(self, candidate: Candidate) -> Birth:
        """Of a candidate that was asked for; ``other`` if the strategy wrote it itself."""
        return self.births.get(candidate.id, Birth("other"))

    def _noted(self, child: Candidate, birth: Birth) -> Candidate:
        if child.id not in birth.parents:
            self.births.setdefault(child.id, birth)
        return child


def traced(space: CandidateSpace) -> Any:
    """The same space that is a `TracedSpace` besides; whatever strategies look for in a space is still there."""
    cls = type(f"Traced{type(space).__name__}", (TracedSpace, type(space)), {})
    found = object.__new__(cls)
    vars(found).update(vars(space), births={}, _inner=space, _crossed={})
    return found


class LineageFile:
    """A CSV with a row for each record: number, candidate, how it was bred, its parents, quality and status."""

    def __init__(self, path: Path, space: TracedSpace) -> None:
        self._path, self._space = path, space
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(
                ["number", "candidate", "how", "parents", "quality", "status"]
            )

    def told(self, records: Sequence[Record]) -> None:
        """Write the births of records; the space forgets them."""
        with self._path.open("a", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            for record in records:
                birth = self._space.birth(record.candidate)
                self._space.births.pop(record.candidate.id, None)
                quality = record.metrics.get("quality", "")
                parents = " ".join(birth.parents)
                rows.writerow([record.number, record.candidate.id, birth.how, parents, quality, record.status.value])


def diversity(codes_NG: np.ndarray, window: int) -> np.ndarray:
    """[N - window + 1] mean share of genes in which two of the last `window` candidates differ."""
    found, n_pairs = [], window * (window - 1) / 2
    for end in range(window, len(codes_NG) + 1):
        part_WG = codes_NG[end - window : end]
        alike = sum(
            float((counts * (counts - 1) / 2).sum())
            for counts in (np.unique(codes_W, return_counts=True)[1] for codes_W in part_WG.T)
        )
        found.append(1 - alike / n_pairs / codes_NG.shape[1])
    return np.array(found)


def children(births: Sequence[Birth]) -> Counter[str]:
    """Candidate id → number of those that were bred from it: its popularity as a donor."""
    return Counter(parent for birth in births for parent in birth.parents)


def greediness(records: Sequence[Record], births: Mapping[str, Birth], batch: int = 1) -> float:
    """Share of the bred candidates that have the best candidate told before them among their parents.

    Args:
        batch: candidates that were asked for at once, none of which knew the others.
    """
    best, best_quality, n_bred, n_of_best = "", -np.inf, 0, 0
    for begin in range(0, len(records), batch):
        part = records[begin : begin + batch]
        for record in part:
            birth = births.get(record.candidate.id, Birth("other"))
            n_bred += bool(birth.parents)
            n_of_best += best in birth.parents
        for record in part:
            if record.metrics.get("quality", -np.inf) > best_quality:
                best, best_quality = record.candidate.id, record.metrics["quality"]
    return n_of_best / max(n_bred, 1)


def prefix_hits(codes_NG: np.ndarray, capacity: int) -> np.ndarray:
    """[N] share of a candidate's leading genes that a cache of prefixes already has.

    The cache keeps the `capacity` prefixes that were used last; a candidate uses the longest that is there and leaves
    all of its own.
    """
    kept: OrderedDict[bytes, None] = OrderedDict()
    hits_N = np.zeros(len(codes_NG))
    for n, codes_G in enumerate(codes_NG):
        prefixes = [codes_G[:k].tobytes() for k in range(1, len(codes_G) + 1)]
        found = [k for k, prefix in enumerate(prefixes, 1) if prefix in kept]
        hits_N[n] = max(found, default=0) / len(codes_G)
        for prefix in prefixes:
            kept[prefix] = None
            kept.move_to_end(prefix)
        while len(kept) > capacity:
            kept.popitem(last=False)
    return hits_N
