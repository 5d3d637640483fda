"""Compiled search by sampling: mappings drawn at random, or found by small steps from one to the next.

A mapping is an unrolling, an order of the prime factors of the loops, and for each operand and memory the number of
innermost factors inside it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.mappers._factors import factors
from archip.hardware.mappers._search import (
    CYCLES,
    EDP,
    FOUND,
    begin,
    conclude,
    cut,
    end_cuts,
    first_stop,
    keep_cuts,
    latency_of,
    move_in,
    offer,
    tile_bits,
    tiles,
    unrollings,
    write,
)
from archip.hardware.models._kernels import (
    ENERGY,
    MAX_LEVELS,
    MAX_LOOPS,
    I,
    O,
    W,
    energy_of,
    exact_elements,
    look_up,
    number_places,
    spread,
    sweep,
    weigh,
)

__all__ = ["sample_batch", "seed_stream", "shuffle", "walk_batch"]

MEMORY = 16  # scores that a step is compared with
PATIENCE = 150  # mappings without a better one until the walk begins anew
PROPOSALS = 20  # for each mapping to cost: most that do not fit are drawn again

_compiled = njit(cache=True, error_model="numpy")


@_compiled
def seed_stream(aim, chip, layer, state):
    """The same stream for a pair in whatever batch it stands."""
    state.random = aim.seed
    for f in range(8):
        state.random ^= np.uint64(layer.dims_F[f])
        _draw(2, state)
    for v in range(chip.n_memories):
        state.random ^= np.uint64(chip.bits_V[v])
        _draw(2, state)


@_compiled
def _draw(n, state):
    """A number below n. Source: splitmix64, Steele et al., OOPSLA 2014."""
    state.random += np.uint64(0x9E3779B97F4A7C15)
    z = state.random
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int(np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(33)) % n)


@_compiled
def shuffle(chip, layer, n_unrollings, aim, state, s):
    """Any unrolling, and any order of its factors; returns (number of loops, skew)."""
    state.u = _draw(n_unrollings, state)
    skew = spread(chip, layer, state.asked_UDF[state.u], aim.zigzag == 1, s)
    n = factors(s.steps_F, MAX_LOOPS, state)
    for t in range(n):
        other = _draw(t + 1, state)
        s.loop_T[t], s.size_T[t] = s.loop_T[other], s.size_T[other]
        s.loop_T[other], s.size_T[other] = state.loop_N[t], state.size_N[t]
    return n, skew


@_compiled
def _cut_at_random(chip, layer, n, zigzag, state, s):
    """Any number of loops for each memory, inside out, of those that fit."""
    tile_OT = state.tile_OT
    for v in range(chip.n_memories - 1):
        least_w, least_i, least_o = (first_stop(chip, W, v, s), first_stop(chip, I, v, s), first_stop(chip, O, v, s))
        most_w = tiles(chip, layer, W, v, n, chip.bits_V[v], zigzag, state, s)
        most_i = tiles(chip, layer, I, v, n, chip.bits_V[v], zigzag, state, s)
        most_o = tiles(chip, layer, O, v, n, chip.bits_V[v], zigzag, state, s)
        known = tile_OT[W, least_w] + tile_OT[I, least_i] + tile_OT[O, least_o]
        if known > chip.bits_V[v]:
            state.short_memory, state.short_bits = v, known - chip.bits_V[v]
            return False
        while True:
            w = least_w + _draw(most_w - least_w + 1, state)
            i = least_i + _draw(most_i - least_i + 1, state)
            o = least_o + _draw(most_o - least_o + 1, state)
            if tile_OT[W, w] + tile_OT[I, i] + tile_OT[O, o] <= chip.bits_V[v]:
                break
            most_w, most_i, most_o = max(w, least_w), max(i, least_i), max(o, least_o)
        keep_cuts(chip, v, n, (w, i, o), s)
    end_cuts(chip, n, s)
    return True


@_compiled
def _fits(chip, layer, zigzag, s):
    for v in range(chip.n_memories - 1):
        bits = 0.0
        for o in range(3):
            e = chip.level_VO[v, o]
            if e >= 0:
                tile = exact_elements(layer, o, e + 1, s.cuts_OE[o, e + 1], zigzag, s)
                bits += tile * tile_bits(chip, layer, o, e, s.cuts_OE[o, e], s)
        if bits > chip.bits_V[v]:
            return False
    return True


@_compiled
def _cost(chip, layer, n, skew, aim, front_X, state, s):
    """Costs the mapping in `s`, offers it, and returns its score: the lower, the better."""
    zigzag = aim.zigzag == 1
    for o in range(3):
        look_up(chip, layer, o, zigzag, s)
    weigh(chip, skew, energy_of(chip, s), zigzag, s)
    state.n_tried += 1
    state.n_covered += 1
    offer(n, aim, front_X, state, s)
    return _score(latency_of(s.result), s.result[ENERGY], aim)


@_compiled
def _score(latency, energy, aim):
    """Logarithm of the objective with a little of the other quantity, and what limits are exceeded by."""
    cycles, joules = np.log(latency), np.log(max(energy, 1e-300))
    over = max(0.0, cycles - np.log(aim.limit_cycles)) + max(0.0, joules - np.log(aim.limit_energy))
    if aim.objective == EDP:
        return cycles + joules + 10 * over
    first, second = (cycles, joules) if aim.objective == CYCLES else (joules, cycles)
    return first + 0.02 * second + 10 * over


@njit(cache=True, nogil=True, error_model="numpy")
def sample_batch(chips_A, habits_A, layers_L, aims, memory, states, front_X, which_P2, found_P):
    """The best of mappings drawn at random, for every (accelerator, layer) pair."""
    s, state, aim = memory[0], states[0], aims[0]
    zigzag = aim.zigzag == 1
    for p in range(len(which_P2)):
        chip, habit, layer = chips_A[which_P2[p, 0]], habits_A[which_P2[p, 0]], layers_L[which_P2[p, 1]]
        begin(aim, state)
        seed_stream(aim, chip, layer, state)
        n_unrollings = unrollings(chip, habit, aim, layer.dims_F, state)
        for _ in range(aim.n_mappings):
            n, skew = shuffle(chip, layer, n_unrollings, aim, state, s)
            sweep(n, s)
            number_places(n, s)
            if _cut_at_random(chip, layer, n, zigzag, state, s):
                _cost(chip, layer, n, skew, aim, front_X, state, s)
        conclude(aim, front_X, state, found_P[p])


@_compiled
def _begin_anew(chip, layer, n_unrollings, aim, state, s):
    """A random order, cut by rule; returns (number of loops or -1 where it does not fit, skew)."""
    n, skew = shuffle(chip, layer, n_unrollings, aim, state, s)
    sweep(n, s)
    number_places(n, s)
    return (n if cut(chip, layer, n, 1.0, False, aim.zigzag == 1, state, s) else -1), skew


@_compiled
def _step(chip, layer, n, aim, state, s):
    """One small change of the mapping in `s`; False where the result does not fit."""
    zigzag, kind = aim.zigzag == 1, _draw(8, state)
    if kind < 5 and n > 1:
        first, second = _draw(n, state), _draw(n, state)
        if kind < 2:
            _swap(first, second, s)
        else:  # one factor moves over the others, to another level or not
            direction = 1 if second > first else -1
            while first != second:
                _swap(first, first + direction, s)
                first += direction
        sweep(n, s)
        number_places(n, s)
        if _draw(2, state):
            return _cut_by_rule(chip, layer, n, zigzag, state, s)
    elif kind == 5:
        return _cut_by_rule(chip, layer, n, zigzag, state, s)
    else:
        o = _draw(3, state)
        e = 1 + _draw(chip.levels_O[o] - 1, state)
        low, high = s.cuts_OE[o, e - 1], s.cuts_OE[o, e + 1]
        s.cuts_OE[o, e] = low + _draw(high - low + 1, state)
    for o in range(3):
        for e in range(1, chip.levels_O[o]):
            s.cuts_OE[o, e] = move_in(o, max(s.cuts_OE[o, e], s.cuts_OE[o, e - 1]), n, s)
    return _fits(chip, layer, zigzag, s)


@_compiled
def _swap(first, second, s):
    s.loop_T[first], s.loop_T[second] = s.loop_T[second], s.loop_T[first]
    s.size_T[first], s.size_T[second] = s.size_T[second], s.size_T[first]


@_compiled
def _cut_by_rule(chip, layer, n, zigzag, state, s):
    way = _draw(3, state)
    return cut(chip, layer, n, 0.5 if way == 1 else 1.0, way == 2, zigzag, state, s)


@_compiled
def _return(here, s):
    """Goes back to where the step began."""
    for t in range(here.n_loops):
        s.loop_T[t], s.size_T[t] = here.loop_T[t], here.size_T[t]
    for o in range(3):
        for e in range(MAX_LEVELS + 1):
            s.cuts_OE[o, e] = here.cuts_OE[o, e]
    sweep(here.n_loops, s)
    number_places(here.n_loops, s)


@_compiled
def _walk(chip, layer, n_unrollings, aim, here, front_X, state, s):
    """From one random order until the walk gets stuck, or enough mappings are costed."""
    n, skew = _begin_anew(chip, layer, n_unrollings, aim, state, s)
    if n < 0:
        return False
    score = best = _cost(chip, layer, n, skew, aim, front_X, state, s)
    write(here, n, state, s)
    memory = np.full(MEMORY, score)
    stale = 0
    for k in range(PROPOSALS * aim.n_mappings):
        if stale == PATIENCE or state.n_tried >= aim.n_mappings:
            break
        if not _step(chip, layer, n, aim, state, s):
            _return(here, s)
            continue
        fresh = _cost(chip, layer, n, skew, aim, front_X, state, s)
        stale += 1
        if fresh <= score or fresh <= memory[k % MEMORY]:
            score = fresh
            write(here, n, state, s)
        else:
            _return(here, s)
        memory[k % MEMORY] = score
        if score < best:
            best, stale = score, 0
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def walk_batch(chips_A, habits_A, layers_L, aims, memory, states, front_X, which_P2, found_P):
    """The best of mappings met on walks, for every (accelerator, layer) pair."""
    s, state, aim = memory[0], states[0], aims[0]
    here = np.zeros(1, FOUND)[0]
    for p in range(len(which_P2)):
        chip, habit, layer = chips_A[which_P2[p, 0]], habits_A[which_P2[p, 0]], layers_L[which_P2[p, 1]]
        begin(aim, state)
        seed_stream(aim, chip, layer, state)
        n_unrollings = unrollings(chip, habit, aim, layer.dims_F, state)
        for _ in range(aim.n_mappings):
            if state.n_tried >= aim.n_mappings:
                break
            _walk(chip, layer, n_unrollings, aim, here, front_X, state, s)
        conclude(aim, front_X, state, found_P[p])
