"""Compiled search over the mappings that a dataflow allows: unroll, order, size, cut, cost, keep the best."""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.mappers._search import (
    CYCLES,
    MAX_ORDERS,
    MAX_PLACES,
    begin,
    conclude,
    try_fillings,
    unrollings,
)
from archip.hardware.models._kernels import O, number_places, spread, sweep

__all__ = ["search_dataflow"]

REST, REGISTER, BUFFER = range(3)  # what a place in an order takes of its loop
MAX_DIVISORS = 5  # of a varied part: the largest, the smallest, and some in between
N_FACTORS = 3  # pieces in which a loop is offered to the memories
MAX_PIECES = 24  # in all

_compiled = njit(cache=True, error_model="numpy")


@_compiled
def _divisors(n, limit, found):
    """Up to MAX_DIVISORS divisors of n that are at most `limit`, largest first; returns how many."""
    m = 0
    for k in range(min(n, limit), 0, -1):
        if n % k == 0:
            if m == MAX_DIVISORS:  # keep the smallest as well
                found[m - 1] = k
            else:
                found[m] = k
                m += 1
    return m


@_compiled
def _append(loop, times, n, s):
    """Adds a temporal loop in up to N_FACTORS pieces, small ones inside; returns the number of loops."""
    pieces = 1
    while times > 1 and pieces < N_FACTORS and n < MAX_PIECES - 1:
        factor, root = times, int(np.ceil(times ** (1.0 / (N_FACTORS - pieces + 1)) - 1e-9))
        for k in range(max(root, 2), times):
            if times % k == 0:
                factor = k
                break
        s.loop_T[n], s.size_T[n] = loop, factor
        n, times, pieces = n + 1, times // factor, pieces + 1
    if times > 1:
        s.loop_T[n], s.size_T[n] = loop, times
        n += 1
    return n


@_compiled
def _lay_out(habit, q, state, s):
    """Writes the temporal loops of order `q`; returns how many there are."""
    n = 0
    for place in range(MAX_PLACES):
        loop = habit.order_QS[q, place]
        if loop < 0:
            break
        n = _append(loop, state.parts_3F[habit.part_QS[q, place], loop], n, s)
    sweep(n, s)
    number_places(n, s)
    return n


@_compiled
def _part(habit, q, part, skip):
    """The loop of the (skip + 1)-th place of order `q` that takes this part, or -1."""
    for place in range(MAX_PLACES):
        if habit.order_QS[q, place] < 0:
            return -1
        if habit.part_QS[q, place] == part:
            if skip == 0:
                return habit.order_QS[q, place]
            skip -= 1
    return -1


@_compiled
def _try_order(chip, habit, q, layer, skew, aim, divisors_2X, front_X, state, s):
    """All sizes of the parts of one order; the buffer's part shrinks until nothing crosses the off-chip link twice."""
    first, second, varied = _part(habit, q, REGISTER, 0), _part(habit, q, REGISTER, 1), _part(habit, q, BUFFER, 0)
    places = max(1, int(chip.bits_V[chip.memory_OE[O, 0]] // chip.partial_bits))
    parts_3F = state.parts_3F
    for r in range(_divisors(s.steps_F[first], places, divisors_2X[0]) if first >= 0 else 1):
        for f in range(8):
            parts_3F[REGISTER, f] = parts_3F[BUFFER, f] = 1
            parts_3F[REST, f] = s.steps_F[f]
        if first >= 0:
            _split(first, REGISTER, divisors_2X[0, r], parts_3F)
        if second >= 0:
            _divisors(s.steps_F[second], places // divisors_2X[0, r], divisors_2X[1])
            _split(second, REGISTER, divisors_2X[1, 0], parts_3F)
        left = parts_3F[REST, varied]
        for b in range(_divisors(left, left, divisors_2X[1]) if varied >= 0 else 1):
            if varied >= 0:
                parts_3F[REST, varied] = left
                _split(varied, BUFFER, divisors_2X[1, b], parts_3F)
            n = _lay_out(habit, q, state, s)
            if try_fillings(chip, layer, n, skew, aim, front_X, state, s):
                break


@_compiled
def _split(loop, part, times, parts_3F):
    parts_3F[part, loop] = times
    parts_3F[REST, loop] //= times


@njit(cache=True, nogil=True, error_model="numpy")
def search_dataflow(chips_A, habits_A, layers_L, aims, memory, states, front_X, which_P2, found_P):
    """The best mapping of every (accelerator, layer) pair; `memory`, `states` and `front_X` are working memory."""
    s, state, aim = memory[0], states[0], aims[0]
    divisors_2X = np.ones((2, MAX_DIVISORS), np.int64)
    for p in range(len(which_P2)):
        chip, habit, layer = chips_A[which_P2[p, 0]], habits_A[which_P2[p, 0]], layers_L[which_P2[p, 1]]
        begin(aim, state)
        for u in range(unrollings(chip, habit, aim, layer.dims_F, state)):
            state.u = u
            most = state.fastest * (1 + aim.slack) if aim.objective == CYCLES else np.inf
            if state.cycles_U[u] > min(most, aim.limit_cycles):
                state.least_cycles = min(state.cycles_U[u], state.least_cycles)
                continue
            skew = spread(chip, layer, state.asked_UDF[u], aim.zigzag == 1, s)
            for q in range(MAX_ORDERS):
                if habit.order_QS[q, 0] >= 0:
                    _try_order(chip, habit, q, layer, skew, aim, divisors_2X, front_X, state, s)
        conclude(aim, front_X, state, found_P[p])
