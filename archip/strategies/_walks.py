"""Walks: rows of decisions drawn from a policy, quickly when it draws the same ones again and again.

A policy that has nearly decided proposes what is known a hundred times before something new. So the walks are kept as a
tree until the policy learns: where one has been, the next needs neither the policy nor the space. What is drawn, and
how often the random numbers are used, is as without the tree.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from archip.strategies._controller import Decision

__all__ = ["Policy", "Walks"]

_Choose = Callable[[str, Sequence[int]], int]


class Policy(Protocol):
    def probabilities(self, before: Sequence[Decision], knob: str, allowed: Sequence[int]) -> np.ndarray: ...


class _Place:
    """After the decisions `made`: the knob that comes next, or what they made (None: it breaks a constraint)."""

    __slots__ = ("allowed", "is_end", "knob", "made", "next", "outcome", "sums")

    def __init__(self, made: list[Decision]) -> None:
        self.made, self.next = made, dict[int, _Place]()
        self.knob: str | None = None
        self.allowed: tuple[int, ...] = ()
        self.sums: list[float] | None = None  # cumulative probabilities, once they are asked for
        self.is_end, self.outcome = False, None


class Walks:
    """Draws from `policy` through `decide`, the method of a space that calls back for each decision."""

    def __init__(self, decide: Callable[[_Choose], Any], policy: Policy) -> None:
        self._decide, self._policy = decide, policy
        self.forget()

    def forget(self) -> None:
        """To be called when the policy has learnt."""
        self._root = _Place([])

    def draw(self, given: Mapping[str, int], rng: np.random.Generator) -> tuple[Any, list[Decision]]:
        """What the space makes of one row of decisions, and the row; knobs in `given` are not drawn."""
        place = self._root
        while place.knob is not None:
            place = self._onward(place, given, rng)
        if not place.is_end:
            place = self._explored(place, given, rng)
        return place.outcome, place.made

    def _explored(self, begin: _Place, given: Mapping[str, int], rng: np.random.Generator) -> _Place:
        """From a place where no walk has been to the end of the row."""
        place, known = begin, iter(begin.made)

        def choose(knob: str, allowed: Sequence[int]) -> int:
            nonlocal place
            if (before := next(known, None)) is not None:
                return before.code
            place.knob, place.allowed = knob, tuple(allowed)
            place = self._onward(place, given, rng)
            return place.made[-1].code

        outcome = self._decide(choose)
        place.outcome, place.is_end = outcome, True
        return place

    def _onward(self, place: _Place, given: Mapping[str, int], rng: np.random.Generator) -> _Place:
        assert place.knob is not None
        code = given.get(place.knob)
        if code is None:
            sums = place.sums
            if sums is None:
                p = self._policy.probabilities(place.made, place.knob, place.allowed)
                sums = place.sums = list[float](np.cumsum(p).tolist())
            at = bisect_right(sums, rng.random() * sums[-1])
            code = place.allowed[min(at, len(place.allowed) - 1)]
        if code not in place.next:
            place.next[code] = _Place([*place.made, Decision(place.knob, place.allowed, code)])
        return place.next[code]
