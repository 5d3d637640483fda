"""Random mappings: the best of a number of mappings drawn at random; the baseline of the others.

Choose it only to compare with. An unrolling is drawn from the alternatives, an order uniformly from all orders of the
prime factors, and then, inside out, what each memory holds from all that fits it.
Source: the random-sampling search of Timeloop (Parashar et al., ISPASS 2019, section V.E). Differs: nothing is drawn
that does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.hardware.mappers._mapper import Work
from archip.hardware.mappers._sampler import Sampler
from archip.hardware.mappers._walk import sample_batch

__all__ = ["RandomMapper"]


@dataclass(frozen=True)
class RandomMapper(Sampler):
    """The best of random mappings."""

    def run(self, work: Work) -> None:
        sample_batch(*work)
