"""What the mappers share: what is wanted, the work cut into pieces over threads, and the mappings found."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from archip.hardware import cold_start
from archip.hardware.accelerator import OPERANDS, Accelerator, Dataflow
from archip.hardware.mappers import _search
from archip.hardware.mapping import LOOPS, Mapping
from archip.hardware.models import _kernels
from archip.hardware.models.loopnest import fit_to_accelerators, pack_chips

__all__ = ["Found", "Mapper", "Work"]

_OBJECTIVES = ("cycles", "energy", "edp")
_PARTS = ("", "'", '"')  # REST, REGISTER, BUFFER
_PIECE = 256  # pairs that one thread takes at a time


class Work(NamedTuple):
    """A piece of the work, packed, and the working memory of one thread."""

    chips_A: np.ndarray
    habits_A: np.ndarray
    layers_L: np.ndarray
    aims: np.ndarray
    memory: np.ndarray
    states: np.ndarray
    front_X: np.ndarray
    which_P2: np.ndarray
    found_P: np.ndarray


@dataclass(frozen=True, eq=False)
class Found:
    """Best mappings of P pairs.

    `results_PR` has the columns of ``models/_kernels.py``; where nothing was found, TOTAL is negative, see `reason`.
    `n_tried_P` mappings were costed in full; `n_covered_P` are those and the ones that bounds or equality rule out.
    """

    accelerators: Sequence[Accelerator]
    which_P2: np.ndarray
    found_P: np.ndarray

    @property
    def results_PR(self) -> np.ndarray:
        return self.found_P["result"]

    @property
    def cycles_P(self) -> np.ndarray:
        """Latency in whole cycles, -1 where nothing was found."""
        whole = np.rint(self.results_PR[:, :5].sum(1)).astype(np.int64)
        return np.where(self.results_PR[:, _kernels.TOTAL] < 0, -1, whole)

    @property
    def energy_j_P(self) -> np.ndarray:
        return np.where(self.cycles_P < 0, np.nan, self.results_PR[:, _kernels.ENERGY])

    @property
    def n_tried_P(self) -> np.ndarray:
        return self.found_P["n_tried"]

    @property
    def n_covered_P(self) -> np.ndarray:
        return self.found_P["n_covered"]

    def reason(self, p: int) -> str:
        """Why there is no mapping of pair `p`; empty where there is one."""
        return reason(self.accelerators[self.which_P2[p, 0]], self.results_PR[p])

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


def reason(accelerator: Accelerator, result_R: np.ndarray) -> str:
    """What a result says of a failed search."""
    total, least = result_R[_kernels.TOTAL], result_R[_kernels.STALL]
    if total == _search.NOTHING_FITS:
        memory = accelerator.memories[int(result_R[_kernels.WORST])].name
        return f"{memory} is {-(-int(least) // 8)} bytes short of one element of each operand"
    if total == _search.OVER_CYCLES:
        return f"no mapping within the limit: at least {least:.0f} cycles"
    if total == _search.OVER_ENERGY:
        return f"no mapping within the limit: at least {least:.4g} J"
    return ""


@dataclass(frozen=True)
class Mapper(ABC):
    """Finds a mapping for every (accelerator, layer) pair.

    Attributes:
        slack: of the objective ``cycles``: latency that may be given for energy. Of the mappings at most this share
            slower than the fastest, the one of least energy is taken. 0 is least latency, then least energy.
        objective: what to minimise; ``edp`` is the product of energy and cycles.
        limit_cycles: a mapping may take no more, likewise `limit_energy_j`.
        zigzag: cost by that tool's conventions, see ``models/loopnest.py``.
    """

    slack: Annotated[float, Field(ge=0)] = 0.01
    objective: Literal["cycles", "energy", "edp"] = "cycles"
    limit_cycles: Annotated[float, Field(gt=0)] | None = None
    limit_energy_j: Annotated[float, Field(gt=0)] | None = None  # of a layer
    zigzag: bool = False

    @abstractmethod
    def run(self, work: Work) -> None:
        """Fills ``work.found_P``; called from several threads."""

    def aim(self) -> np.ndarray:
        """The options as a record; those with options of their own add them."""
        aim = np.zeros(1, _search.AIM)
        aim["objective"], aim["slack"] = _OBJECTIVES.index(self.objective), self.slack
        aim["limit_cycles"] = np.inf if self.limit_cycles is None else self.limit_cycles
        aim["limit_energy"] = np.inf if self.limit_energy_j is None else self.limit_energy_j
        aim["zigzag"] = self.zigzag
        return aim

    # What follows is final.

    def search(self, accelerators: Sequence[Accelerator], layers_L: np.ndarray, which_P2: np.ndarray) -> Found:
        """The best mapping of layer which[p, 1] on accelerator which[p, 0], for every pair p."""
        cold_start.listen()
        which_P2 = np.ascontiguousarray(which_P2, dtype=np.int64)
        found = Found(accelerators, which_P2, np.zeros(len(which_P2), _search.FOUND))
        layers_L, rows_P2 = fit_to_accelerators(accelerators, layers_L, which_P2)
        packed = pack_chips(accelerators), _pack_habits(accelerators), layers_L, self.aim()

        def run(start: int) -> None:
            working = _kernels.scratch(), np.zeros(1, _search.STATE), np.zeros(_search.FRONT, _search.FOUND)
            piece = slice(start, start + _PIECE)
            self.run(Work(*packed, *working, rows_P2[piece], found.found_P[piece]))

        starts = range(0, len(which_P2), _PIECE)
        if len(starts) == 1:
            run(0)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(run, starts))
        return found


def _pack_habits(accelerators: Sequence[Accelerator]) -> np.ndarray:
    habits_A = np.zeros(len(accelerators), _search.HABIT)
    for name in ("loop_UDX", "instead_UDX", "order_QS", "part_QS"):
        habits_A[name] = -1
    for accelerator, habit in zip(accelerators, habits_A, strict=True):
        if accelerator.dataflow is not None:
            _pack_habit(accelerator.dataflow, habit)
    return habits_A


def _pack_habit(dataflow: Dataflow, habit: np.void) -> None:
    for u, unrolling in enumerate(dataflow.unrollings):
        for d, loops in enumerate(unrolling):
            for x, loop in enumerate(loops):
                first, _, instead = loop.partition("|")
                habit["loop_UDX"][u, d, x] = LOOPS.index(first)
                habit["instead_UDX"][u, d, x] = LOOPS.index(instead) if instead else -1
    for q, order in enumerate(dataflow.orders):
        for place, loop in enumerate(order.split()):
            name = loop.rstrip("'\"")
            habit["order_QS"][q, place] = LOOPS.index(name)
            habit["part_QS"][q, place] = _PARTS.index(loop[len(name) :])
