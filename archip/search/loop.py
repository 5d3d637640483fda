"""The one loop: ask, evaluate, tell, until the budget is spent.

To continue a run, run it again: the same asks follow from the same seed, and the store answers what is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from archip.core.objectives import Goals
from archip.core.problem import Budget
from archip.core.protocols import CandidateSpace, Strategy
from archip.core.record import Record
from archip.core.rng import generator
from archip.search.cascade import Cascade

__all__ = ["search"]


def search(
    strategy: Strategy,
    space: CandidateSpace,
    cascade: Cascade,
    goals: Goals,
    budget: Budget,
    seed: int,
    seen: Callable[[Sequence[Record]], None] = lambda records: None,
) -> list[Record]:
    """All records of a search, in the order in which they were told.

    Args:
        budget: ends the search by number of candidates or by time; time that stored results once took counts again.
        seen: called with each batch of new records, e.g. to show progress.
    """
    strategy.start(space, goals)
    cascade.prunes = getattr(strategy, "prunes", True)
    records: list[Record] = []
    began = time.monotonic()
    replayed_s = 0.0
    for ask_number in range(budget.candidates):
        spent_s = time.monotonic() - began + replayed_s
        n = min(budget.batch, budget.candidates - len(records))
        if n <= 0 or (budget.minutes is not None and spent_s >= 60 * budget.minutes):
            break
        candidates = strategy.ask(n, generator(seed, "ask", ask_number))
        if not candidates:
            break
        asked = time.monotonic()
        batch = [replace(r, number=len(records) + i) for i, r in enumerate(cascade.evaluate(candidates))]
        replayed_s += max(0.0, sum(r.seconds for r in batch) - (time.monotonic() - asked))
        strategy.tell(batch)
        records += batch
        seen(batch)
    return records
