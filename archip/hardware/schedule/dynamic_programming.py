"""Dynamic programming: the optimal schedule of chains; milliseconds for two networks on two cores.

Choose it for chains without DRAM contention, first of all for two networks on two cores, where it is up to a thousand
times faster than `cp_sat`. More networks or cores are exact as long as the labels fit into memory (some ten layers for
each of three chains do); beyond that the answer is the best found, with the gap that is left.
Source: ours; labels with dominance as in Desrochers and Soumis 1988, "A generalized permanent labelling algorithm for
the shortest path problem with time windows", pruned by a Lagrangian relaxation with Polyak's steps. `_label_dp.py`
explains both. Energies are rounded to 2^-45 of their sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archip.hardware.schedule._exact import FOUND, UNSOLVED, cheapest, fastest
from archip.hardware.schedule._jobs import Jobs
from archip.hardware.schedule._label_dp import NEVER
from archip.hardware.schedule._schedule import Limits, Policy, Solution
from archip.hardware.schedule.hap import Hap

__all__ = ["DynamicProgramming"]


@dataclass(frozen=True)
class DynamicProgramming(Policy):
    """Minimises the makespan or the energy exactly, then the other one at the same value of the first."""

    takes_graphs: ClassVar[bool] = False
    takes_dram: ClassVar[bool] = False

    def solve(self, jobs: Jobs, limits: Limits) -> Solution:
        can_LK = jobs.cycles_LK >= 0
        unit_j = max(float(np.where(can_LK, jobs.energy_LK, 0).max(axis=1).sum()), 1e-300) / 2**45
        question = _Question(
            cycles_KL=np.ascontiguousarray(np.where(can_LK, jobs.cycles_LK, NEVER).T),
            energy_KL=np.ascontiguousarray(np.where(can_LK, np.rint(jobs.energy_LK / unit_j), np.inf).T),
            first_C=np.concatenate(([0], np.cumsum(np.bincount(jobs.network_L)))),
        )
        longest = int(np.where(can_LK, jobs.cycles_LK, 0).max(axis=1).sum())
        dearest = float(2**45 + len(can_LK))
        if limits.cycles is not None:
            answer = question.of_least_energy(min(limits.cycles, longest))
        elif limits.energy_j is not None:
            most = np.floor(limits.energy_j / unit_j + len(can_LK) / 2)  # of rounding
            answer = question.shortest(longest, float(min(most, dearest)))
            if answer is None:
                answer = question.of_least_energy(longest)
        else:
            answer = None
        if answer is None:  # no limit, or one on cycles that cannot be kept
            answer = question.shortest(longest, dearest)
        return Hap().solve(jobs, limits) if answer is None else answer


@dataclass(frozen=True)
class _Question:
    """What the kernels take."""

    cycles_KL: np.ndarray
    energy_KL: np.ndarray
    first_C: np.ndarray

    def of_least_energy(self, limit: int) -> Solution | None:
        """The cheapest schedule within `limit`; None where there is none or none was found."""
        dearest = float(2**45 + self.cycles_KL.shape[1])
        return self._solution(cheapest, limit, dearest)

    def shortest(self, limit: int, budget: float) -> Solution | None:
        """The shortest schedule within `budget`, and of these the cheapest."""
        first = self._solution(fastest, limit, budget)
        if first is None or first.gap != 0:
            return first
        layers = np.arange(len(first.core_L))
        span = int((first.start_L + self.cycles_KL[first.core_L, layers]).max(initial=0))
        spent = float(self.energy_KL[first.core_L, layers].sum())
        second = self._solution(cheapest, span, spent)
        return first if second is None else second._replace(gap=0.0)

    def _solution(self, kernel, limit: int, budget: float) -> Solution | None:
        n_sums = len(self.first_C) - 1 + len(self.cycles_KL)
        core_L = np.zeros(self.cycles_KL.shape[1], np.int64)
        start_L = np.zeros_like(core_L)
        multipliers = np.zeros(n_sums), np.full(n_sums, 1 / n_sums)
        what, span, energy, bound = kernel(
            self.cycles_KL, self.energy_KL, self.first_C, limit, budget, *multipliers, core_L, start_L
        )
        if what not in (FOUND, UNSOLVED) or energy == np.inf:
            return None
        value = span if kernel is fastest else energy
        gap = 0.0 if what == FOUND else value / max(bound, 1.0) - 1
        return Solution(core_L, start_L, gap)
