"""Compiled search over every order of the loops, with the memories filled by rule or cut in every way.

The iterations of each loop are split into primes, and the smallest factors of the loop that has most are merged until
few enough are left. What stands inside a cut is a subset of the factors, so the entries of a link are kept by subset
and serve all orders.

Every way to cut: for each operand apart, all cuts whose tiles fit alone, each with the operand's energy, the least that
its first or last transfers take, and its time on the off-chip port; then all combinations that fit together. Bounds
from these numbers rule out most of them, whole rows at a time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.mappers._factors import factors
from archip.hardware.mappers._search import (
    CYCLES,
    begin,
    conclude,
    end_cuts,
    is_hopeless,
    offer,
    try_fillings,
    unrollings,
)
from archip.hardware.mappers._shares import latency
from archip.hardware.mappers._ways import add_joules, begin_pair, choose, fits, list_ways, plan
from archip.hardware.models._kernels import I, O, W, bound, forget, spread, sweep, weigh

__all__ = ["search_orders"]

MAX_ORDERED = 8

_compiled = njit(cache=True, error_model="numpy")


@_compiled
def _next_order(n, state):
    """The next order of twins; returns the first place that changed, or -1 after the last."""
    order = state.order_N
    i = n - 2
    while i >= 0 and order[i] >= order[i + 1]:
        i -= 1
    if i < 0:
        return -1
    j = n - 1
    while order[j] <= order[i]:
        j -= 1
    order[i], order[j] = order[j], order[i]
    order[i + 1 : n] = order[i + 1 : n][::-1].copy()
    return i


@_compiled
def _lay_out(n, state, s):
    """Writes the temporal loops; a place is the set of factors inside, of twins the first ones."""
    used = 0
    for t in range(n):
        factor = state.order_N[t]
        while (used >> factor) & 1 or state.twin_N[factor] != state.order_N[t]:
            factor += 1
        used |= 1 << factor
        s.loop_T[t], s.size_T[t] = state.loop_N[factor], state.size_N[factor]
        s.place_T[t + 1] = used
    s.place_T[0] = 0
    sweep(n, s)


@_compiled
def _n_orders(n, state):
    count = 1.0
    for i in range(n):
        twins = 0
        for before in range(i + 1):
            twins += state.twin_N[before] == state.twin_N[i]
        count *= (i + 1) / twins
    return count


_SAFE = 1 - 1e-9  # sums in another order differ by less


@_compiled
def _try_all_cuts(chip, layer, n, skew, aim, front_X, ways, state, s):
    """Every combination of the operands' ways to cut."""
    zigzag = aim.zigzag == 1
    for o in range(3):
        list_ways(chip, layer, o, n, zigzag, ways, s)
    end_cuts(chip, n, s)
    state.n_covered += float(ways.n_O[W]) * ways.n_O[I] * ways.n_O[O]
    least = ways.least_O3[O]
    for w in range(ways.n_O[W]):
        energy_w = add_joules(chip, W, w, 0.0, ways)
        for i in range(ways.n_O[I]):
            if not begin_pair(chip, w, i, ways):
                continue
            known = ways.energy_OZ[W, w] + ways.energy_OZ[I, i] + s.mac_energy
            busy = ways.busy_OZ[W, w] + ways.busy_OZ[I, i]
            waits = ways.wait_OZ[W, w], ways.wait_OZ[I, i]
            if aim.prunes:
                least_latency = bound(chip, skew, *waits, least[1], busy + least[2], zigzag, s)
                if is_hopeless(least_latency, (known + least[0]) * _SAFE, aim, state):
                    continue
            energy_wi = add_joules(chip, I, i, energy_w, ways)
            for o in range(ways.n_O[O]):
                if not fits(chip, o, ways):
                    continue
                if aim.prunes:
                    least_latency = bound(chip, skew, *waits, ways.wait_OZ[O, o], busy + ways.busy_OZ[O, o], zigzag, s)
                    if is_hopeless(least_latency, (known + ways.energy_OZ[O, o]) * _SAFE, aim, state):
                        continue
                energy = add_joules(chip, O, o, energy_wi, ways) + s.mac_energy
                _consider(chip, n, skew, w, i, o, energy, aim, front_X, ways, state, s)


@_compiled
def _consider(chip, n, skew, w, i, o, energy, aim, front_X, ways, state, s):
    """Costs a mapping and keeps it if it is wanted."""
    state.n_tried += 1
    zigzag = aim.zigzag == 1
    if ways.adds_up:
        cycles = latency(chip, skew, w, i, o, zigzag, ways, s)
        if cycles >= 0 and is_hopeless(cycles, energy, aim, state):
            return
    choose(chip, W, w, ways, s)
    choose(chip, I, i, ways, s)
    choose(chip, O, o, ways, s)
    weigh(chip, skew, energy, zigzag, s)
    offer(n, aim, front_X, state, s)


@njit(cache=True, nogil=True, error_model="numpy")
def search_orders(chips_A, habits_A, layers_L, aims, memory, states, front_X, which_P2, found_P, all_ways, every_cut):
    """The best mapping of every (accelerator, layer) pair; `memory` to `front_X` and `all_ways` are working memory."""
    s, state, aim, ways = memory[0], states[0], aims[0], all_ways[0]
    for p in range(len(which_P2)):
        chip, habit, layer = chips_A[which_P2[p, 0]], habits_A[which_P2[p, 0]], layers_L[which_P2[p, 1]]
        begin(aim, state)
        if every_cut:
            plan(chip, ways)
        for u in range(unrollings(chip, habit, aim, layer.dims_F, state)):
            state.u = u
            skew = spread(chip, layer, state.asked_UDF[u], aim.zigzag == 1, s)
            n = factors(s.steps_F, min(aim.n_factors, MAX_ORDERED), state)
            most = state.fastest * (1 + aim.slack) if aim.objective == CYCLES else np.inf
            if s.total > min(most, aim.limit_cycles):
                state.least_cycles = min(s.total, state.least_cycles)
                state.n_covered += _n_orders(n, state)
                continue
            forget(s)
            for i in range(n):
                state.order_N[i] = state.twin_N[i]
            state.order_N[:n].sort()
            changed = 0
            while changed >= 0:
                _lay_out(n, state, s)
                if every_cut:
                    _try_all_cuts(chip, layer, n, skew, aim, front_X, ways, state, s)
                else:
                    try_fillings(chip, layer, n, skew, aim, front_X, state, s)
                changed = _next_order(n, state)
        conclude(aim, front_X, state, found_P[p])
