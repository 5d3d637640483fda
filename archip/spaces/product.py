"""Product: whole candidates, from one space for each of their parts.

Co-design is the search of this product. It is made from a problem (networks by task, chip, compression); it is not
chosen in a problem file.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from archip.core.candidate import Candidate
from archip.core.knobs import Knob
from archip.core.protocols import Designer, Screen

__all__ = ["ProductSpace"]


@dataclass(frozen=True)
class ProductSpace:
    """The candidates whose parts come from `parts`: part name (``net.<task>``, ``hw``, ``compress.<task>``) → Space.

    Attributes:
        designer: solves the hardware for given networks, where something does (`core/protocols.py: DesignSpace`).
        screen: tells what candidates cost, without training.
    """

    parts: Mapping[str, Any]  # part name (net.TASK, hw, compress.TASK) to space
    designer: Designer | None = field(default=None, compare=False, repr=False)
    screen: Screen | None = field(default=None, compare=False, repr=False)

    @property
    def networks(self) -> ProductSpace:
        """The candidates without hardware."""
        return ProductSpace({name: space for name, space in self.parts.items() if name != "hw"})

    @property
    def size(self) -> float:
        return math.prod(space.size for space in self.parts.values())

    def canonical(self, candidate: Candidate) -> Candidate:
        return Candidate.from_parts(
            {name: space.canonical(candidate.parts[name]) for name, space in self.parts.items()}
        )

    def sample(self, rng: np.random.Generator) -> Candidate:
        return Candidate.from_parts({name: space.sample(rng) for name, space in self.parts.items()})

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        """One part mutated, chosen in proportion to its number of genes: each gene is as likely to change."""
        parts = candidate.parts
        up_to = list(accumulate(_n_genes(parts[name]) for name in self.parts))
        name = list(self.parts)[bisect(up_to, rng.random() * up_to[-1])]  # Generator.choice takes ten times as long
        return Candidate.from_parts(parts | {name: self.parts[name].mutate(parts[name], rng)})

    def crossover(self, a: Candidate, b: Candidate, rng: np.random.Generator) -> Candidate:
        """Each part whole from `a`, whole from `b`, or crossed within, with equal chances."""
        parts = {}
        for name, space in self.parts.items():
            one, other = a.parts[name], b.parts[name]
            parts[name] = (one, other, space.crossover(one, other, rng))[rng.integers(3)]
        return Candidate.from_parts(parts)

    def neighbours(self, candidate: Candidate) -> Iterator[Candidate]:
        """The candidates that differ by one step in one part."""
        for name, space in self.parts.items():
            for genotype in space.neighbours(candidate.parts[name]):
                yield Candidate.from_parts(candidate.parts | {name: genotype})

    def enumerate(self) -> Iterator[Candidate]:
        """Every candidate, once; the last part changes fastest."""
        spaces = list(self.parts.values())

        def extend(chosen: tuple[Any, ...]) -> Iterator[Candidate]:
            if len(chosen) == len(spaces):
                yield Candidate.from_parts(dict(zip(self.parts, chosen, strict=True)))
            else:
                for genotype in spaces[len(chosen)].enumerate():
                    yield from extend((*chosen, genotype))

        return extend(())

    @property
    def knobs(self) -> dict[str, Knob]:
        """``<part>/<knob>`` → knob, part by part in order of decision."""
        return {f"{part}/{name}": knob for part, space in self.parts.items() for name, knob in space.knobs.items()}

    def decide(self, choose: Callable[[str, Sequence[int]], int]) -> Candidate | None:
        """The candidate of a row of decisions (`KnobSpace.decide`); None if it breaks a constraint."""
        parts = {}
        for part, space in self.parts.items():
            parts[part] = space.decide(lambda name, allowed, part=part: choose(f"{part}/{name}", allowed))
            if parts[part] is None:
                return None
        return Candidate.from_parts(parts)

    def codes(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """[N, knobs] place of each gene among the values of its knob; -1 where it is inactive."""
        columns = [space.codes([c.parts[name] for c in candidates]) for name, space in self.parts.items()]
        return np.concatenate(columns, axis=1)

    def encode(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """[N, features] numbers for predictors, part by part."""
        columns = [space.encode([c.parts[name] for c in candidates]) for name, space in self.parts.items()]
        return np.concatenate(columns, axis=1)

    def statistics(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """[N, statistics] what is known of candidates for free, where a part has such; no columns otherwise."""
        columns = [np.zeros((len(candidates), 0))]
        for name, space in self.parts.items():
            if hasattr(space, "statistics"):
                columns.append(space.statistics([c.parts[name] for c in candidates]))
        return np.concatenate(columns, axis=1)


def _n_genes(genotype: Any) -> int:
    """Number of genes of a genotype; a single value is one gene."""
    return len(genotype) if isinstance(genotype, Mapping | list) else 1
