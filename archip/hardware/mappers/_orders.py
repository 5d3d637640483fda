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
    MAX_WAYS,
    begin,
    conclude,
    end_cuts,
    is_hopeless,
    move_in,
    offer,
    tile_bits,
    try_fillings,
    unrollings,
)
from archip.hardware.models._kernels import (
    BACK,
    IN_WORDS,
    MAX_LEVELS,
    MAX_MEMORIES,
    OUT_WORDS,
    I,
    O,
    W,
    add_energy,
    bound,
    exact_elements,
    forget,
    least_wait,
    look_up,
    off_chip_busy,
    spread,
    sweep,
    weigh,
)

__all__ = ["WAYS", "search_orders"]

MAX_ORDERED = 8

# The ways to cut one order, operand by operand.
WAYS = np.dtype(
    [
        ("n_O", np.int64, (3,)),
        ("cuts_OZE", np.int64, (3, MAX_WAYS, MAX_LEVELS + 1)),
        ("at_OZJ", np.int64, (3, MAX_WAYS, MAX_LEVELS + 1)),  # entries
        ("own_OZE", np.float64, (3, MAX_WAYS, MAX_LEVELS + 1)),  # as in the model's scratch, like the next
        ("single_OZJ", np.float64, (3, MAX_WAYS, MAX_LEVELS + 1)),
        ("bits_OZV", np.float64, (3, MAX_WAYS, MAX_MEMORIES)),
        ("energy_OZ", np.float64, (3, MAX_WAYS)),
        ("wait_OZ", np.float64, (3, MAX_WAYS)),
        ("busy_OZ", np.float64, (3, MAX_WAYS)),
        ("least_O3", np.float64, (3, 3)),  # energy, wait and busy, each the least of all ways
    ],
    align=True,
)

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


@_compiled
def _list_ways(chip, layer, o, n, zigzag, ways, s):
    """All cuts of one operand whose tiles fit alone; of equal ones the one that holds the loops it does not need."""
    levels = chip.levels_O[o] - 1
    stop_E = s.cuts_OE[o]
    bits_E = np.zeros(MAX_LEVELS)
    count, e = 0, 0
    stop_E[0], stop_E[1] = 0, move_in(o, 0, n, s)
    ways.least_O3[o] = np.inf
    while e >= 0:
        v, fits = chip.memory_OE[o, e], stop_E[e + 1] <= n
        if fits:
            tile = exact_elements(layer, o, e + 1, stop_E[e + 1], zigzag, s)
            bits_E[e] = tile * tile_bits(chip, layer, o, e, stop_E[e], s)
            fits = bits_E[e] <= chip.bits_V[v]
        if not fits:
            e -= 1
        elif e + 1 < levels:
            e += 1
            stop_E[e + 1] = stop_E[e]
            continue
        else:
            look_up(chip, layer, o, zigzag, s)
            _write_way(chip, o, count, levels, bits_E, ways, s)
            count += 1
            if count == MAX_WAYS:
                break
        if e >= 0:
            stop_E[e + 1] = move_in(o, stop_E[e + 1] + 1, n, s)
    ways.n_O[o] = count


@_compiled
def _write_way(chip, o, z, levels, bits_E, ways, s):
    ways.bits_OZV[o, z] = 0
    for e in range(levels):
        ways.bits_OZV[o, z, chip.memory_OE[o, e]] = bits_E[e]
        ways.own_OZE[o, z, e] = s.own_OE[o, e]
    for j in range(levels + 1):
        ways.cuts_OZE[o, z, j], ways.at_OZJ[o, z, j] = s.cuts_OE[o, j], s.at_OJ[o, j]
        ways.single_OZJ[o, z, j] = s.single_OJ[o, j]
    energy = 0.0
    for e in range(levels + 1):
        v, lower = chip.memory_OE[o, e], s.entry_XF[s.at_OJ[o, e]]
        inward, outward = lower[OUT_WORDS], 0.0  # reads and writes of W and I
        if e < levels:
            higher = s.entry_XF[s.at_OJ[o, e + 1]]
            outward = higher[IN_WORDS] * (1 + higher[BACK])
        energy += inward * chip.read_V[v] + outward * chip.write_V[v] if o != O else 0.0
        if o == O:
            out = outward / (1 + higher[BACK]) if e < levels else 0.0
            energy += (out + inward * lower[BACK]) * chip.read_V[v] + (outward - out + inward) * chip.write_V[v]
    numbers = energy, least_wait(chip, o, s), off_chip_busy(chip, o, s)
    ways.energy_OZ[o, z], ways.wait_OZ[o, z], ways.busy_OZ[o, z] = numbers
    for i in range(3):
        ways.least_O3[o, i] = min(ways.least_O3[o, i], numbers[i])


@_compiled
def _choose(chip, o, z, ways, s):
    levels = chip.levels_O[o]
    for j in range(levels):
        s.cuts_OE[o, j], s.at_OJ[o, j] = ways.cuts_OZE[o, z, j], ways.at_OZJ[o, z, j]
        s.single_OJ[o, j] = ways.single_OZJ[o, z, j]
    for e in range(levels - 1):
        s.own_OE[o, e] = ways.own_OZE[o, z, e]


@_compiled
def _fit(chip, w, i, o, ways):
    """Whether the tiles fit together; o = -1 leaves the outputs out."""
    for v in range(chip.n_memories - 1):
        bits = ways.bits_OZV[W, w, v] + ways.bits_OZV[I, i, v]
        if o >= 0:
            bits += ways.bits_OZV[O, o, v]
        if bits > chip.bits_V[v]:
            return False
    return True


_SAFE = 1 - 1e-9  # sums in another order differ by less


@_compiled
def _try_all_cuts(chip, layer, n, skew, aim, front_X, ways, state, s):
    """Every combination of the operands' ways to cut."""
    zigzag = aim.zigzag == 1
    for o in range(3):
        _list_ways(chip, layer, o, n, zigzag, ways, s)
    end_cuts(chip, n, s)
    state.n_covered += float(ways.n_O[W]) * ways.n_O[I] * ways.n_O[O]
    least = ways.least_O3[O]
    for w in range(ways.n_O[W]):
        _choose(chip, W, w, ways, s)
        energy_w = add_energy(chip, W, 0.0, s)
        for i in range(ways.n_O[I]):
            if not _fit(chip, w, i, -1, ways):
                continue
            known = ways.energy_OZ[W, w] + ways.energy_OZ[I, i] + s.mac_energy
            busy = ways.busy_OZ[W, w] + ways.busy_OZ[I, i]
            waits = ways.wait_OZ[W, w], ways.wait_OZ[I, i]
            if aim.prunes:
                latency = bound(chip, skew, *waits, least[1], busy + least[2], zigzag, s)
                if is_hopeless(latency, (known + least[0]) * _SAFE, aim, state):
                    continue
            _choose(chip, I, i, ways, s)
            energy_wi = add_energy(chip, I, energy_w, s)
            for o in range(ways.n_O[O]):
                if not _fit(chip, w, i, o, ways):
                    continue
                if aim.prunes:
                    latency = bound(chip, skew, *waits, ways.wait_OZ[O, o], busy + ways.busy_OZ[O, o], zigzag, s)
                    if is_hopeless(latency, (known + ways.energy_OZ[O, o]) * _SAFE, aim, state):
                        continue
                _choose(chip, O, o, ways, s)
                weigh(chip, skew, add_energy(chip, O, energy_wi, s) + s.mac_energy, zigzag, s)
                state.n_tried += 1
                offer(n, aim, front_X, state, s)


@njit(cache=True, nogil=True, error_model="numpy")
def search_orders(chips_A, habits_A, layers_L, aims, memory, states, front_X, which_P2, found_P, all_ways, every_cut):
    """The best mapping of every (accelerator, layer) pair; `memory` to `front_X` and `all_ways` are working memory."""
    s, state, aim, ways = memory[0], states[0], aims[0], all_ways[0]
    for p in range(len(which_P2)):
        chip, habit, layer = chips_A[which_P2[p, 0]], habits_A[which_P2[p, 0]], layers_L[which_P2[p, 1]]
        begin(aim, state)
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
