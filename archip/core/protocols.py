"""Interfaces between the parts, each with its duties. Implementations need not inherit from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from archip.core.candidate import Candidate, Genotype
from archip.core.knobs import Knob
from archip.core.objectives import Goals
from archip.core.record import Outcome, Record

__all__ = [
    "CandidateSpace",
    "DesignSpace",
    "Designer",
    "Executor",
    "Failure",
    "KnobbedSpace",
    "Progress",
    "RunContext",
    "RunStore",
    "Screen",
    "Space",
    "Stage",
    "Store",
    "StoredRun",
    "StoredSearch",
    "Strategy",
    "Task",
    "Wanted",
]

# Networks (a candidate without hardware), goals, and what is to be least: latency, energy or area → the candidate of
# these networks with the best hardware within the limits; where none keeps them, with one that comes near.
Designer = Callable[[Candidate, Goals, str], Candidate]
# Candidates → what is known of each without training, by metric; nothing of one that cannot be built.
Screen = Callable[[Sequence[Candidate]], Sequence[Mapping[str, float]]]


@runtime_checkable
class Space(Protocol):
    """A set of genotypes of one part of a candidate.

    Everything handed out is canonical. Randomness comes only from the generator that is passed.
    """

    @property
    def size(self) -> float: ...

    def canonical(self, genotype: Any) -> Any: ...

    def sample(self, rng: np.random.Generator) -> Any: ...

    def mutate(self, genotype: Any, rng: np.random.Generator) -> Any: ...

    def crossover(self, a: Any, b: Any, rng: np.random.Generator) -> Any: ...

    def neighbours(self, genotype: Any) -> Iterator[Any]: ...

    def enumerate(self) -> Iterator[Any]: ...


@runtime_checkable
class CandidateSpace(Protocol):
    """The same for whole candidates: what a strategy searches (`spaces/product.py` makes it of the parts)."""

    @property
    def size(self) -> float: ...

    def sample(self, rng: np.random.Generator) -> Candidate: ...

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate: ...

    def crossover(self, a: Candidate, b: Candidate, rng: np.random.Generator) -> Candidate: ...

    def neighbours(self, candidate: Candidate) -> Iterator[Candidate]: ...

    def enumerate(self) -> Iterator[Candidate]: ...


@runtime_checkable
class KnobbedSpace(CandidateSpace, Protocol):
    """Candidates that are made of knobs: what controllers, trees and predictors need besides.

    `decide` gives the candidate of a row of decisions: `choose` gets a knob's name and the codes (places among the
    knob's values) that are allowed and gives one of them; None where the decisions break a constraint. `codes` is the
    way back, -1 for inactive genes; a space whose genotypes collapse may give others than were decided. `encode` gives
    [N, features] numbers for predictors, `statistics` [N, statistics] what is known without evaluation (zero-cost
    scores of a table, say), maybe no columns.
    """

    @property
    def knobs(self) -> Mapping[str, Knob]: ...

    def decide(self, choose: Callable[[str, Sequence[int]], int]) -> Candidate | None: ...

    def codes(self, candidates: Sequence[Candidate]) -> np.ndarray: ...

    def encode(self, candidates: Sequence[Candidate]) -> np.ndarray: ...

    def statistics(self, candidates: Sequence[Candidate]) -> np.ndarray: ...


@runtime_checkable
class DesignSpace(CandidateSpace, Protocol):
    """Candidates of networks and hardware, for strategies that treat the two apart.

    `networks` is the space of the same candidates without hardware. `designer` solves the hardware for given networks;
    None where there is nothing to be designed or nothing that solves it. `screen` tells costs; None where nothing does.
    """

    @property
    def networks(self) -> CandidateSpace: ...

    @property
    def designer(self) -> Designer | None: ...

    @property
    def screen(self) -> Screen | None: ...


@runtime_checkable
class Strategy(Protocol):
    """Proposes candidates. The dataclass fields of an implementation are its options.

    `start` is called once, before anything else. `ask` may be called while results are outstanding, must depend only
    on what was started, asked and told and on `rng`, and returns at most `n` new candidates, none of which it asked for
    before; an empty list says that it has nothing more to propose. `tell` takes any subset of what was asked, in any
    order, failures included. To resume a run, ask and tell again from its start: the stored records answer.
    """

    def start(self, space: CandidateSpace, goals: Goals) -> None: ...

    def ask(self, n: int, rng: np.random.Generator) -> list[Candidate]: ...

    def tell(self, records: Sequence[Record]) -> None: ...


@runtime_checkable
class Stage(Protocol):
    """One evaluator made ready for one run: what it reads, how its results are keyed, and the evaluation.

    Attributes:
        name: evaluator and, where it looks at one task only, the task: ``cost``, ``supernet.digits``.
        reads: names of the candidate's parts that its results depend on, e.g. ``("net.digits",)``.
        key: JSON that holds whatever else its results depend on: data digest, fidelity, seed, options.

    `evaluate` answers for every candidate, in order; it never raises for a candidate, a failure is an outcome with a
    reason. Equal parts, equal key and equal code give equal metrics. `prepare` does work that is shared by all
    candidates (such as training a supernet); it is called before the first evaluation that no stored result answers.
    A stage whose candidates cost less together may have an attribute `together`: so many, if there are as many, come at
    once.
    """

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> tuple[str, ...]: ...

    @property
    def key(self) -> Mapping[str, Any]: ...

    def prepare(self, progress: Progress | None) -> None: ...

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]: ...


@runtime_checkable
class Store(Protocol):
    """Keeps outcomes for ever, keyed by stage key and candidate parts. Safe against a kill at any moment.

    `get` and `put` take the digests that `search/cascade.py` makes. An outcome that is stored is never changed: a
    second `put` under the same key is ignored. `put` returns only when the outcomes would survive a kill.
    """

    def get(self, keys: Sequence[str]) -> dict[str, Outcome]: ...

    def put(self, items: Iterable[tuple[str, str, Mapping[str, Genotype], Outcome]]) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Failure:
    """What an executor gives in place of a result.

    Attributes:
        kind: ``error``: the function raised; ``time``: it took longer than its limit; ``lost``: its worker died, again
            after every retry; ``surroundings``: the disk, the user's files or settings are at fault, or the function
            cannot be loaded or prepared; not the item.
        reason: one line for a record.
        error: what was raised, where `kind` is ``surroundings``.
    """

    kind: str
    reason: str
    error: Exception | None = None


@runtime_checkable
class Executor(Protocol):
    """Calls a function for every item, on workers that stay. The dataclass fields of an implementation are its options.

    The function and the items must be picklable; the function travels once to a worker, so what is large belongs to it.
    A function with a method ``prepare()`` is prepared once on each worker, which counts to no item's time.

    An item's own fault is a `Failure` in the place of its result and never retried; an item whose worker is lost (a
    killed process, a dead machine) is tried again on another, as often as the option ``retries`` says. `limit_s` is
    the time of one item from when a worker begins it; it is measured by a clock that never jumps, and a worker that
    exceeds it is killed. Few items wait at the workers, so that `items` may be a long iterator. Several threads may
    use an executor at once. `close`, or the end of this process however it comes, ends the workers.
    """

    @property
    def n_workers(self) -> int: ...

    def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        limit_s: float | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Iterator[Any]:
        """Results in the order of the items.

        Args:
            limit_s: seconds of one item; None for no limit.
            resources: what one call occupies, for executors that know machines: ``num_cpus``, ``num_gpus``, ``memory``
                (bytes). None for the executor's own.
        """
        ...

    def completed(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        limit_s: float | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """(number of the item, result) as they come."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class StoredRun:
    """What a store knows of a run.

    Attributes:
        key: digest of what its records depend on.
        problem: as resolved, JSON.
        state: ``running``, ``done`` or ``failed``, as the run itself said last.
        owner: host and folder of the process that began it.
        revision: grows with every change of the run or its records.
        created_s: when it began, since 1970, by the store's clock.
        idle_s: time since its last sign of life.
        summary: the result in numbers, None before the end.
    """

    name: str
    key: str
    problem: Mapping[str, Any]
    goals: Goals
    state: str
    owner: str
    revision: int
    created_s: float
    idle_s: float
    summary: Mapping[str, Any] | None


@dataclass(frozen=True)
class StoredSearch:
    """Counts of one search of a run."""

    name: str
    n_records: int
    n_feasible: int
    n_failed: int


@dataclass(frozen=True)
class Wanted:
    """Which records, and in which order.

    Attributes:
        status: one of `core.record.Status`; empty for any.
        metric: records that have this metric, between `low` and `high` where they are given.
        sort: ``number``, ``seconds``, or a metric, by which records without it come last.
    """

    status: str = ""
    metric: str = ""
    low: float | None = None
    high: float | None = None
    sort: str = "number"
    is_descending: bool = False

    @property
    def is_all(self) -> bool:
        """Whether every record is wanted."""
        return not self.status and not self.metric

    def has(self, record: Record) -> bool:
        """Whether this one is wanted."""
        value = record.metrics.get(self.metric) if self.metric else 0.0
        if value is None or (self.status and record.status != self.status):
            return False
        return not self.metric or (
            (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        )


@runtime_checkable
class RunStore(Store, Protocol):
    """A store that also keeps the records of runs in the order in which they were told, and who works on what.

    `begin` makes the run or continues it; a run whose `key` has changed loses its records (not its outcomes) if the
    same `owner` begins it, and refuses another owner. `append` writes each record once: one whose candidate is in the
    search already is ignored, one whose number is taken gets the next free number; it gives how many were new. Counts
    and the front (equal to `core.pareto.front` of all records of the search) change in the same transaction, and no
    time grows with the number of records. Several processes may write one run.

    `claim` gives those of `keys` that nobody else holds and holds them for `seconds`; expired leases are taken over. A
    lease only saves work: that nothing is written twice comes from `put` and `append`.
    """

    def begin(self, run: str, problem: Mapping[str, Any], goals: Goals, key: str, owner: str = "") -> None: ...

    def append(self, run: str, search: str, records: Sequence[Record], source: str = "") -> int: ...

    def beat(self, run: str) -> None: ...

    def end(self, run: str, state: str, summary: Mapping[str, Any] | None = None) -> None: ...

    def runs(self) -> list[StoredRun]: ...

    def find(self, run: str) -> StoredRun | None: ...

    def revision(self, run: str) -> int: ...

    def searches(self, run: str) -> list[StoredSearch]: ...

    def records(self, run: str, search: str, start: int = 0, stop: int | None = None) -> list[Record]: ...

    def numbered(self, run: str, search: str, numbers: Sequence[int]) -> list[Record]: ...

    def record(self, run: str, candidate: str) -> Record | None: ...

    def found(self, run: str, search: str, wanted: Wanted, start: int, n: int) -> tuple[int, list[Record]]:
        """(how many are as wanted, `n` of them from the `start`-th in their order). This one may scan all records."""
        ...

    def front(self, run: str, search: str) -> list[Record]: ...

    def claim(self, keys: Sequence[str], owner: str, seconds: float) -> list[str]: ...

    def renew(self, keys: Sequence[str], owner: str, seconds: float) -> list[str]: ...

    def release(self, keys: Sequence[str], owner: str) -> None: ...


class Progress(Protocol):
    """Shows how far a piece of work is; where None stands in its place, nothing is shown."""

    def start(self, description: str, total: int) -> Any: ...

    def advance(self, handle: Any, n: int = 1, **fields: object) -> None: ...

    def finish(self, handle: Any) -> None: ...


@dataclass(frozen=True)
class Task:
    """One task of a problem, ready for evaluation.

    Attributes:
        space: the network space (`spaces/_network.py`).
        load: gives the data set (`data/_dataset.py`); the first call reads it, later ones return the same object.
        metric: the task's own metric, ``accuracy`` or ``iou``.
        weight: its share in ``quality``.
    """

    name: str
    space: Any
    load: Callable[[], Any]
    metric: str
    weight: float


@dataclass(frozen=True)
class RunContext:
    """What an evaluator may use to make its stages.

    Attributes:
        target: the chip space (`spaces/chip.py`), a device (`hardware/devices`: accelerator, measured, fitted, mcu), or
            None where no hardware is asked for.
        folder: the run's folder, for checkpoints; everything in it may be there already from an earlier session.
        schedule: the policy that puts layers on the cores of a chip (`hardware/schedule`).
        quantizer: rounds networks to the bits of a candidate (`compress/quantize`); None where no bits are searched.
    """

    tasks: tuple[Task, ...]
    target: Any
    goals: Goals
    seed: int
    folder: Path
    schedule: str = "hap"
    quantizer: Any = None
