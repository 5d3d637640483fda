"""COSMA: the order of operators, what stays in the scratchpad and where, and what is spilled, with the least traffic.

Choose it for one core with a scratchpad that is too small for everything alive, where a compiler decides what moves:
it minimises the bytes between scratchpad and DRAM beyond the compulsory ones, exactly for graphs of some 30 operators
between narrow places.
Source: Zhang et al. 2023, arXiv:2311.18246; x, p, f, s and a below are its variables. Differs: CP-SAT solves the
programme instead of a MILP solver. Where one tensor alone crosses a cut the pieces are joined without loss; addresses
are then fixed by the earlier piece. Longer pieces are solved in windows of a thrifty order, where a tensor that is
needed later and not kept costs its way out and back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from archip.core.errors import CandidateError
from archip.hardware.schedule._tensors import TensorGraph, cut

__all__ = ["Cosma"]


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """What runs and what lies in the scratchpad at each step. T steps, E tensors.

    Attributes:
        order_T: the operator of each step.
        resident_TE: whether the tensor is in the scratchpad.
        fetched_TE: whether it is read from DRAM just before the step.
        written_E: whether it is written to DRAM, once.
        address_TE: first byte of each resident tensor, -1 for others; None where addresses were not asked for.
        extra_bytes: traffic beyond the compulsory one.
        least_extra_bytes: no plan needs less (of this order, where it was given); None where nothing is proven.
    """

    order_T: tuple[int, ...]
    resident_TE: np.ndarray
    fetched_TE: np.ndarray
    written_E: np.ndarray
    address_TE: np.ndarray | None
    extra_bytes: int
    least_extra_bytes: int | None

    @property
    def is_optimal(self) -> bool:
        return self.extra_bytes == self.least_extra_bytes


@dataclass(frozen=True)
class Cosma:
    """Plans a scratchpad; `placed` asks for addresses, `piece` is the most operators solved at once."""

    placed: bool = False
    piece: Annotated[int, Field(ge=1)] = 30
    time_limit_s: Annotated[float, Field(gt=0)] = 30.0  # for each piece
    seed: Annotated[int, Field(ge=0)] = 0

    def plan(self, graph: TensorGraph, scratchpad_bytes: int, order: Sequence[int] | None = None) -> MemoryPlan:
        """The plan of least traffic.

        Args:
            order: operators in the order in which they have to run; None where that is free.

        Raises:
            CandidateError: an operator whose own tensors do not fit, or no plan was found in time.
        """
        for o, tensors in enumerate(graph.tensors_O):
            if (need := sum(graph.size_E[e] for e in tensors)) > scratchpad_bytes:
                raise CandidateError(f"operator {graph.name_O[o]!r} needs {need} of {scratchpad_bytes} bytes at once")
        natural = cut(graph) if order is None else [list(order)]
        windows = [ops[i : i + self.piece] for ops in natural for i in range(0, len(ops), self.piece)]
        solved: list[_Solved] = []
        state = _State({}, frozenset(e for e, producer in enumerate(graph.producer_E) if producer < 0))
        for i, window in enumerate(windows):
            later = frozenset(e for ops in windows[i + 1 :] for o in ops for e in graph.tensors_O[o])
            question = _Piece(graph, scratchpad_bytes, window, state, later, order is not None, self)
            solved.append(question.solve())
            state = solved[-1].after
        is_exact = len(windows) == len(natural) and (len(natural) == 1 or not self.placed)
        written_E = np.array([e in state.in_dram and producer >= 0 for e, producer in enumerate(graph.producer_E)])
        fetched_TE = np.concatenate([s.fetched_TE for s in solved])
        traffic = int((written_E + fetched_TE.sum(axis=0)) @ np.array(graph.size_E))
        least = math.ceil(sum(s.least_bytes for s in solved) - 1e-6) - graph.compulsory_bytes
        return MemoryPlan(
            order_T=tuple(o for s in solved for o in s.order_T),
            resident_TE=np.concatenate([s.resident_TE for s in solved]),
            fetched_TE=fetched_TE,
            written_E=written_E,
            address_TE=np.concatenate([s.address_TE for s in solved]) if self.placed else None,
            extra_bytes=traffic - graph.compulsory_bytes,
            least_extra_bytes=least if is_exact else None,
        )


class _State(NamedTuple):
    """What is where between two pieces: tensor → address in the scratchpad, and the tensors that DRAM has."""

    address: dict[int, int]
    in_dram: frozenset[int]


class _Solved(NamedTuple):
    """The steps of one piece as in `MemoryPlan`; bytes that it moves at the least, what is where after it."""

    order_T: list[int]
    resident_TE: np.ndarray
    fetched_TE: np.ndarray
    address_TE: np.ndarray
    least_bytes: float
    after: _State


class _Piece(NamedTuple):
    """Operators to be solved together; `later` are the tensors that others need after them."""

    graph: TensorGraph
    capacity: int
    operators: list[int]
    state: _State
    later: frozenset[int]
    is_in_order: bool
    options: Cosma

    def solve(self) -> _Solved:
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        x, p, f, s = self._variables(model)
        self._order(model, x)
        self._residency(model, x, p, f, s)
        a = self._addresses(model, p, f) if self.options.placed else {}
        size_E, last = self.graph.size_E, len(self.operators) - 1
        traffic = sum(size_E[e] * s[e] for e in s if e not in self.state.in_dram)
        traffic += sum(size_E[e] * f[key] for key in f for e in [key[0]])
        back = sum(size_E[e] * (1 - p[e, last]) for e in self.later if (e, last) in p and e in self._begun())
        model.minimize(traffic + back)
        for t, o in enumerate(self.operators):
            model.add_hint(x[o, t], 1)
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = self.options.time_limit_s
        solver.parameters.random_seed = self.options.seed
        solver.parameters.num_workers = 1
        if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise CandidateError(f"no plan for {len(self.operators)} operators within {self.options.time_limit_s} s")
        return self._read(solver, x, p, f, s, a)

    def _begun(self) -> set[int]:
        """Tensors that lie somewhere when the piece has ended: made in it, or resident before it."""
        made = {e for o in self.operators for e in self.graph.tensors_O[o] if self.graph.producer_E[e] == o}
        return made | self.state.address.keys()

    def _variables(self, model: Any) -> tuple[dict, dict, dict, dict]:
        """x[o, t]: o runs at t; p[e, t]: e is resident; f[e, t]: e is fetched; s[e]: e is in DRAM at the end."""
        steps = range(len(self.operators))
        inside = set(self.operators)
        touched = {e for o in self.operators for e in self.graph.tensors_O[o]}
        x = {}
        for i, o in enumerate(self.operators):
            first = i if self.is_in_order else len(self.graph.before_O[o] & inside)
            n_after = sum(o in self.graph.before_O[q] for q in self.operators)
            final = i if self.is_in_order else len(steps) - 1 - n_after
            x |= {(o, t): model.new_bool_var(f"x {o} {t}") if first <= t <= final else 0 for t in steps}
        tensors = sorted(touched | (self.state.address.keys() & self.later))
        p = {(e, t): model.new_bool_var(f"p {e} {t}") for e in tensors for t in steps}
        f = {(e, t): model.new_bool_var(f"f {e} {t}") for e in tensors for t in steps}
        s = {e: 1 if e in self.state.in_dram else model.new_bool_var(f"s {e}") for e in tensors}
        return x, p, f, s

    def _order(self, model: Any, x: dict) -> None:
        steps = range(len(self.operators))
        for o in self.operators:
            model.add(sum(x[o, t] for t in steps) == 1)
        for t in steps:
            model.add(sum(x[o, t] for o in self.operators) == 1)

    def _residency(self, model: Any, x: dict, p: dict, f: dict, s: dict) -> None:
        graph, steps, inside = self.graph, range(len(self.operators)), set(self.operators)
        for e in s:
            producer = graph.producer_E[e]
            for t in steps:
                made_now = x[producer, t] if producer in inside else 0
                made_before = sum(x[producer, u] for u in range(t)) if producer in inside else 1
                kept = p[e, t - 1] if t else int(e in self.state.address)
                model.add(p[e, t] <= kept + f[e, t] + made_now)
                model.add(f[e, t] <= made_before)
                model.add(f[e, t] <= s[e])
                for o in {producer, *graph.readers_E[e]} & inside:
                    model.add(x[o, t] <= p[e, t])
                    if o != producer:
                        model.add(x[o, t] <= made_before)
            if graph.is_output_E[e] and producer in inside:
                model.add(s[e] == 1)
            if e in self.later and e in self._begun():
                model.add(p[e, len(steps) - 1] + s[e] >= 1)
        for t in steps:
            model.add(sum(graph.size_E[e] * p[e, t] for e in s) <= self.capacity)

    def _addresses(self, model: Any, p: dict, f: dict) -> dict:
        """a[e, t]: first byte of e at t, the same as before unless it has just come; tensors do not overlap."""
        a = {(e, t): model.new_int_var(0, self.capacity - self.graph.size_E[e], f"a {e} {t}") for e, t in p}
        for (e, t), here in a.items():
            if t:
                model.add(here == a[e, t - 1]).only_enforce_if(p[e, t], p[e, t - 1], ~f[e, t])
            elif e in self.state.address:
                model.add(here == self.state.address[e]).only_enforce_if(p[e, t], ~f[e, t])
        for t in range(len(self.operators)):
            lanes = [
                model.new_optional_fixed_size_interval_var(a[e, u], self.graph.size_E[e], p[e, u], f"a {e} {u}")
                for e, u in p
                if u == t
            ]
            model.add_no_overlap(lanes)
        return a

    def _read(self, solver: Any, x: dict, p: dict, f: dict, s: dict, a: dict) -> _Solved:
        shape = len(self.operators), len(self.graph.size_E)
        resident_TE, fetched_TE, address_TE = np.zeros(shape, bool), np.zeros(shape, bool), np.full(shape, -1)
        for (e, t), runs in p.items():
            resident_TE[t, e] = solver.value(runs)
            fetched_TE[t, e] = solver.value(f[e, t])
            if resident_TE[t, e] and a:
                address_TE[t, e] = solver.value(a[e, t])
        here = {e: int(address_TE[-1, e]) for e in self.later if resident_TE[-1, e]}
        saved = {e for e in s if solver.value(s[e])}
        return _Solved(
            order_T=[next(o for o in self.operators if solver.value(x[o, t])) for t in range(shape[0])],
            resident_TE=resident_TE,
            fetched_TE=fetched_TE,
            address_TE=address_TE,
            least_bytes=solver.best_objective_bound,
            after=_State(here, self.state.in_dram | saved),
        )
