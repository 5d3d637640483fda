"""List scheduling: each layer goes to the core on which it ends first.

Choose it for a schedule in microseconds, or as the plain baseline of other policies. It looks neither at energy nor
at a latency limit.
Source: Graham 1969, "Bounds on multiprocessing timing anomalies"; on unlike cores the earliest-finish rule of Topcuoglu
et al. 2002 (HEFT). Differs: the layer that can start first goes first, of equals the one with the longest rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.hardware.schedule._jobs import Jobs, earliest_end, start_cycles
from archip.hardware.schedule._schedule import Limits, Policy, Solution

__all__ = ["ListScheduling"]


@dataclass(frozen=True)
class ListScheduling(Policy):
    """Greedy in time: earliest start first, on the core of earliest end, of equal ends the one of least energy."""

    def solve(self, jobs: Jobs, limits: Limits) -> Solution:
        core_L = earliest_end(jobs)
        return Solution(core_L, start_cycles(jobs, core_L))
