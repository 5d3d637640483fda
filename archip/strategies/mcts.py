"""Monte-Carlo tree search: the space as a tree of decisions, its promising branches looked at more often.

Choose it where early decisions matter most and few options are wanted; evolution mostly finds more.
The score of a branch is mean + c sqrt(2 ln N / n); one branch without visits goes first, one node joins the tree with
each candidate, and below it decisions are drawn at random. With `bisect`, the values of an ordered knob become a binary
tree, so that neighbouring values share their visits.
Source: Negrinho and Gordon 2017, arXiv:1704.08792, sections 4.2 and 5.2 (UCT, bisection). Our choices: rewards are
scaled so that the worst and the best within the limits are 0 and 1, and what breaks a limit or fails is worth 0; a
candidate that is out counts as a visit worth 0 until it is told; branches with nothing new are not entered again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record
from archip.strategies._base import AskTell

__all__ = ["MCTS"]

_TRIES = 100  # rows of decisions that break a constraint, before a candidate is drawn instead


@dataclass
class _Node:
    """A branch: visits, what those within the limits were worth together, and the branches below."""

    n_visits: int = 0
    n_good: int = 0
    total: float = 0.0
    n_branches: int = 0
    is_exhausted: bool = False
    below: dict[tuple[int, ...], _Node] = field(default_factory=dict)


@dataclass
class MCTS(AskTell):
    """UCT over the decisions of a space.

    Attributes:
        c: how much is made of branches that were seldom visited.
        bisect: whether the values of ordered knobs are halved again and again rather than branches of their own.
    """

    c: Annotated[float, Field(ge=0)] = 0.3
    bisect: bool = True

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, which a tree is made of", "strategy")
        self.knobs, self._decide = self.space.knobs, self.space.decide
        self.root = _Node()
        self._out: dict[str, list[_Node]] = {}
        self._low, self._high = math.inf, -math.inf

    def propose(self, rng: np.random.Generator) -> Candidate:
        for _ in range(_TRIES):
            walk = _Walk(self, rng)
            candidate = self._decide(walk.choose)
            walk.leave(is_new=candidate is not None and candidate.id not in self.asked)
            if candidate is None:
                continue
            if candidate.id not in self.asked:
                self._out[candidate.id] = walk.path
            return candidate
        return self.space.sample(rng)

    def observe(self, records: Sequence[Record]) -> None:
        for record in records:
            path = self._out.pop(record.candidate.id, [])
            if self.goals.feasible(record):
                worth = float(-self.goals.losses([record])[0, 0])
                self._low, self._high = min(self._low, worth), max(self._high, worth)
                for node in path:
                    node.n_good += 1
                    node.total += worth

    def score(self, node: _Node, n_above: int) -> float:
        """UCT of a branch below a node with `n_above` visits; infinite if it led to nothing but what was known."""
        if node.n_visits == 0:
            return math.inf
        spread = self._high - self._low
        mean = (node.total - node.n_good * self._low) / (spread * node.n_visits) if spread > 0 else 0.0
        return mean + self.c * math.sqrt(2 * math.log(n_above) / node.n_visits)


class _Walk:
    """One way down the tree and, from where it ends, on at random."""

    def __init__(self, tree: MCTS, rng: np.random.Generator) -> None:
        self._tree, self._rng = tree, rng
        self.path = [tree.root]
        self._is_inside = True
        self._n_beyond = 0

    def choose(self, knob: str, allowed: Sequence[int]) -> int:
        """A code of a knob; each halving of an ordered knob is a branching of its own."""
        left = list(allowed)
        halves = self._tree.bisect and self._tree.knobs[knob].ordered
        while len(left) > 1:
            middle = len(left) // 2
            halved = [tuple(left[:middle]), tuple(left[middle:])]
            left = list(self._branch(halved if halves else [(code,) for code in left]))
        return left[0]

    def _branch(self, options: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        if not self._is_inside:
            self._n_beyond += 1
            return options[int(self._rng.integers(len(options)))]
        node = self.path[-1]
        node.n_branches, below = len(options), node.below
        promising = [o for o in options if o not in below or not below[o].is_exhausted] or options
        fresh = [o for o in promising if o not in below]
        self._is_inside = not fresh
        if not fresh:
            scores = [self._tree.score(below[o], node.n_visits) for o in promising]
            fresh = [o for o, score in zip(promising, scores, strict=True) if score == max(scores)]
        chosen = fresh[self._rng.integers(len(fresh))]
        self.path.append(below.setdefault(chosen, _Node()))
        return chosen

    def leave(self, is_new: bool) -> None:
        """Count the visit, if there is a candidate to be told of, and see what holds nothing new any more."""
        for node in self.path if is_new else []:
            node.n_visits += 1
        if self._n_beyond == 0:  # a leaf: its one candidate is known now
            self.path[-1].is_exhausted = True
        for node in reversed(self.path[:-1]):
            node.is_exhausted = len(node.below) == node.n_branches and all(b.is_exhausted for b in node.below.values())
