"""Exhaustive search over the mappings that a template's dataflow allows: least latency, and energy near it.

Choose it for the templates; it answers tens of thousands of (accelerator, layer) pairs a second. The space: every
alternative of unrolling, every loop order of the dataflow, up to five sizes each of the part of a loop whose results
stay in the innermost memory and of the part that a buffer is offered. The memories then cut the loops, inside out: of
all ways to fill one, the one that moves the fewest bits over its outer side; with all of each memory, with half of it,
so that it is double-buffered, and with as little as moves no more, so that the array waits less for its first data.
The answer is the best of these mappings, not of all that exist: the best of 180 random orders of the loops is about
0.5 % faster on average.
Source: the cutting of loops into memories is that of ZigZag's LOMA engine (Symons et al., AICAS 2021).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.errors import UserError
from archip.hardware.accelerator import OPERANDS, Accelerator, Dataflow
from archip.hardware.mappers import _search
from archip.hardware.mapping import LOOPS, Mapping
from archip.hardware.models import _kernels
from archip.hardware.models.loopnest import pack_chips

__all__ = ["Exhaustive"]

_PARTS = {"'": _search.REGISTER, '"': _search.BUFFER}
_PIECE = 256  # pairs that one thread takes at a time


@dataclass(frozen=True, eq=False)
class Found:
    """Best mappings of P pairs.

    `results_PR` has the columns of ``models/_kernels.py``; where nothing fits, TOTAL is -1, STALL the bits short and
    WORST the memory that lacks them. `n_tried_P` is the number of mappings that were costed.
    """

    accelerators: Sequence[Accelerator]
    which_P2: np.ndarray
    found_P: np.ndarray

    @property
    def results_PR(self) -> np.ndarray:
        return self.found_P["result"]

    @property
    def n_tried_P(self) -> np.ndarray:
        return self.found_P["n_tried"]

    def mapping(self, p: int) -> Mapping:
        """The best mapping of pair `p`."""
        accelerator, found = self.accelerators[self.which_P2[p, 0]], self.found_P[p]
        spatial = tuple(
            tuple((LOOPS[f], int(times)) for f, times in enumerate(found["asked_DF"][d]) if times > 1)
            for d in range(len(accelerator.array))
        )
        n = found["n_loops"]
        temporal = tuple((LOOPS[f], int(k)) for f, k in zip(found["loop_T"][:n], found["size_T"][:n], strict=True))
        cuts = {
            operand: tuple(map(int, found["cuts_OE"][o, 1 : len(accelerator.levels(operand)) + 1]))
            for o, operand in enumerate(OPERANDS)
        }
        return Mapping(spatial, temporal, cuts)


@dataclass(frozen=True)
class Exhaustive:
    """The mapper of the templates.

    Attributes:
        slack: latency that may be given for energy: of the mappings at most this share slower than the fastest, the one
            of least energy is taken. 0 is least latency, then least energy.
    """

    slack: Annotated[float, Field(ge=0)] = 0.01

    def search(self, accelerators: Sequence[Accelerator], layers_L: np.ndarray, which_P2: np.ndarray) -> Found:
        """The best mapping of layer which[p, 1] on accelerator which[p, 0], for every pair p."""
        which_P2 = np.ascontiguousarray(which_P2, dtype=np.int64)
        found = Found(accelerators, which_P2, np.zeros(len(which_P2), _search.FOUND))
        chips_A, habits_A = pack_chips(accelerators), _pack_habits(accelerators)

        def work(begin: int) -> None:
            working = _kernels.scratch(), np.zeros(1, _search.STATE), np.zeros(_search.FRONT, _search.FOUND)
            piece = slice(begin, begin + _PIECE)
            pairs = found.which_P2[piece], found.found_P[piece]
            _search.search_batch(chips_A, habits_A, layers_L, float(self.slack), *working, *pairs)

        begins = range(0, len(which_P2), _PIECE)
        if len(begins) == 1:
            work(0)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(work, begins))
        return found


def _pack_habits(accelerators: Sequence[Accelerator]) -> np.ndarray:
    habits_A = np.zeros(len(accelerators), _search.HABIT)
    for accelerator, habit in zip(accelerators, habits_A, strict=True):
        if accelerator.dataflow is None:
            raise UserError(
                f"{accelerator.name} has no dataflow to map by", right="a dataflow, or mappings of your own"
            )
        _pack_habit(accelerator.dataflow, habit)
    return habits_A


def _pack_habit(dataflow: Dataflow, habit: np.void) -> None:
    for name in ("loop_UDX", "instead_UDX", "order_QS", "part_QS"):
        habit[name][:] = -1
    for u, unrolling in enumerate(dataflow.unrollings):
        for d, loops in enumerate(unrolling):
            for x, loop in enumerate(loops):
                first, _, instead = loop.partition("|")
                habit["loop_UDX"][u, d, x] = LOOPS.index(first)
                habit["instead_UDX"][u, d, x] = LOOPS.index(instead) if instead else -1
    for q, order in enumerate(dataflow.orders):
        for place, loop in enumerate(order.split()):
            habit["order_QS"][q, place] = LOOPS.index(loop.rstrip("'\""))
            habit["part_QS"][q, place] = _PARTS.get(loop[-1], _search.REST)
