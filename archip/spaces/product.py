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

    A space of compression may depend on the network: one with `given` is asked for the space that belongs to a network.

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
        parts: dict[str, Any] = {}
        for name in self.parts:
            parts[name] = self._space(name, parts).canonical(candidate.parts[name])
        return Candidate.from_parts(parts)

    def sample(self, rng: np.random.Generator) -> Candidate:
        parts: dict[str, Any] = {}
        for name in self.parts:
            parts[name] = self._space(name, parts).sample(rng)
        return Candidate.from_parts(parts)

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        """One part mutated, chosen in proportion to its number of genes: each gene is as likely to change."""
        parts = candidate.parts
        up_to = list(accumulate(_n_genes(parts[name]) for name in self.parts))
        name = list(self.parts)[bisect(up_to, rng.random() * up_to[-1])]  # Generator.choice takes ten times as long
        return self._fitted(parts | {name: self._space(name, parts).mutate(parts[name], rng)}, rng)

    def crossover(self, a: Candidate, b: Candidate, rng: np.random.Generator) -> Candidate:
        """Each part whole from `a`, whole from `b`, or crossed within, with equal chances."""
        parts: dict[str, Any] = {}
        for name in self.parts:
            one, other = a.parts[name], b.parts[name]
            parts[name] = (one, other, self._space(name, parts).crossover(one, other, rng))[rng.integers(3)]
        return self._fitted(parts, rng)

    def neighbours(self, candidate: Candidate) -> Iterator[Candidate]:
        """The candidates that differ by one step in one part."""
        for name in self.parts:
            for genotype in self._space(name, candidate.parts).neighbours(candidate.parts[name]):
                yield self._fitted(candidate.parts | {name: genotype}, None)

    def enumerate(self) -> Iterator[Candidate]:
        """Every candidate, once; the last part changes fastest."""
        names = list(self.parts)

        def extend(chosen: dict[str, Any]) -> Iterator[Candidate]:
            if len(chosen) == len(names):
                yield Candidate.from_parts(chosen)
            else:
                name = names[len(chosen)]
                for genotype in self._space(name, chosen).enumerate():
                    yield from extend(chosen | {name: genotype})

        return extend({})

    @property
    def knobs(self) -> dict[str, Knob]:
        """``<part>/<knob>`` → knob, part by part in order of decision."""
        return {f"{part}/{name}": knob for part, space in self.parts.items() for name, knob in space.knobs.items()}

    def decide(self, choose: Callable[[str, Sequence[int]], int]) -> Candidate | None:
        """The candidate of a row of decisions (`KnobSpace.decide`); None if it breaks a constraint."""
        parts: dict[str, Any] = {}
        for part in self.parts:
            space = self._space(part, parts)
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

    def _space(self, name: str, parts: Mapping[str, Any]) -> Any:
        """The space of a part, given the parts before it."""
        space = self.parts[name]
        return space.given(parts[_network_of(name)]) if hasattr(space, "given") else space

    def _fitted(self, parts: dict[str, Any], rng: np.random.Generator | None) -> Candidate:
        """The candidate of these parts, those that depend on a network made to fit it."""
        for name, space in self.parts.items():
            if hasattr(space, "given"):
                parts[name] = space.given(parts[_network_of(name)]).fitted(parts[name], rng)
        return Candidate.from_parts(parts)


def _network_of(part: str) -> str:
    return f"net.{part.partition('.')[2]}"


def _n_genes(genotype: Any) -> int:
    """Number of genes of a genotype; a single value is one gene."""
    return len(genotype) if isinstance(genotype, Mapping | list) else 1
