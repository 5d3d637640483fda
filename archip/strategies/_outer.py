"""Outer: a strategy that proposes networks inside one that adds their hardware.

The one inside searches the space without hardware; what it proposes is completed to a candidate, and what was learnt of
that candidate is told to it as if it were about the networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.objectives import Goals
from archip.core.problem import Plug
from archip.core.protocols import CandidateSpace, Designer, DesignSpace, Strategy
from archip.core.record import Record

__all__ = ["Named", "Outer", "design_space", "designer_of", "made", "schedules_for"]

Named = str | dict[str, dict[str, Any]]  # a strategy by name, or {name: options}
_TRIES = 32  # proposals whose candidates are known already, before the networks count as exhausted


class Outer:
    """The strategy inside, with its networks and what was told."""

    def __init__(self, strategy: Named, networks: CandidateSpace, goals: Goals) -> None:
        self._strategy = made(strategy, "outer")
        self._strategy.start(networks, goals)
        self._networks: dict[str, Candidate] = {}
        self._told: dict[str, Record] = {}
        self._is_done = False

    def propose(self, complete: Callable[[Candidate], Candidate], rng: np.random.Generator) -> Candidate | None:
        """New networks, completed; None if nothing new is left or only completions come back that are known."""
        for _ in range(0 if self._is_done else _TRIES):
            asked = self._strategy.ask(1, rng)
            if not asked:
                self._is_done = True
                break
            candidate = complete(asked[0])
            if candidate.id in self._told:
                self._strategy.tell([replace(self._told[candidate.id], candidate=asked[0])])
            elif candidate.id not in self._networks:
                self._networks[candidate.id] = asked[0]
                return candidate
        return None

    def observe(self, records: Sequence[Record]) -> None:
        """Tell the strategy what became of its networks; other records are kept, should it propose theirs."""
        self._told |= {record.candidate.id: record for record in records}
        ours = [r for r in records if r.candidate.id in self._networks]
        self._strategy.tell([replace(r, candidate=self._networks[r.candidate.id]) for r in ours])


def made(strategy: Named, option: str) -> Strategy:
    """The strategy that an option names."""
    try:
        plug = Plug.of(strategy)
        return registry.create("strategies", plug.name, plug.options)
    except ValueError as error:
        raise UserError(str(error), option) from None
    except UserError as error:
        raise error.at(option) from None


def design_space(space: CandidateSpace) -> DesignSpace:
    """The space, where it has hardware that can be told apart from its networks.

    Raises:
        UserError: there is nothing to be designed.
    """
    if not isinstance(space, DesignSpace) or space.sample(np.random.default_rng(0)).hw is None:
        raise UserError("there is no chip to be designed", "strategy", "target: {chip: {cores: …}}")
    return space


def designer_of(space: CandidateSpace) -> Designer:
    """What solves the hardware of given networks.

    Raises:
        UserError: there is nothing to be designed, or nothing solves it.
    """
    designer = design_space(space).designer
    if designer is None:
        raise UserError("nothing solves the chip of given networks here", "strategy", "joint, or another strategy")
    return designer


def schedules_for(goals: Goals) -> str:
    """What the schedules of a run are made for: energy within a limit on latency, else latency."""
    limited = {limit.metric for limit in goals.limits}
    return "energy" if limited & {"latency_cycles", "latency_s"} else "latency"
