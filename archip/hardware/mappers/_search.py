"""Compiled search over the mappings that a dataflow allows: unroll, order, cut, cost, keep the best.

Axes as in ``models/_kernels.py``; U alternatives of unrolling, X loops on one array dimension, Q orders, S places in an
order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.models._kernels import (
    DRAIN,
    ENERGY,
    IRRELEVANT_OF,
    MAX_ARRAY,
    MAX_LEVELS,
    MAX_LOOPS,
    N_RESULTS,
    OFFLOAD,
    ONLOAD,
    STALL,
    TOTAL,
    WORST,
    I,
    O,
    W,
    elements,
    evaluate,
    reduction_end,
    spread,
    sweep,
)

__all__ = ["FOUND", "FRONT", "HABIT", "STATE", "search_batch"]

REST, REGISTER, BUFFER = range(3)  # what a place in an order takes of its loop
MAX_UNROLLINGS, MAX_TOGETHER, MAX_ORDERS, MAX_PLACES = 4, 3, 4, 16
MAX_DIVISORS = 5  # of a varied part: the largest, the smallest, and some in between
N_FACTORS = 3  # pieces in which a loop is offered to the memories


# A dataflow, packed; unused places are -1.
HABIT = np.dtype(
    [
        ("loop_UDX", np.int64, (MAX_UNROLLINGS, MAX_ARRAY, MAX_TOGETHER)),  # loops unrolled, in this order
        ("instead_UDX", np.int64, (MAX_UNROLLINGS, MAX_ARRAY, MAX_TOGETHER)),  # what takes the place of a loop of 1
        ("order_QS", np.int64, (MAX_ORDERS, MAX_PLACES)),  # loops, innermost first
        ("part_QS", np.int64, (MAX_ORDERS, MAX_PLACES)),  # REST, REGISTER or BUFFER
    ]
)


# A mapping with its costs, or, where none fits: result[TOTAL] -1, result[STALL] bits short, result[WORST] the memory.
FOUND = np.dtype(
    [
        ("result", np.float64, (N_RESULTS,)),
        ("asked_DF", np.int64, (MAX_ARRAY, 8)),
        ("loop_T", np.int64, (MAX_LOOPS,)),
        ("size_T", np.int64, (MAX_LOOPS,)),
        ("cuts_OE", np.int64, (3, MAX_LEVELS + 1)),
        ("n_loops", np.int64),
        ("n_tried", np.int64),
    ],
    align=True,
)

# What a search works on, besides the model's scratch.
STATE = np.dtype(
    [
        ("tile_OT", np.float64, (3, MAX_LOOPS + 1)),  # bits of an operand's innermost loops in one memory
        ("asked_DF", np.int64, (MAX_ARRAY, 8)),
        ("parts_3F", np.int64, (3, 8)),  # iterations of each loop's REST, REGISTER and BUFFER part
        ("n_front", np.int64),  # mappings of which none has both fewer cycles and less energy
        ("n_tried", np.int64),
        ("fastest", np.float64),
        ("short_memory", np.int64),
        ("short_bits", np.float64),
    ],
    align=True,
)
FRONT = 32  # mappings in a front at most


@njit(cache=True)
def _unroll(chip, habit, u, dims_F, asked_DF):
    """Fills the array dimensions; False where alternative `u` does not exist."""
    if habit.loop_UDX[u, 0, 0] < 0:
        return False
    asked_DF[:] = 1
    for d in range(MAX_ARRAY):
        room = chip.array_D[d]
        for x in range(MAX_TOGETHER):
            f = habit.loop_UDX[u, d, x]
            if f < 0:
                break
            if dims_F[f] == 1 and habit.instead_UDX[u, d, x] >= 0:
                f = habit.instead_UDX[u, d, x]
            left = dims_F[f]
            for other in range(MAX_ARRAY):
                left = -(-left // asked_DF[other, f])
            times = min(left, room)
            asked_DF[d, f] *= times
            room //= times
    return True


@njit(cache=True)
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


@njit(cache=True)
def _append(loop, times, n, s):
    """Adds a temporal loop in up to N_FACTORS pieces, small ones inside; returns the number of loops."""
    pieces = 1
    while times > 1 and pieces < N_FACTORS and n < MAX_LOOPS - 1:
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


@njit(cache=True)
def _lay_out(habit, q, state, s):
    """Writes the temporal loops of order `q`; returns how many there are."""
    n = 0
    for place in range(MAX_PLACES):
        loop = habit.order_QS[q, place]
        if loop < 0:
            break
        n = _append(loop, state.parts_3F[habit.part_QS[q, place], loop], n, s)
    sweep(n, s)
    return n


@njit(cache=True)
def cut(chip, layer, n, fill, streams, tile_OT, s):
    """Gives every operand's memories, inside out, the loops that leave the least to fetch from further out.

    Of all ways to fill a memory (up to the share `fill`) the one that moves the fewest bits over its outer side is
    taken; of equal ones the one that holds most, or least if it `streams`. Loops that an operand does not depend on
    then move inwards.

    Returns:
        (memory, bits short) of the first memory that cannot hold one element of each, or (-1, 0).
    """
    reduced = reduction_end(n, s)
    for v in range(chip.n_memories - 1):
        room = chip.bits_V[v] * fill
        ends = (_tiles(chip, layer, W, v, n, reduced, room, tile_OT, s),
                _tiles(chip, layer, I, v, n, reduced, room, tile_OT, s),
                _tiles(chip, layer, O, v, n, reduced, room, tile_OT, s))  # fmt: skip
        begins = (_begin(chip, W, v, s), _begin(chip, I, v, s), _begin(chip, O, v, s))
        known = tile_OT[W, begins[W]] + tile_OT[I, begins[I]] + tile_OT[O, begins[O]]
        if known > chip.bits_V[v]:
            return v, known - chip.bits_V[v]
        chosen = _fill(begins, ends, room, streams, tile_OT, s)
        for o in range(3):
            e = chip.level_VO[v, o]
            if e >= 0:
                stop = chosen[o]
                while stop < n and IRRELEVANT_OF[o, s.loop_T[stop]]:
                    stop += 1
                s.cuts_OE[o, e + 1] = stop
    for o in range(3):
        s.cuts_OE[o, chip.levels_O[o]] = n
    return -1, 0.0


@njit(cache=True)
def _begin(chip, o, v, s):
    """Loops that the memories further in have taken; 0 for an operand that is not in memory `v`."""
    e = chip.level_VO[v, o]
    return s.cuts_OE[o, e] if e >= 0 else 0


@njit(cache=True)
def _tiles(chip, layer, o, v, n, reduced, room, tile_OT, s):
    """Writes the bits that an operand takes in memory `v` with its innermost t loops; returns the last t that fits."""
    e = chip.level_VO[v, o]
    if e < 0:
        tile_OT[o, 0] = 0
        return 0
    begin, bits = s.cuts_OE[o, e], layer.bits_O[o]
    if o == O and (reduced > begin or s.outside_E[e]):
        bits = chip.partial_bits
    for t in range(begin, n + 1):
        tile_OT[o, t] = elements(layer, o, s.inside_TF[t], s.tile_2OEF[0, o, e], False) * bits
        if tile_OT[o, t] > room and t > begin:
            return t - 1
    return n


@njit(cache=True)
def _fill(begins, ends, room, streams, tile_OT, s):
    """Numbers of innermost loops (W, I, O) to hold in one memory; the least if nothing fits."""
    least, chosen = np.inf, begins
    for w in range(begins[W], ends[W] + 1):
        for i in range(begins[I], ends[I] + 1):
            size = tile_OT[W, w] + tile_OT[I, i]
            if size > room:
                break
            moved = tile_OT[W, w] / s.product_T[w] + tile_OT[I, i] / s.product_T[i]
            for o in range(begins[O], ends[O] + 1):
                if size + tile_OT[O, o] > room:
                    break
                all_moved = moved + tile_OT[O, o] / s.product_T[o]
                if all_moved < least * (1 - 1e-9) or (all_moved <= least and not streams):
                    least, chosen = all_moved, (w, i, o)
    return chosen


@njit(cache=True)
def _moves_least(chip, layer, n, s):
    """Whether every operand crosses the off-chip link once."""
    total = s.product_T[n]
    for o in range(3):
        j = chip.levels_O[o] - 1
        if s.elements_3OE[0, o, j] * total / s.period_OE[o, j] > s.elements_3OE[0, o, j + 1] * (1 + 1e-9):
            return False
    return True


@njit(cache=True)
def _latency(result):
    return np.rint(result[TOTAL] + result[STALL] + result[ONLOAD] + result[OFFLOAD] + result[DRAIN])


@njit(cache=True)
def _try(chip, layer, n, skew, front_X, state, s):
    """Cuts and costs the loops in `s`, and keeps what is worth it. Returns whether nothing moves twice.

    Memories hold as much as they can; or half of it, so that they are double-buffered; or as little as moves no more,
    so that the array need not wait long for its first data. All three are always tried: then no mapping that is open
    to a slow memory is closed to a fast one, and more bandwidth is never slower.
    """
    moves_least = False
    for attempt in range(3):
        fill, streams = (0.5, False) if attempt == 1 else (1.0, attempt == 2)
        v, short = cut(chip, layer, n, fill, streams, state.tile_OT, s)
        if v >= 0:
            state.short_memory, state.short_bits = v, short
            return False
        evaluate(chip, layer, n, skew, False, s)
        _offer(n, front_X, state, s)
        if attempt == 0:
            moves_least = _moves_least(chip, layer, n, s)
    return moves_least


@njit(cache=True)
def _offer(n, front_X, state, s):
    """Puts the mapping in `s` into the front, unless another is at least as good in both cycles and energy."""
    state.n_tried += 1
    latency, energy = _latency(s.result), s.result[ENERGY]
    kept = 0
    for x in range(state.n_front):
        other_latency, other_energy = _latency(front_X[x].result), front_X[x].result[ENERGY]
        if other_latency <= latency and other_energy <= energy:
            return
    for x in range(state.n_front):
        other_latency, other_energy = _latency(front_X[x].result), front_X[x].result[ENERGY]
        if other_latency < latency or other_energy < energy:
            if kept < x:
                _copy(front_X[x], front_X[kept])
            kept += 1
    kept = min(kept, FRONT - 1)
    found = front_X[kept]
    for r in range(N_RESULTS):
        found.result[r] = s.result[r]
    for d in range(MAX_ARRAY):
        for f in range(8):
            found.asked_DF[d, f] = state.asked_DF[d, f]
    for t in range(n):
        found.loop_T[t], found.size_T[t] = s.loop_T[t], s.size_T[t]
    for o in range(3):
        for e in range(MAX_LEVELS + 1):
            found.cuts_OE[o, e] = s.cuts_OE[o, e]
    found.n_loops = n
    state.n_front = kept + 1
    state.fastest = min(latency, state.fastest)


@njit(cache=True)
def _copy(source, target):
    for r in range(N_RESULTS):
        target.result[r] = source.result[r]
    for d in range(MAX_ARRAY):
        for f in range(8):
            target.asked_DF[d, f] = source.asked_DF[d, f]
    for t in range(source.n_loops):
        target.loop_T[t], target.size_T[t] = source.loop_T[t], source.size_T[t]
    for o in range(3):
        for e in range(MAX_LEVELS + 1):
            target.cuts_OE[o, e] = source.cuts_OE[o, e]
    target.n_loops = source.n_loops


@njit(cache=True)
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


@njit(cache=True)
def _try_order(chip, habit, q, layer, skew, divisors_2X, front_X, state, s):
    """All sizes of the parts of one order."""
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
            if _try(chip, layer, n, skew, front_X, state, s):
                break


@njit(cache=True)
def _split(loop, part, times, parts_3F):
    parts_3F[part, loop] = times
    parts_3F[REST, loop] //= times


@njit(cache=True)
def _search(chip, habit, layer, slack, divisors_2X, front_X, state, s):
    """Fills the front; returns the place of the mapping of least energy within the slack, or -1."""
    state.n_front = state.n_tried = 0
    state.fastest = np.inf
    for u in range(MAX_UNROLLINGS):
        if not _unroll(chip, habit, u, layer.dims_F, state.asked_DF):
            continue
        skew = spread(chip, layer, state.asked_DF, False, s)
        cycles = 1.0
        for f in range(8):
            cycles *= s.steps_F[f]
        if cycles > state.fastest * (1 + slack):
            continue
        for q in range(MAX_ORDERS):
            if habit.order_QS[q, 0] >= 0:
                _try_order(chip, habit, q, layer, skew, divisors_2X, front_X, state, s)
    best = -1
    for x in range(state.n_front):
        is_near = _latency(front_X[x].result) <= state.fastest * (1 + slack)
        if is_near and (best < 0 or front_X[x].result[ENERGY] < front_X[best].result[ENERGY]):
            best = x
    return best


@njit(cache=True, nogil=True)
def search_batch(chips_A, habits_A, layers_L, slack, memory, states, front_X, which_P2, found_P):
    """The best mapping of every (accelerator, layer) pair; `memory`, `states` and `front_X` are working memory."""
    s, state = memory[0], states[0]
    divisors_2X = np.ones((2, MAX_DIVISORS), np.int64)
    for p in range(len(which_P2)):
        a, layer, found = which_P2[p, 0], layers_L[which_P2[p, 1]], found_P[p]
        best = _search(chips_A[a], habits_A[a], layer, slack, divisors_2X, front_X, state, s)
        if best >= 0:
            _copy(front_X[best], found)
        else:
            found.result[TOTAL], found.result[STALL], found.result[WORST] = -1, state.short_bits, state.short_memory
        found.n_tried = state.n_tried
