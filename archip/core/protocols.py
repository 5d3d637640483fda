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
    "KnobbedSpace",
    "Progress",
    "RunContext",
    "Screen",
    "Space",
    "Stage",
    "Store",
    "Strategy",
    "Task",
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
    """

    tasks: tuple[Task, ...]
    target: Any
    goals: Goals
    seed: int
    folder: Path
    schedule: str = "hap"
