"""Joint: networks and chip as one candidate, searched by one strategy over the product of their spaces.

Choose it where the chip cannot be solved for given networks (three or four cores on a fine grid, other hardware), or as
the baseline of `nested`. It is the strategy `search` itself, NSGA-II by default, and makes sure that there is a chip to
be designed; without `joint` around it, that strategy would search networks alone where there is none.
Source: ours; a mutation changes one gene of networks or chip, a crossover exchanges parts (`spaces/product.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archip.core.candidate import Candidate
from archip.core.objectives import Goals
from archip.core.protocols import CandidateSpace
from archip.core.record import Record
from archip.strategies._outer import Named, design_space, made

__all__ = ["Joint"]


@dataclass
class Joint:
    """Hands every ask and tell to the strategy that searches both.

    Attributes:
        search: strategy of networks and chip, by name or {name: options}.
    """

    search: Named = "nsga2"

    def __post_init__(self) -> None:
        made(self.search, "search")

    def start(self, space: CandidateSpace, goals: Goals) -> None:
        self._strategy = made(self.search, "search")
        self._strategy.start(design_space(space), goals)

    def ask(self, n: int, rng: np.random.Generator) -> list[Candidate]:
        return self._strategy.ask(n, rng)

    def tell(self, records: Sequence[Record]) -> None:
        self._strategy.tell(records)
