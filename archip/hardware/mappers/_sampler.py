"""What the mappers share that cost a given number of mappings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.hardware.mappers._mapper import Mapper

__all__ = ["Sampler"]


@dataclass(frozen=True)
class Sampler(Mapper):
    """Costs a number of mappings and answers with the best; not the optimum of anything.

    The space: the unrollings of the accelerator's dataflow or, without one, the `n_unrollings` that take the fewest
    steps of the array; every order of the prime factors of the loops; every way to cut it, for each operand and memory.

    Attributes:
        n_mappings: mappings to cost for each pair.
        seed: of the random numbers; a pair gets the same ones in whatever batch it stands.
    """

    n_mappings: Annotated[int, Field(ge=1)] = 2000
    n_unrollings: Annotated[int, Field(ge=1, le=7)] = 3  # that take the fewest steps, where there is no dataflow
    seed: Annotated[int, Field(ge=0)] = 0

    def aim(self) -> np.ndarray:
        aim = super().aim()
        aim["n_mappings"], aim["n_unrollings"], aim["seed"] = self.n_mappings, self.n_unrollings, self.seed
        return aim
