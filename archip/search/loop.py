"""The one loop: ask, evaluate, tell, until the budget is spent.

To continue a run, run it again: the same asks follow from the same seed, and the store answers what is known.

With a lag of k, an ask is made when all but the last k asks before it are told, so that workers need not wait for the
slowest of a batch. Records are told ask by ask whatever is ready first: a run gives the same records with any number
of workers.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from archip.core.candidate import Candidate
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
) -> int:
    """Run a search; gives the number of its records.

    Args:
        budget: ends the search by number of candidates or by time; time that stored results once took counts again.
        seen: called with each batch of new records in the order of their numbers, e.g. to keep them and show progress.
    """
    strategy.start(space, goals)
    cascade.prunes = getattr(strategy, "prunes", True)
    began, replayed_s = time.monotonic(), cascade.replayed_s
    n_asked = 0
    outstanding: deque[Future[list[Record]]] = deque()

    def tell() -> None:
        batch = outstanding.popleft().result()
        strategy.tell(batch)
        seen(batch)

    with _evaluating(cascade, budget.lag) as evaluate:
        for ask_number in range(budget.candidates):
            while len(outstanding) > budget.lag:
                tell()
            spent_s = time.monotonic() - began + (cascade.replayed_s - replayed_s) / cascade.n_workers
            n = min(budget.batch, budget.candidates - n_asked)
            if n <= 0 or (budget.minutes is not None and spent_s >= 60 * budget.minutes):
                break
            candidates = strategy.ask(n, generator(seed, "ask", ask_number))
            if not candidates:
                break
            outstanding.append(evaluate(candidates, n_asked))
            n_asked += len(candidates)
        while outstanding:
            tell()
    return n_asked


@contextlib.contextmanager
def _evaluating(cascade: Cascade, lag: int) -> Iterator[Callable[[Sequence[Candidate], int], Future[list[Record]]]]:
    """A function that begins to evaluate candidates and to number their records; at once where nothing may lag."""

    def numbered(candidates: Sequence[Candidate], first: int) -> list[Record]:
        return [replace(r, number=first + i) for i, r in enumerate(cascade.evaluate(candidates))]

    def at_once(candidates: Sequence[Candidate], first: int) -> Future[list[Record]]:
        future: Future[list[Record]] = Future()
        future.set_result(numbered(candidates, first))
        return future

    if not lag:
        yield at_once
        return
    threads = ThreadPoolExecutor(lag + 1, "archip asks")
    try:
        yield lambda candidates, first: threads.submit(numbered, candidates, first)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # after an error its threads end with the executor
