"""Compiled search over the mappings that a dataflow allows: unroll, order, cut, cost, keep the best.

Axes as in ``models/_kernels.py``; U alternatives of unrolling, X loops on one array dimension, Q orders, S places in an
order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from archip.hardware.models._kernels import (
    ENERGY,
    IRRELEVANT_OF,
    MAX_ARRAY,
    MAX_LOOPS,
    N_RESULTS,
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

__all__ = ["HABIT", "search_batch"]

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
def _lay_out(habit, q, parts_3F, s):
    """Writes the temporal loops of order `q`; returns how many there are."""
    n = 0
    for place in range(MAX_PLACES):
        loop = habit.order_QS[q, place]
        if loop < 0:
            break
        n = _append(loop, parts_3F[habit.part_QS[q, place], loop], n, s)
    sweep(n, s)
    return n


@njit(cache=True)
def cut(chip, layer, n, fill, tile_OT, s):
    """Gives every operand's memories, inside out, the loops that leave the least to fetch from further out.

    Of all ways to fill a memory (up to the share `fill`) the one that moves the fewest bits over its outer side is
    taken. Loops that an operand does not depend on then move inwards.

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
        chosen = _fill(begins, ends, room, tile_OT, s)
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
        tile_OT[o, t] = elements(layer, o, s.inside_TF[t], s.tile_2OEF[0, o, e]) * bits
        if tile_OT[o, t] > room and t > begin:
            return t - 1
    return n


@njit(cache=True)
def _fill(begins, ends, room, tile_OT, s):
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
                if all_moved <= least:
                    least, chosen = all_moved, (w, i, o)
    return chosen


@njit(cache=True)
def _moves_least(chip, layer, n, s):
    """Whether every operand crosses the off-chip link once."""
    total = s.product_T[n]
    for o in range(3):
        j = chip.levels_O[o] - 1
        if s.elements_2OE[0, o, j] * total / s.period_OE[o, j] > s.elements_2OE[0, o, j + 1] * (1 + 1e-9):
            return False
    return True


@njit(cache=True)
def _is_better(result, best):
    latency, record = _latency(result), _latency(best)
    return latency < record or (latency == record and result[ENERGY] < best[ENERGY])


@njit(cache=True)
def _latency(result):
    return np.rint(result[TOTAL] + result[1] + result[2] + result[3] + result[4])


@njit(cache=True)
def _try(chip, layer, n, skew, tile_OT, s, best, counts, asked_DF, kept):
    """Cuts and costs the loops in `s`; keeps them if they are the best so far. Returns whether nothing moves twice."""
    fill, least = 1.0, False
    for attempt in range(2):
        v, short = cut(chip, layer, n, fill, tile_OT, s)
        if v >= 0:
            if attempt == 0 and counts[1] == 0:
                counts[2], best[STALL] = v, short
            return False
        evaluate(chip, layer, n, skew, s)
        counts[0] += 1
        if attempt == 0:
            least = _moves_least(chip, layer, n, s)
        if counts[1] == 0 or _is_better(s.result, best):
            counts[1] = 1
            best[:] = s.result
            _keep(kept, n, asked_DF, s)
        if s.result[STALL] == 0:
            break
        fill = 0.5  # room for a double buffer
    return least


@njit(cache=True)
def _keep(kept, n, asked_DF, s):
    kept.asked_DF[:] = asked_DF
    kept.loop_T[:n], kept.size_T[:n] = s.loop_T[:n], s.size_T[:n]
    kept.cuts_OE[:] = s.cuts_OE
    kept.n_loops[0] = n


class Kept(NamedTuple):
    """The best mapping so far."""

    asked_DF: np.ndarray
    loop_T: np.ndarray
    size_T: np.ndarray
    cuts_OE: np.ndarray
    n_loops: np.ndarray


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
def _search(chip, habit, layer, s, tile_OT, asked_DF, best, counts, kept):
    """The best mapping of a layer: least latency, then least energy."""
    counts[:], best[:] = 0, 0
    parts_3F = np.ones((3, 8), np.int64)
    inner, outer = np.zeros(MAX_DIVISORS, np.int64), np.zeros(MAX_DIVISORS, np.int64)
    innermost = chip.memory_OE[O, 0]
    places = max(1, int(chip.bits_V[innermost] // chip.partial_bits))
    for u in range(MAX_UNROLLINGS):
        if not _unroll(chip, habit, u, layer.dims_F, asked_DF):
            continue
        skew = spread(chip, layer, asked_DF, s)
        cycles = 1.0
        for f in range(8):
            cycles *= s.steps_F[f]
        if counts[1] and cycles > _latency(best):
            continue
        for q in range(MAX_ORDERS):
            if habit.order_QS[q, 0] < 0:
                break
            first, second = _part(habit, q, REGISTER, 0), _part(habit, q, REGISTER, 1)
            varied = _part(habit, q, BUFFER, 0)
            for r in range(_divisors(s.steps_F[first], places, inner)):
                parts_3F[:] = 1
                parts_3F[REST] = s.steps_F
                parts_3F[REGISTER, first] = inner[r]
                parts_3F[REST, first] //= inner[r]
                if second >= 0:
                    _divisors(s.steps_F[second], places // inner[r], outer)
                    parts_3F[REGISTER, second] = outer[0]
                    parts_3F[REST, second] //= outer[0]
                left = parts_3F[REST, varied]
                for b in range(_divisors(left, left, outer)):
                    parts_3F[BUFFER, varied] = outer[b]
                    parts_3F[REST, varied] = left // outer[b]
                    n = _lay_out(habit, q, parts_3F, s)
                    if _try(chip, layer, n, skew, tile_OT, s, best, counts, asked_DF, kept):
                        break


@njit(cache=True, nogil=True)
def search_batch(
    chips_A,
    habits_A,
    layers_L,
    memory,
    which_P2,
    results_PR,
    counts_P,
    asked_PDF,
    loops_PT,
    sizes_PT,
    n_loops_P,
    cuts_POE,
):
    """The best mapping of every (accelerator, layer) pair; `memory` is from `scratch`.

    Where there is none, the results are -1 but for STALL (bits short) and WORST (the memory that is short of them).
    """
    s = memory[0]
    tile_OT = np.zeros((3, MAX_LOOPS + 1))
    asked_DF = np.ones((MAX_ARRAY, 8), np.int64)
    best, counts = np.zeros(N_RESULTS), np.zeros(3, np.int64)
    for p in range(len(which_P2)):
        a, layer = which_P2[p, 0], layers_L[which_P2[p, 1]]
        kept = Kept(asked_PDF[p], loops_PT[p], sizes_PT[p], cuts_POE[p], n_loops_P[p : p + 1])
        _search(chips_A[a], habits_A[a], layer, s, tile_OT, asked_DF, best, counts, kept)
        if counts[1] == 0:
            best[TOTAL], best[WORST] = -1, counts[2]
        results_PR[p], counts_P[p] = best, counts[0]
