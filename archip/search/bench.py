"""Bench: strategies compared on a table whose answers are known, many seeds each, in parallel.

A strategy proposes as in a run (`ask`, the cascade, `tell`) and sees one metric. What counts as its answer after q
queries is the test metric of the best network by the metric that it saw, among its first q. A query is a look at the
accuracy of one distinct network; networks that break a limit are refused by their cost and are no query.

Legend: K seeds, Q queries, T test metrics, N rows of the table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np

from archip.core import registry
from archip.core.errors import ArchipError, UserError
from archip.core.objectives import Goals, Limit, Objective
from archip.core.problem import Plug
from archip.core.protocols import RunContext, Task
from archip.core.record import metric
from archip.core.rng import generator
from archip.data._table import Table
from archip.data._table_spec import Search
from archip.evaluators.tabular import Tabular as TabularEvaluator
from archip.search.cascade import Cascade
from archip.spaces.product import ProductSpace
from archip.spaces.tabular import Tabular
from archip.store.memory import Memory

__all__ = ["Bench", "Curves", "Protocol", "Setting", "Trace", "curves_of", "run_bench", "search_table", "setting"]

Protocol = Literal["full", "early"]
_TASK = "table"
_REFUSED = 200  # proposals a query that may break limits before a search counts as stuck
_CHUNK = 5  # seeds that a process takes at once


@dataclass(frozen=True)
class Bench:
    """What is measured; the same for all strategies.

    Attributes:
        metric: a search of the table or a metric (`Table.search`); None: the table's first search.
        protocol: whether strategies see the metric after a full training or that after a short one.
        budget: queries.
        limits: metric of the table → bound in SI units.
        seconds: ends a search when the trainings of the networks asked for take longer; None: no such end.
        promote: of the early protocol: how many of the best are trained in full, to answer with the best of them.
        batch: candidates asked for at once.
        merge: whether rows that are the same network are one query (`spaces/tabular.py`).
    """

    table: str
    data: str | None = None
    metric: str | None = None
    protocol: Protocol = "full"
    budget: int = 200
    limits: tuple[tuple[str, float], ...] = ()
    seconds: float | None = None
    promote: int = 1
    batch: int = 1
    merge: bool = True


@dataclass(frozen=True)
class Setting:
    """A bench with its table read.

    Attributes:
        shown, tests: names of the metric that strategies see, and of those of the answer.
        shown_N, full_N: the metric that strategies see, and the one after a full training; signed: more is better.
        test_TN: metrics of the answer, in SI units as they are.
        feasible_N: what a search can answer with: within the limits, and of rows that are one network the first (the
            others may keep a limit that it breaks, since each was measured by itself).
        seconds_N: time of the training that a query stands for; None if nobody asked.
    """

    bench: Bench
    table: Table
    search_name: str
    search: Search
    goals: Goals
    space: ProductSpace
    run: RunContext
    shown: str
    shown_N: np.ndarray
    full_N: np.ndarray
    test_TN: np.ndarray
    feasible_N: np.ndarray
    seconds_N: np.ndarray | None

    @property
    def tests(self) -> list[str]:
        return self.search.test

    @property
    def goal(self) -> int:
        """+1 where more of the test metric is better."""
        return metric(self.tests[0]).goal

    @property
    def optimum(self) -> float:
        """The best test value of all networks within the limits."""
        return self.goal * float(np.nanmax(np.where(self.feasible_N, self.goal * self.test_TN[0], np.nan)))

    @property
    def average(self) -> float:
        """Test value of the average row: what a random architecture gives."""
        return float(np.nanmean(self.test_TN[0]))


@lru_cache(maxsize=2)
def setting(bench: Bench) -> Setting:
    """Read what a bench needs.

    Raises:
        UserError: an unknown table, metric or limit, a protocol that the table does not have, or limits that no row
            keeps.
    """
    space = Tabular(bench.table, bench.data, bench.merge)
    table = space.rows
    try:
        name, search = table.search(bench.metric)
    except UserError as error:
        raise error.at("--metric") from None
    shown = search.full
    if bench.protocol == "early":
        if search.early is None:
            raise UserError(f"{table.name} has no early metric of {name}", "--protocol", "full")
        shown = search.early.metric
    limits = tuple(Limit(table.metric_name(key), bound) for key, bound in bench.limits)
    feasible_N = np.zeros(table.n_rows, bool)
    feasible_N[space.distinct_N] = True
    for limit in limits:
        feasible_N &= limit_kept(table, limit)
    if not feasible_N.any():
        raise UserError("no row of the table keeps the limits", "--limit", ", ".join(map(str, limits)))
    task = Task(_TASK, space, lambda: None, shown.rpartition(".")[2], float(metric(shown).goal))
    goals = Goals((Objective("quality", +1),), limits)
    return Setting(
        bench=bench,
        table=table,
        search_name=name,
        search=search,
        goals=goals,
        space=ProductSpace({f"net.{_TASK}": space}),
        run=RunContext((task,), None, goals, 0, Path()),
        shown=shown,
        shown_N=metric(shown).goal * table.metric(shown),
        full_N=metric(search.full).goal * table.metric(search.full),
        test_TN=np.stack([table.metric(test) for test in search.test]),
        feasible_N=feasible_N,
        seconds_N=_seconds(bench, table, search),
    )


def limit_kept(table: Table, limit: Limit) -> np.ndarray:
    """[N] whether a row keeps a limit; one that lacks the metric does not."""
    values_N = metric(limit.metric).goal * table.metric(limit.metric)
    return values_N >= metric(limit.metric).goal * limit.bound


def _seconds(bench: Bench, table: Table, search: Search) -> np.ndarray | None:
    if bench.seconds is None:
        return None
    source = search.early.seconds if bench.protocol == "early" and search.early else search.seconds
    if source is None:
        raise UserError(f"{table.name} has no training times", "--seconds", "a number of queries with --budget")
    return table.metric(source)


@dataclass(frozen=True)
class Trace:
    """One search: the rows it looked at, in order; proposals that broke a limit; time spent in the strategy."""

    rows: list[int]
    n_refused: int
    strategy_s: float


def search_table(here: Setting, plug: Plug, seed: int) -> Trace:
    """One search of one strategy."""
    bench, space = here.bench, here.run.tasks[0].space
    strategy = registry.create("strategies", plug.name, plug.options)
    costs = tuple(name for name, _ in bench.limits)
    stages = TabularEvaluator(here.shown, costs).stages(here.run)
    cascade = Cascade(stages, here.goals, Memory(), here.run.tasks)
    strategy.start(here.space, here.goals)
    rows: list[int] = []
    n_refused, spent_s, simulated_s, ask_number = 0, 0.0, 0.0, 0
    while len(rows) < bench.budget and n_refused < _REFUSED * bench.budget:
        began = time.process_time()
        batch = strategy.ask(min(bench.batch, bench.budget - len(rows)), generator(seed, "ask", ask_number))
        spent_s += time.process_time() - began
        if not batch:
            break
        records = cascade.evaluate(batch)
        places = [space.row(c.net[_TASK]) for c in batch]
        looked = [row for row in places if here.feasible_N[row]]
        simulated_s += float(here.seconds_N[looked].sum()) if here.seconds_N is not None else 0.0
        if bench.seconds is not None and simulated_s > bench.seconds:
            break
        rows += looked
        n_refused += len(places) - len(looked)
        began = time.process_time()
        strategy.tell(records)
        spent_s += time.process_time() - began
        ask_number += 1
    return Trace(rows, n_refused, spent_s)


def answers(here: Setting, rows: Sequence[int]) -> np.ndarray:
    """[T, Q] test metrics of the answer after each query; NaN before there is one, the last goes on to the budget."""
    n_queries = here.bench.budget
    answer_Q = np.full(n_queries, -1)
    for q, row in enumerate(_promoted(here, rows) if here.bench.promote > 1 else _best_so_far(here, rows)):
        answer_Q[q] = row
    if rows:
        answer_Q[len(rows) :] = answer_Q[len(rows) - 1]
    return np.where(answer_Q >= 0, here.test_TN[:, answer_Q], np.nan)


def _best_so_far(here: Setting, rows: Sequence[int]) -> Iterator[int]:
    best = -1
    for row in rows:
        if here.shown_N[row] == here.shown_N[row] and (best < 0 or here.shown_N[row] > here.shown_N[best]):
            best = row
        yield best


def _promoted(here: Setting, rows: Sequence[int]) -> Iterator[int]:
    """The best in full training of the best few; all trainings but one are paid with queries."""
    early = here.search.early
    assert early is not None
    price = (here.bench.promote - 1) / early.cost
    for q in range(1, len(rows) + 1):
        n = int(q - price)
        if n < here.bench.promote:
            yield -1
            continue
        seen = np.array(rows[:n])
        best = seen[np.argsort(-here.shown_N[seen], kind="stable")[: here.bench.promote]]
        yield int(best[np.argmax(here.full_N[best])])


@dataclass
class Curves:
    """What one strategy gave.

    Attributes:
        values_KTQ: test metrics by seed and query, in SI units.
        rows: of each seed, in the order of its queries.
        strategy_ms: time in the strategy a candidate.
        n_refused: proposals that broke a limit, of all seeds.
    """

    plug: Plug
    values_KTQ: np.ndarray
    rows: list[list[int]] = field(default_factory=list)
    strategy_ms: float = 0.0
    n_refused: int = 0


def run_bench(
    bench: Bench,
    strategies: Mapping[str, Plug],
    n_seeds: int,
    n_jobs: int | None = None,
    seen: Callable[[int], None] = lambda n: None,
) -> dict[str, Curves]:
    """All searches: name → curves. The results do not depend on `n_jobs`.

    Args:
        n_jobs: processes; by default one a core.
        seen: called with the number of searches that have ended since the last call.

    Raises:
        UserError: what `setting` refuses, or a strategy that refuses the table.
    """
    setting(bench)
    n_jobs = n_jobs or os.cpu_count() or 1
    chunks = [(name, range(at, min(at + _CHUNK, n_seeds))) for name in strategies for at in range(0, n_seeds, _CHUNK)]
    traces: dict[tuple[str, int], Trace] = {}
    if n_jobs == 1:
        for name, seeds in chunks:
            traces |= _collected(name, seeds, _work(bench, strategies[name], seeds))
            seen(len(seeds))
    else:
        with ProcessPoolExecutor(min(n_jobs, len(chunks)), get_context("spawn")) as pool:
            jobs = {pool.submit(_work, bench, strategies[name], seeds): (name, seeds) for name, seeds in chunks}
            for job in as_completed(jobs):
                name, seeds = jobs[job]
                traces |= _collected(name, seeds, job.result())
                seen(len(seeds))
    return {
        name: curves_of(bench, plug, [traces[name, k] for k in range(n_seeds)]) for name, plug in strategies.items()
    }


def _work(bench: Bench, plug: Plug, seeds: Sequence[int]) -> list[Trace] | str:
    """Searches of some seeds; text of the error if the strategy refuses (errors do not travel between processes)."""
    try:
        here = setting(bench)
        return [search_table(here, plug, seed) for seed in seeds]
    except ArchipError as error:
        return str(error)


def _collected(name: str, seeds: Sequence[int], found: list[Trace] | str) -> dict[tuple[str, int], Trace]:
    if isinstance(found, str):
        raise UserError(found, name)
    return {(name, seed): trace for seed, trace in zip(seeds, found, strict=True)}


def curves_of(bench: Bench, plug: Plug, traces: Sequence[Trace]) -> Curves:
    """What searches with the seeds 0, 1 … gave."""
    here = setting(bench)
    n_asked = sum(len(t.rows) + t.n_refused for t in traces)
    return Curves(
        plug=plug,
        values_KTQ=np.stack([answers(here, t.rows) for t in traces]),
        rows=[t.rows for t in traces],
        strategy_ms=1e3 * sum(t.strategy_s for t in traces) / max(n_asked, 1),
        n_refused=sum(t.n_refused for t in traces),
    )
