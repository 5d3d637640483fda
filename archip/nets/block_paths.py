"""Block paths: networks that differ in one block only, behind blocks that are settled."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from archip.core.candidate import canonical_json
from archip.core.errors import CandidateError
from archip.core.knobs import KnobSpace

__all__ = ["BlockPaths"]

Genotype = Mapping[str, Any]
_TRIES = 1000  # decisions before the constraints of the space count as unsatisfiable


class BlockPaths:
    """Paths through a block of a space's networks.

    Args:
        genes: of each block; together those of the space.
    """

    def __init__(self, space: KnobSpace, genes: Sequence[Sequence[str]]) -> None:
        self._space, self._genes = space, genes
        self._values = {name: list(knob.values) for name, knob in space.knobs.items()}
        self._block = {name: block for block, names in enumerate(genes) for name in names}

    def name(self, genotype: Genotype, block: int) -> str:
        """The path of a network through a block; networks of one path have the same genes there."""
        return canonical_json({name: genotype[name] for name in self._genes[block] if name in genotype})

    def joined(self, settled: Genotype, own: Genotype, block: int) -> Genotype:
        """The network with the genes of `settled` before `block` and its own from there on.

        A gene that matters only behind the settled blocks, and that `own` therefore lacks, has its first value.

        Raises:
            CandidateError: the space forbids this network.
        """

        def choose(name: str, places: Sequence[int]) -> int:
            source = settled if self._block[name] < block else own
            return self._values[name].index(source[name]) if name in source else 0

        found = self._space.decide(choose)
        if found is None:
            raise CandidateError(f"behind the settled blocks {dict(settled)} the space forbids {dict(own)}")
        return found

    def draw(self, settled: Genotype, block: int, n: int, rng: np.random.Generator) -> list[Genotype]:
        """`n` networks with other paths through `block`, each value of a gene about equally often among them.

        Where the space forbids such a network, one is drawn at random.
        """
        orders = {name: rng.permutation(len(self._values[name])).tolist() for name in self._genes[block]}
        drawn = []
        for i in range(n):
            fair = {name: order[i % len(order)] for name, order in orders.items()}
            found = self._decided(settled, block, lambda name, fair=fair: fair[name])
            drawn.append(found or self._any(settled, block, rng))
        return drawn

    def population(self, settled: Genotype, block: int, most: int, rng: np.random.Generator) -> list[Genotype]:
        """Networks with all paths through `block`, or with `most` different ones where there are more (about so)."""
        names = self._genes[block]
        if math.prod(len(self._values[name]) for name in names) <= most:
            rows = itertools.product(*(range(len(self._values[name])) for name in names))
            tried = (self._decided(settled, block, dict(zip(names, row, strict=True)).__getitem__) for row in rows)
            found = [genotype for genotype in tried if genotype is not None] or [self._any(settled, block, rng)]
        else:
            found = [self._any(settled, block, rng) for _ in range(most)]
        return list({self.name(genotype, block): genotype for genotype in found}.values())

    def _any(self, settled: Genotype, block: int, rng: np.random.Generator) -> Genotype:
        for _ in range(_TRIES):
            drawn = {name: int(rng.integers(len(values))) for name, values in self._values.items()}
            found = self._decided(settled, block, drawn.__getitem__, drawn)
            if found is not None:
                return found
        raise CandidateError(f"no path through block {block + 1} that keeps the constraints in {_TRIES} draws")

    def _decided(
        self, settled: Genotype, block: int, own: Callable[[str], int], behind: Mapping[str, int] | None = None
    ) -> Genotype | None:
        """The network of settled genes, places `own` of those of the block, and places `behind` (else 0)."""

        def choose(name: str, places: Sequence[int]) -> int:
            if self._block[name] < block:
                return self._values[name].index(settled[name]) if name in settled else 0
            return own(name) if self._block[name] == block else (behind or {}).get(name, 0)

        return self._space.decide(choose)
