"""Exhaustive search over the mappings that a template's dataflow allows: least latency, then least energy.

Choose it for the templates; it answers tens of thousands of (accelerator, layer) pairs a second. The space: every
alternative of unrolling, every loop order of the dataflow, up to five sizes each of the part of a loop whose results
stay in the innermost memory and of the part that a buffer is offered. The memories then cut the loops, inside out: of
all ways to fill one, the one that moves the fewest bits over its outer side; where that stalls the array, once more
with half of each memory, so that it can be double-buffered. The answer is the best of these mappings, not of all that
exist.
Source: the cutting of loops into memories is that of ZigZag's LOMA engine (Symons et al., AICAS 2021).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

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
    """Best mappings of P pairs: results as of the model (columns of ``models/_kernels.py``), and how many were tried.

    Where nothing fits, the first result is -1, and STALL and WORST hold the bits short and the memory that lacks them.
    """

    accelerators: Sequence[Accelerator]
    which_P2: np.ndarray
    results_PR: np.ndarray
    n_tried_P: np.ndarray
    asked_PDF: np.ndarray
    loops_PT: np.ndarray
    sizes_PT: np.ndarray
    n_loops_P: np.ndarray
    cuts_POE: np.ndarray

    def mapping(self, p: int) -> Mapping:
        """The best mapping of pair `p`."""
        accelerator = self.accelerators[self.which_P2[p, 0]]
        spatial = tuple(
            tuple((LOOPS[f], int(times)) for f, times in enumerate(self.asked_PDF[p, d]) if times > 1)
            for d in range(len(accelerator.array))
        )
        n = self.n_loops_P[p]
        temporal = tuple((LOOPS[f], int(k)) for f, k in zip(self.loops_PT[p, :n], self.sizes_PT[p, :n], strict=True))
        cuts = {
            operand: tuple(map(int, self.cuts_POE[p, o, 1 : len(accelerator.levels(operand)) + 1]))
            for o, operand in enumerate(OPERANDS)
        }
        return Mapping(spatial, temporal, cuts)


@dataclass(frozen=True)
class Exhaustive:
    """The mapper of the templates; it has no options."""

    def search(self, accelerators: Sequence[Accelerator], layers_L: np.ndarray, which_P2: np.ndarray) -> Found:
        """The best mapping of layer which[p, 1] on accelerator which[p, 0], for every pair p."""
        n = len(which_P2)
        found = Found(
            accelerators=accelerators,
            which_P2=np.ascontiguousarray(which_P2, dtype=np.int64),
            results_PR=np.zeros((n, _kernels.N_RESULTS)),
            n_tried_P=np.zeros(n, dtype=np.int64),
            asked_PDF=np.ones((n, _kernels.MAX_ARRAY, 8), dtype=np.int64),
            loops_PT=np.zeros((n, _kernels.MAX_LOOPS), dtype=np.int64),
            sizes_PT=np.ones((n, _kernels.MAX_LOOPS), dtype=np.int64),
            n_loops_P=np.zeros(n, dtype=np.int64),
            cuts_POE=np.zeros((n, 3, _kernels.MAX_LEVELS + 1), dtype=np.int64),
        )
        chips_A, habits_A = pack_chips(accelerators), _pack_habits(accelerators)

        def work(begin: int) -> None:
            piece = slice(begin, begin + _PIECE)
            arrays = (found.which_P2, found.results_PR, found.n_tried_P, found.asked_PDF, found.loops_PT)
            more = (found.sizes_PT, found.n_loops_P, found.cuts_POE)
            _search.search_batch(
                chips_A, habits_A, layers_L, _kernels.scratch(), *(array[piece] for array in (*arrays, *more))
            )

        begins = range(0, n, _PIECE)
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
