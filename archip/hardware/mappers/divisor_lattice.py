"""Local search on the lattice of divisors: prime factors change places, cuts move, the loops are cut anew.

Choose it where the dataflow is not known and the layer has too many factors for ``exhaustive``: its space has every
order of all prime factors and uneven cuts. Each walk starts from a random order that the memories cut by rule (see
``exhaustive``) and takes one small step at a time: two factors swap, one moves over others (to another memory), a cut
moves, or the rule cuts again. A step is taken if it is no worse than where the walk stands, or than where it stood 16
steps before (late acceptance, Burke and Bykov, EJOR 2017); after 150 mappings without a better one the walk begins
anew.
Source: the lattice of factor allocations is that of Timeloop's mapspace (Parashar et al., ISPASS 2019) with the uneven
cuts of ZigZag (Mei et al., IEEE TC 2021); steps and acceptance are our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.hardware.mappers._mapper import Work
from archip.hardware.mappers._sampler import Sampler
from archip.hardware.mappers._walk import walk_batch

__all__ = ["DivisorLattice"]


@dataclass(frozen=True)
class DivisorLattice(Sampler):
    """Late-acceptance walks."""

    def run(self, work: Work) -> None:
        walk_batch(*work)
