"""Knobs: how a space of networks, chips or compressions is declared, and the space that follows from them.

A space declares its knobs in order; a knob may depend on the values of earlier ones (`KnobSpace.is_active`), the
whole may be constrained (`permits`), and genotypes that mean the same thing collapse to one (`collapse`). Sampling,
mutation, crossover, neighbours and enumeration follow and stand here once.
"""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from archip.core.candidate import canonical_json
from archip.core.errors import CandidateError, UserError, nearest

__all__ = ["Choice", "IntRange", "Knob", "KnobSpace", "extremes"]

_TRIES = 1000  # draws before a constraint counts as unsatisfiable


@dataclass(frozen=True)
class Choice:
    """One of some JSON values. `ordered`: neighbours are the adjacent values, otherwise all others."""

    values: Sequence[Any]
    ordered: bool = True


@dataclass(frozen=True)
class IntRange:
    """Integers from `low` to `high`, both included, in steps."""

    low: int
    high: int
    step: int = 1
    ordered: bool = True

    @property
    def values(self) -> Sequence[int]:
        return range(self.low, self.high + 1, self.step)


Knob = Choice | IntRange
Genes = dict[str, Any]


def extremes(space: Any) -> Iterator[Mapping[str, Any]]:
    """Genotypes with all genes last or all first, those with one gene changed, and what the space's `corners` add.

    Every layer of a space of networks is in one of them, and is largest in one of them, where its size follows from
    each gene alone; what breaks a constraint is left out.
    """
    for end in (-1, 0):
        base = {name: knob.values[end] for name, knob in space.knobs.items()}
        one_changed = ({**base, name: v} for name, knob in space.knobs.items() for v in knob.values)
        for genes in (base, *one_changed, *getattr(space, "corners", tuple)()):
            with contextlib.suppress(UserError, CandidateError):
                yield space.canonical(genes)


class KnobSpace(ABC):
    """A space of genotypes {knob: value}. Genotypes handed out are canonical; those taken in need not be."""

    @cached_property
    @abstractmethod
    def knobs(self) -> Mapping[str, Knob]:
        """The knobs in order of decision."""

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        """Whether knob `name` matters, given the genes of the knobs before it."""
        return True

    def permits(self, genes: Mapping[str, Any]) -> bool:
        """Whether a complete genotype keeps the constraints between knobs."""
        return True

    def collapse(self, genes: Genes) -> Genes:
        """The representative of all genotypes that mean the same as `genes` (complete, inactive ones dropped)."""
        return genes

    # What follows is final.

    @property
    def size(self) -> int:
        """Number of genotypes if every knob were active and nothing forbidden: an upper bound."""
        return math.prod(len(k.values) for k in self.knobs.values())

    def canonical(self, genotype: Mapping[str, Any]) -> Genes:
        """The canonical form of `genotype`.

        Raises:
            UserError: an unknown or missing gene, a value outside its knob, or a broken constraint.
        """
        genes: Genes = {}
        for name, knob in self.knobs.items():
            if not self.is_active(name, genes):
                continue
            if name not in genotype:
                raise UserError("gene is missing", name, f"one of {list(knob.values)[:12]}")
            if genotype[name] not in knob.values:
                raise UserError(f"{genotype[name]!r} is not allowed", name, f"one of {list(knob.values)[:12]}")
            genes[name] = knob.values[knob.values.index(genotype[name])]  # 4.0 and True become the knob's 4 and 1
        for name in genotype:
            if name not in self.knobs:
                raise UserError(f"unknown gene {name!r}", right=nearest(name, self.knobs))
        if not self.permits(genes):
            raise UserError(f"{genes} breaks a constraint of the space")
        return self.collapse(genes)

    def sample(self, rng: np.random.Generator) -> Genes:
        """A genotype, each active knob uniform, constraints by rejection."""
        return self._complete({}, rng)

    def mutate(self, genotype: Mapping[str, Any], rng: np.random.Generator) -> Genes:
        """One gene changed (and those that this wakes up drawn anew); the genotype itself if no change is allowed."""
        free = [n for n in genotype if len(self.knobs[n].values) > 1]
        for _ in range(_TRIES if free else 0):
            genes = dict(genotype)
            name = str(rng.choice(free))
            others = [v for v in self.knobs[name].values if v != genes[name]]
            genes[name] = others[rng.integers(len(others))]
            child = self._attempt(genes, rng)
            if child is not None and child != genotype:
                return child
        return dict(genotype)

    def crossover(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: np.random.Generator) -> Genes:
        """Each gene from one of the parents (uniform crossover)."""
        for _ in range(20):
            genes = {
                n: (a if n not in b or (n in a and rng.random() < 0.5) else b)[n]
                for n in self.knobs
                if n in a or n in b
            }
            child = self._attempt(genes, rng)
            if child is not None:
                return child
        return dict(a)

    def neighbours(self, genotype: Mapping[str, Any]) -> Iterator[Genes]:
        """All genotypes one step away, each once: adjacent values of ordered knobs, all other values of the rest."""
        seen = {canonical_json(genotype)}
        for name, value in genotype.items():
            values = list(self.knobs[name].values)
            at = values.index(value)
            reach = (at - 1, at + 1) if self.knobs[name].ordered else range(len(values))
            for i in reach:
                if 0 <= i < len(values) and i != at:
                    child = self._attempt({**genotype, name: values[i]}, None)
                    if child is not None and (text := canonical_json(child)) not in seen:
                        seen.add(text)
                        yield child

    def enumerate(self) -> Iterator[Genes]:
        """Every canonical genotype, once."""
        names = list(self.knobs)

        def extend(i: int, genes: Genes) -> Iterator[Genes]:
            if i == len(names):
                if self.permits(genes) and self.collapse(dict(genes)) == genes:
                    yield dict(genes)
            elif not self.is_active(names[i], genes):
                yield from extend(i + 1, genes)
            else:
                for value in self.knobs[names[i]].values:
                    yield from extend(i + 1, {**genes, names[i]: value})

        return extend(0, {})

    def decide(self, choose: Callable[[str, Sequence[int]], int]) -> Genes | None:
        """The genotype of a row of decisions, for controllers and trees; None if it breaks a constraint.

        Args:
            choose: takes a knob's name and the codes (places among its values) that are allowed; gives one of them.
                It is called for the active knobs, in order.
        """
        genes: Genes = {}
        for name, knob in self.knobs.items():
            if self.is_active(name, genes):
                genes[name] = knob.values[choose(name, range(len(knob.values)))]
        return self.collapse(genes) if self.permits(genes) else None

    def codes(self, genotypes: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """[N, knobs] place of each gene among the values of its knob; -1 where it is inactive."""
        from archip.core.encoding import knob_codes

        return knob_codes(self.knobs, genotypes)

    def encode(self, genotypes: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """[N, features] numbers for predictors (`core/encoding.py`); the number of features is the space's own."""
        from archip.core.encoding import encode_codes

        return encode_codes(self.codes(genotypes), list(self.knobs.values()))

    def _complete(self, genes: Mapping[str, Any], rng: np.random.Generator) -> Genes:
        for _ in range(_TRIES):
            child = self._attempt(genes, rng)
            if child is not None:
                return child
        raise CandidateError(f"no genotype that keeps the constraints in {_TRIES} draws of {type(self).__name__}")

    def _attempt(self, genes: Mapping[str, Any], rng: np.random.Generator | None) -> Genes | None:
        """`genes` with inactive ones dropped and missing ones drawn (the first value without `rng`), if permitted."""
        child: Genes = {}
        for name, knob in self.knobs.items():
            if self.is_active(name, child):
                missing = name not in genes
                child[name] = knob.values[int(rng.integers(len(knob.values))) if rng else 0] if missing else genes[name]
        return self.collapse(child) if self.permits(child) else None
