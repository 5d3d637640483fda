"""pymoo: any of its algorithms for one or several objectives by name, as a strategy.

Choose it to compare with what you know, or for an algorithm that archip has not got (MOEA/D, AGE-MOEA, SMS-EMOA).
It works in generations: results that are missing when more is asked for are bridged by random candidates, so ask for
no more than `population` at a time.
A gene is a key in [0, 1], the middle of its value's share. Crossover takes each gene from either parent, mutation draws
on average one gene anew or, where values are ordered, moves it by one; the particle swarm and differential evolution
move the keys themselves. A limit is a constraint; MOEA/D, which has none, is told such losses as the worst so far,
worsened by the violation (at most 1). Failures break the constraint by more than anything that was evaluated.
Source: Blank and Deb 2020, IEEE Access 8 (pymoo: ask and tell).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.errors import MissingExtra, UserError, nearest
from archip.core.knobs import Knob
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record
from archip.strategies._base import AskTell

__all__ = ["Pymoo"]

_MODULES = {
    "NSGA2": "moo.nsga2", "NSGA3": "moo.nsga3", "UNSGA3": "moo.unsga3", "MOEAD": "moo.moead", "AGEMOEA": "moo.age",
    "AGEMOEA2": "moo.age2", "CTAEA": "moo.ctaea", "SMSEMOA": "moo.sms", "SPEA2": "moo.spea2",
    "GA": "soo.nonconvex.ga", "DE": "soo.nonconvex.de", "PSO": "soo.nonconvex.pso",
}  # fmt: skip
_DIRECTED = ("NSGA3", "UNSGA3", "MOEAD", "CTAEA")  # they follow reference directions, one a place of the population
_OF_KEYS = ("DE", "PSO")  # they have no crossover and mutation to be replaced
_UNCONSTRAINED = ("MOEAD",)
_SINGLE = ("GA", "DE", "PSO")
_DRY = 5  # generations in a row in which all is known, before candidates are drawn instead; then one more a tell
_FAILURE = 10.0  # violation of a failed candidate; one that was evaluated has at most 1 here


@dataclass
class Pymoo(AskTell):
    """An algorithm of pymoo.

    Attributes:
        algorithm: name of its class: NSGA2, NSGA3, UNSGA3, MOEAD, AGEMOEA, AGEMOEA2, CTAEA, SMSEMOA, SPEA2; for one
            objective GA, DE, PSO as well.
        population: of a generation; those with reference directions have the nearest number of them below it.
    """

    algorithm: str = "NSGA2"
    population: Annotated[int, Field(ge=4)] = 40

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, which become pymoo's variables", "strategy")
        if self.algorithm not in _MODULES:
            raise UserError(f"no algorithm {self.algorithm!r} of pymoo", "algorithm", nearest(self.algorithm, _MODULES))
        if self.algorithm in _SINGLE and len(self.goals.objectives) > 1:
            raise UserError(f"{self.algorithm} has one objective", "algorithm", "NSGA2, say")
        _imported("core.problem")
        self._knobs, self._decide, self._codes = self.space.knobs, self.space.decide, self.space.codes
        self._n_codes_G = np.array([len(knob.values) for knob in self._knobs.values()])
        self._worst_O = np.zeros(len(self.goals.objectives))
        self._told: dict[str, tuple[np.ndarray | None, float]] = {}  # id → losses, if there are any, and violation
        self._algorithm: Any = None
        self._n_dry = 0

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self._algorithm is None:  # it has a generator of its own, which the first ask seeds
            self._algorithm = self._started(rng)
            self._next_generation()
        while self._n_dry < _DRY:
            while self._queue:
                candidate = self._queue.pop()
                if candidate.id not in self.asked:
                    self._n_dry = 0
                    return candidate
            if any(c is not None and c.id not in self._told for c in self._generation):
                self._n_bridged += 1
                if self._n_bridged <= len(self._generation):
                    break  # results are out; should they never come, the generation goes on without them
            self._n_dry += 1
            self._tell_generation()
            self._next_generation()
        return self.space.sample(rng)

    def observe(self, records: Sequence[Record]) -> None:
        self._n_dry = min(self._n_dry, _DRY - 1)
        losses_NO, violations_N = self.goals.losses(records), self.goals.violations(records)
        finite_NO = losses_NO[np.isfinite(losses_NO).all(1)]
        if not self._told and len(finite_NO):
            self._worst_O = finite_NO.max(0)
        self._worst_O = np.maximum(self._worst_O, finite_NO.max(0, initial=-np.inf))
        for record, losses_O, violation in zip(records, losses_NO, violations_N.tolist(), strict=True):
            is_known = bool(np.isfinite(losses_O).all())
            worse = _FAILURE if violation == np.inf else violation / (1 + violation)
            self._told[record.candidate.id] = (losses_O if is_known else None, worse)

    def _started(self, rng: np.random.Generator) -> Any:
        """The algorithm with a random first generation."""
        n_objectives, n_limits = len(self.goals.objectives), int(bool(self.goals.limits))
        options: dict[str, Any] = {"pop_size": self.population}
        if self.algorithm in _DIRECTED:
            options = {"ref_dirs": _directions(n_objectives, self.population)}
        if self.algorithm not in _OF_KEYS:
            options |= {"crossover": _imported("operators.crossover.ux").UX(), "mutation": _mutation(self._knobs)}
        firsts = [self.space.sample(rng) for _ in range(self.population)]
        codes_NG = np.maximum(self._codes(firsts), 0)  # pyright: ignore[reportOptionalCall]
        name = "ParallelMOEAD" if self.algorithm == "MOEAD" else self.algorithm  # a generation at a time
        algorithm = getattr(_imported(f"algorithms.{_MODULES[self.algorithm]}"), name)
        made = algorithm(sampling=_keys(codes_NG, self._n_codes_G), **options)
        constrained = 0 if self.algorithm in _UNCONSTRAINED else n_limits
        problem = _imported("core.problem").Problem(
            n_var=len(self._knobs), n_obj=n_objectives, n_ieq_constr=constrained, xl=0.0, xu=1.0
        )
        endless = _imported("core.termination").NoTermination()
        made.setup(problem, termination=endless, seed=int(rng.integers(2**31)), verbose=False)
        return made

    def _next_generation(self) -> None:
        self._n_bridged = 0
        self._individuals = self._algorithm.ask()
        if self._individuals is None:  # no offspring that is not in the population already
            self._generation, self._queue = [], []
            return
        keys_NG = np.clip(self._individuals.get("X"), 0, 1 - 1e-9)
        codes_NG = (keys_NG * self._n_codes_G).astype(int)
        self._generation = [self._decided(codes_G.tolist()) for codes_G in codes_NG]
        self._queue = [c for c in self._generation if c is not None][::-1]

    def _tell_generation(self) -> None:
        if not self._generation:
            return
        told = [self._told.get(c.id, (None, _FAILURE)) if c else (None, _FAILURE) for c in self._generation]
        losses_NO = np.array([self._worst_O if losses is None else losses for losses, _ in told])
        violations_N = np.array([violation for _, violation in told])
        if not self._algorithm.problem.has_constraints():
            worse_NO = self._worst_O + violations_N[:, None] * np.maximum(np.abs(self._worst_O), 1e-12)
            losses_NO = np.where(violations_N[:, None] > 0, worse_NO, losses_NO)
        has_constraints = self._algorithm.problem.has_constraints()
        violations_NL = violations_N[:, None] if has_constraints else np.zeros((len(told), 0))
        self._individuals.set(F=losses_NO, G=violations_NL, H=np.zeros((len(told), 0)))
        for individual in self._individuals:
            individual.evaluated |= {"F", "G", "H"}
        self._algorithm.tell(infills=self._individuals)

    def _decided(self, codes_G: Sequence[int]) -> Candidate | None:
        """The candidate of codes; of the codes that are allowed, the nearest."""
        code_of = dict(zip(self._knobs, codes_G, strict=True))
        return self._decide(lambda knob, allowed: min(allowed, key=lambda other: abs(other - code_of[knob])))


def _imported(module: str) -> Any:
    try:
        return import_module(f"pymoo.{module}")
    except ImportError:
        raise MissingExtra("pymoo", "search", "the strategy pymoo") from None


def _directions(n_objectives: int, n: int) -> np.ndarray:
    """At most `n` evenly spread directions (Das and Dennis)."""
    if n_objectives == 1:
        return np.ones((1, 1))
    make, found = _imported("util.ref_dirs").get_reference_directions, np.eye(n_objectives)
    for n_partitions in range(1, n):
        more = make("das-dennis", n_objectives, n_partitions=n_partitions)
        if len(more) > n:
            break
        found = more
    return found


def _keys(codes_NG: np.ndarray, n_codes_G: np.ndarray) -> np.ndarray:
    return (codes_NG + 0.5) / n_codes_G


def _mutation(knobs: Mapping[str, Knob]) -> Any:
    """On average one gene changes: to any value or, of ordered ones every second time, to the next."""
    n_codes_G = np.array([len(knob.values) for knob in knobs.values()])
    is_ordered_G = np.array([knob.ordered for knob in knobs.values()])

    class Redraw(_imported("core.mutation").Mutation):
        def _do(self, problem: Any, X: np.ndarray, *, random_state: Any, **_: Any) -> np.ndarray:
            codes_NG = (np.clip(X, 0, 1 - 1e-9) * n_codes_G).astype(int)
            changes_NG = random_state.random(X.shape) < 1 / len(n_codes_G)
            steps_NG = is_ordered_G & (random_state.random(X.shape) < 0.5)
            near_NG = np.clip(codes_NG + random_state.choice([-1, 1], X.shape), 0, n_codes_G - 1)
            any_NG = (random_state.random(X.shape) * n_codes_G).astype(int)
            return _keys(np.where(changes_NG, np.where(steps_NG, near_NG, any_NG), codes_NG), n_codes_G)

    return Redraw()
