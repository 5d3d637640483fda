"""What the compiled searches share: unroll, cut, cost, and keep what is wanted.

Axes as in ``models/_kernels.py``; U alternatives of unrolling, D array dimensions (with X loops on one), Q orders, S
places in an order, Z ways to cut the loops for one operand.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.models._kernels import (
    DRAIN,
    ELEMENTS,
    ENERGY,
    IRRELEVANT_OF,
    MAX_ARRAY,
    MAX_LEVELS,
    MAX_LOOPS,
    N_RESULTS,
    OFFLOAD,
    ONLOAD,
    PERIOD,
    STALL,
    TOTAL,
    WORST,
    I,
    O,
    W,
    bound,
    energy_of,
    entry,
    exact_elements,
    least_wait,
    look_up,
    off_chip_busy,
    weigh,
)

__all__ = ["AIM", "FOUND", "FRONT", "HABIT", "STATE"]

MAX_UNROLLINGS, MAX_TOGETHER, MAX_ORDERS, MAX_PLACES = 4, 3, 4, 16
MAX_ALTERNATIVES = 8  # of unrolling, one of them for work
MAX_WAYS = 2048
MAX_FACTORS = 64
FRONT = 32  # mappings in a front at most
CYCLES, ENERGY_J, EDP = range(3)  # objectives
NOTHING_FITS, OVER_CYCLES, OVER_ENERGY = -1, -2, -3  # in place of the total where nothing was found


# A dataflow, packed; unused places are -1.
HABIT = np.dtype(
    [
        ("loop_UDX", np.int64, (MAX_UNROLLINGS, MAX_ARRAY, MAX_TOGETHER)),  # loops unrolled, in this order
        ("instead_UDX", np.int64, (MAX_UNROLLINGS, MAX_ARRAY, MAX_TOGETHER)),  # what takes the place of a loop of 1
        ("order_QS", np.int64, (MAX_ORDERS, MAX_PLACES)),  # loops, innermost first
        ("part_QS", np.int64, (MAX_ORDERS, MAX_PLACES)),  # REST, REGISTER or BUFFER, see ``_dataflow.py``
    ]
)

# What is wanted.
AIM = np.dtype(
    [
        ("objective", np.int64),
        ("slack", np.float64),  # of CYCLES: the share of latency that may be given for energy
        ("limit_cycles", np.float64),
        ("limit_energy", np.float64),
        ("prunes", np.int64),  # 0: cost every mapping in full
        ("zigzag", np.int64),  # conventions of the model
        ("n_unrollings", np.int64),  # alternatives to try where the accelerator prescribes none
        ("n_factors", np.int64),  # in which the loops are ordered
        ("n_mappings", np.int64),  # to cost by sampling
        ("seed", np.uint64),
    ],
    align=True,
)

# A mapping with its costs, or, where none was found, the reason: result[TOTAL] NOTHING_FITS with result[STALL] bits
# short in memory result[WORST]; or OVER_CYCLES or OVER_ENERGY with the least that the search met in result[STALL].
FOUND = np.dtype(
    [
        ("result", np.float64, (N_RESULTS,)),
        ("asked_DF", np.int64, (MAX_ARRAY, 8)),
        ("loop_T", np.int64, (MAX_LOOPS,)),
        ("size_T", np.int64, (MAX_LOOPS,)),
        ("cuts_OE", np.int64, (3, MAX_LEVELS + 1)),
        ("n_loops", np.int64),
        ("n_tried", np.int64),  # mappings that were costed in full
        ("n_covered", np.float64),  # and together with those that bounds or equality rule out
    ],
    align=True,
)

# What a search works on, besides the model's scratch.
STATE = np.dtype(
    [
        ("tile_OT", np.float64, (3, MAX_LOOPS + 1)),  # bits of an operand's innermost loops in one memory
        ("moved_OT", np.float64, (3, MAX_LOOPS + 1)),  # in proportion to the bits moved over the outer side
        ("asked_UDF", np.int64, (MAX_ALTERNATIVES, MAX_ARRAY, 8)),
        ("cycles_U", np.float64, (MAX_ALTERNATIVES,)),
        ("u", np.int64),  # the unrolling at work
        ("parts_3F", np.int64, (3, 8)),  # iterations of each loop's REST, REGISTER and BUFFER part
        ("cuts_3OE", np.int64, (3, 3, MAX_LEVELS + 1)),  # of the three ways to fill memories by rule
        ("loop_N", np.int64, (MAX_FACTORS,)),  # factors of the loops
        ("size_N", np.int64, (MAX_FACTORS,)),
        ("twin_N", np.int64, (MAX_FACTORS,)),  # number of the first factor that is the same
        ("order_N", np.int64, (MAX_FACTORS,)),
        ("n_front", np.int64),  # mappings of which none has both fewer cycles and less energy
        ("latency_X", np.float64, (FRONT,)),
        ("energy_X", np.float64, (FRONT,)),
        ("n_tried", np.int64),
        ("n_covered", np.float64),
        ("fastest", np.float64),
        ("short_memory", np.int64),
        ("short_bits", np.float64),
        ("least_cycles", np.float64),  # met, whatever the limits
        ("least_energy", np.float64),
        ("random", np.uint64),
    ],
    align=True,
)

_compiled = njit(cache=True, error_model="numpy")


@_compiled
def begin(aim, state):
    """Empties a state."""
    state.n_front = state.n_tried = state.n_covered = 0
    state.fastest = state.least_cycles = state.least_energy = np.inf
    state.short_memory, state.short_bits = 0, 0.0


@_compiled
def unrollings(chip, habit, aim, dims_F, state):
    """Writes the alternatives of unrolling into `state`; returns how many there are.

    Those of the dataflow; without one, every choice of one loop for each array dimension, the room that it leaves
    filled with the others (C K OX OY FX FY G B), and of these the ones with the fewest steps.
    """
    n = 0
    if habit.loop_UDX[0, 0, 0] >= 0:
        for u in range(MAX_UNROLLINGS):
            if habit.loop_UDX[u, 0, 0] >= 0:
                _unroll(chip, habit, u, dims_F, state.asked_UDF[n])
                state.cycles_U[n] = _steps(dims_F, state.asked_UDF[n])
                n += 1
        return n
    choices = 1
    for d in range(MAX_ARRAY):
        choices *= 8 if chip.array_D[d] > 1 else 1
    for choice in range(choices):
        n = _propose(chip, choice, min(aim.n_unrollings, MAX_ALTERNATIVES - 1), dims_F, n, state)
    return n


@_compiled
def _steps(dims_F, asked_DF):
    steps = 1.0
    for f in range(8):
        product = 1
        for d in range(MAX_ARRAY):
            product *= asked_DF[d, f]
        steps *= -(-dims_F[f] // product)
    return steps


@_compiled
def _propose(chip, choice, most, dims_F, n, state):
    """Adds the unrolling of this number to the alternatives, by its steps, if it is among the `most` first."""
    fresh = state.asked_UDF[MAX_ALTERNATIVES - 1]
    fresh[:] = 1
    for d in range(MAX_ARRAY):
        if chip.array_D[d] > 1:
            room = _give(choice % 8, d, chip.array_D[d], dims_F, fresh)
            choice //= 8
            for f in (3, 2, 5, 4, 7, 6, 1, 0):
                room = _give(f, d, room, dims_F, fresh)
    steps = _steps(dims_F, fresh)
    for u in range(n):
        if state.cycles_U[u] == steps and (state.asked_UDF[u] == fresh).all():
            return n
    place = n
    while place and state.cycles_U[place - 1] > steps:
        place -= 1
    if place >= most:
        return n
    for u in range(min(n, most - 1), place, -1):
        state.asked_UDF[u] = state.asked_UDF[u - 1]
        state.cycles_U[u] = state.cycles_U[u - 1]
    state.asked_UDF[place] = fresh
    state.cycles_U[place] = steps
    return min(n + 1, most)


@_compiled
def _unroll(chip, habit, u, dims_F, asked_DF):
    """Fills the array dimensions by alternative `u` of the dataflow."""
    asked_DF[:] = 1
    for d in range(MAX_ARRAY):
        room = chip.array_D[d]
        for x in range(MAX_TOGETHER):
            f = habit.loop_UDX[u, d, x]
            if f < 0:
                break
            if dims_F[f] == 1 and habit.instead_UDX[u, d, x] >= 0:
                f = habit.instead_UDX[u, d, x]
            room = _give(f, d, room, dims_F, asked_DF)


@_compiled
def _give(f, d, room, dims_F, asked_DF):
    """Unrolls loop f on dimension d as far as it goes; returns the room left."""
    left = dims_F[f]
    for other in range(MAX_ARRAY):
        left = -(-left // asked_DF[other, f])
    times = min(left, room)
    asked_DF[d, f] *= times
    return room // times


@_compiled
def cut(chip, layer, n, fill, streams, zigzag, state, s):
    """Gives every operand's memories, inside out, the loops that leave the least to fetch from further out.

    Of all ways to fill a memory (up to the share `fill`) the one that moves the fewest bits over its outer side is
    taken; of equal ones the one that holds most, or least if it `streams`. Loops that an operand does not depend on
    then move inwards. False where a memory cannot hold one element of each.
    """
    tile_OT = state.tile_OT
    for v in range(chip.n_memories - 1):
        room = chip.bits_V[v] * fill
        ends = (tiles(chip, layer, W, v, n, room, zigzag, state, s),
                tiles(chip, layer, I, v, n, room, zigzag, state, s),
                tiles(chip, layer, O, v, n, room, zigzag, state, s))  # fmt: skip
        begins = (first_stop(chip, W, v, s), first_stop(chip, I, v, s), first_stop(chip, O, v, s))
        known = tile_OT[W, begins[W]] + tile_OT[I, begins[I]] + tile_OT[O, begins[O]]
        if known > chip.bits_V[v]:
            state.short_memory, state.short_bits = v, known - chip.bits_V[v]
            return False
        keep_cuts(chip, v, n, _fill(begins, ends, room, streams, state), s)
    end_cuts(chip, n, s)
    return True


@_compiled
def keep_cuts(chip, v, n, chosen, s):
    """Cuts the loops behind memory `v` at the numbers chosen (W, I, O)."""
    for o in range(3):
        e = chip.level_VO[v, o]
        if e >= 0:
            s.cuts_OE[o, e + 1] = move_in(o, chosen[o], n, s)


@_compiled
def end_cuts(chip, n, s):
    """The outermost memory takes all loops."""
    for o in range(3):
        s.cuts_OE[o, chip.levels_O[o]] = n


@_compiled
def move_in(o, stop, n, s):
    """Loops behind a cut that the operand does not depend on belong to the memory further in."""
    while stop < n and IRRELEVANT_OF[o, s.loop_T[stop]]:
        stop += 1
    return stop


@_compiled
def first_stop(chip, o, v, s):
    """Loops that the memories further in have taken; 0 for an operand that is not in memory `v`."""
    e = chip.level_VO[v, o]
    return s.cuts_OE[o, e] if e >= 0 else 0


@_compiled
def tile_bits(chip, layer, o, e, taken, s):
    """Bits of an element in memory `e`, when the memories further in have `taken` the innermost loops."""
    if o == O and (s.reduced > taken or s.outside_E[e]):
        return float(chip.partial_bits)
    return layer.bits_O[o]


@_compiled
def tiles(chip, layer, o, v, n, room, zigzag, state, s):
    """Writes the bits that an operand takes in memory `v` with its innermost t loops; returns the last t that fits."""
    e = chip.level_VO[v, o]
    if e < 0:
        state.tile_OT[o, 0] = state.moved_OT[o, 0] = 0
        return 0
    first = s.cuts_OE[o, e]
    bits = tile_bits(chip, layer, o, e, first, s)
    for t in range(first, n + 1):
        tile = exact_elements(layer, o, e + 1, t, zigzag, s) * bits
        if tile > room and t > first:
            return t - 1
        state.tile_OT[o, t] = tile
        # Ties are frequent, and the last bit breaks them: with `zigzag` as that tool does it.
        state.moved_OT[o, t] = tile * (s.total / s.product_T[t]) if zigzag else tile / s.product_T[t]
    return n


@_compiled
def _fill(begins, ends, room, streams, state):
    """Numbers of innermost loops (W, I, O) to hold in one memory; the least if nothing fits."""
    least, chosen = np.inf, begins
    tile_OT, moved_OT = state.tile_OT, state.moved_OT
    for w in range(begins[W], ends[W] + 1):
        for i in range(begins[I], ends[I] + 1):
            size = tile_OT[W, w] + tile_OT[I, i]
            if size > room:
                break
            moved = moved_OT[W, w] + moved_OT[I, i]
            for o in range(begins[O], ends[O] + 1):
                if size + tile_OT[O, o] > room:
                    break
                all_moved = moved + moved_OT[O, o]
                if all_moved < least * (1 - 1e-9) or (all_moved <= least and not streams):
                    least, chosen = all_moved, (w, i, o)
    return chosen


@_compiled
def try_fillings(chip, layer, n, skew, aim, front_X, state, s):
    """Cuts and costs the loops in `s` in three ways. Returns whether nothing crosses the off-chip link twice.

    Memories hold as much as they can; or half of it, so that they are double-buffered; or as little as moves no more,
    so that the array need not wait long for its first data. All three are always tried: then no mapping that is open
    to a slow memory is closed to a fast one, and more bandwidth is never slower.
    """
    zigzag, moves_least = aim.zigzag == 1, False
    for attempt in range(3):
        state.n_covered += 1
        fill, streams = (0.5, False) if attempt == 1 else (1.0, attempt == 2)
        if not cut(chip, layer, n, fill, streams, zigzag, state, s):
            return False
        if _is_new(chip, attempt, state, s):
            consider(chip, layer, n, skew, aim, front_X, state, s)
        if attempt == 0:
            moves_least = _moves_least(chip, layer, n, zigzag, s)
    return moves_least


@_compiled
def _is_new(chip, attempt, state, s):
    """Whether the cuts differ from those of the attempts before; notes them."""
    new = True
    for before in range(attempt):
        same = True
        for o in range(3):
            for e in range(1, chip.levels_O[o]):
                same &= state.cuts_3OE[before, o, e] == s.cuts_OE[o, e]
        new &= not same
    for o in range(3):
        for e in range(1, chip.levels_O[o]):
            state.cuts_3OE[attempt, o, e] = s.cuts_OE[o, e]
    return new


@_compiled
def _moves_least(chip, layer, n, zigzag, s):
    """Whether every operand crosses the off-chip link once."""
    for o in range(3):
        last = chip.levels_O[o] - 1
        row = s.entry_XF[entry(chip, layer, o, last, s.cuts_OE[o, last], zigzag, s)]
        whole = s.entry_XF[entry(chip, layer, o, last + 1, n, zigzag, s), ELEMENTS]
        if row[ELEMENTS] * s.total / row[PERIOD] > whole * (1 + 1e-9):
            return False
    return True


@_compiled
def consider(chip, layer, n, skew, aim, front_X, state, s):
    """Costs the mapping in `s` unless its bounds rule it out, and keeps it if it is wanted."""
    zigzag = aim.zigzag == 1
    for o in range(3):
        look_up(chip, layer, o, zigzag, s)
    energy = energy_of(chip, s)
    busy = off_chip_busy(chip, W, s) + off_chip_busy(chip, I, s) + off_chip_busy(chip, O, s)
    waits = least_wait(chip, W, s), least_wait(chip, I, s), least_wait(chip, O, s)
    least = bound(chip, skew, *waits, busy, zigzag, s)
    if not (aim.prunes and is_hopeless(least, energy, aim, state)):
        weigh(chip, skew, energy, zigzag, s)
        state.n_tried += 1
        offer(n, aim, front_X, state, s)


@_compiled
def is_hopeless(latency, energy, aim, state):
    """Whether a mapping of at least this latency and energy is not wanted, whatever comes."""
    if latency > aim.limit_cycles or energy > aim.limit_energy:
        state.least_cycles, state.least_energy = min(latency, state.least_cycles), min(energy, state.least_energy)
        return True
    if aim.objective == CYCLES and latency > state.fastest * (1 + aim.slack):
        return True
    for x in range(state.n_front):
        if not _is_better(latency, energy, state.latency_X[x], state.energy_X[x], aim):
            return True
    return False


@_compiled
def _is_better(latency, energy, than_latency, than_energy, aim):
    """Whether a mapping may stand beside another one, or in its place where one number decides."""
    if aim.objective == CYCLES:
        return latency < than_latency or energy < than_energy
    value = energy if aim.objective == ENERGY_J else energy * latency
    other = than_energy if aim.objective == ENERGY_J else than_energy * than_latency
    return value < other or (value == other and latency < than_latency)


@_compiled
def latency_of(result):
    """Whole cycles of a result."""
    return np.rint(result[TOTAL] + result[STALL] + result[ONLOAD] + result[OFFLOAD] + result[DRAIN])


@_compiled
def offer(n, aim, front_X, state, s):
    """Puts the mapping in `s` into the front, unless what is there makes it useless, and strikes what it outdoes."""
    latency, energy = latency_of(s.result), s.result[ENERGY]
    if is_hopeless(latency, energy, aim, state):
        return
    state.fastest = min(latency, state.fastest)
    kept = 0
    for x in range(state.n_front):
        wanted = aim.objective == CYCLES and state.latency_X[x] <= state.fastest * (1 + aim.slack)
        if wanted and _is_better(state.latency_X[x], state.energy_X[x], latency, energy, aim):
            if kept < x:
                copy(front_X[x], front_X[kept])
                state.latency_X[kept], state.energy_X[kept] = state.latency_X[x], state.energy_X[x]
            kept += 1
    kept = min(kept, FRONT - 1)
    write(front_X[kept], n, state, s)
    state.latency_X[kept], state.energy_X[kept] = latency, energy
    state.n_front = kept + 1


@_compiled
def write(found, n, state, s):
    """The mapping in `s`, with its costs."""
    for r in range(N_RESULTS):
        found.result[r] = s.result[r]
    for d in range(MAX_ARRAY):
        for f in range(8):
            found.asked_DF[d, f] = state.asked_UDF[state.u, d, f]
    for t in range(n):
        found.loop_T[t], found.size_T[t] = s.loop_T[t], s.size_T[t]
    for o in range(3):
        for e in range(MAX_LEVELS + 1):
            found.cuts_OE[o, e] = s.cuts_OE[o, e]
    found.n_loops = n


@_compiled
def copy(source, target):
    """One found mapping in the place of another."""
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


@_compiled
def conclude(aim, front_X, state, found):
    """Writes the answer: of the front, the least energy within the slack; or why there is none."""
    best = -1
    for x in range(state.n_front):
        near = aim.objective != CYCLES or state.latency_X[x] <= state.fastest * (1 + aim.slack)
        if near and (best < 0 or state.energy_X[x] < state.energy_X[best]):
            best = x
    if best >= 0:
        copy(front_X[best], found)
    elif state.least_cycles > aim.limit_cycles and state.least_cycles < np.inf:
        found.result[TOTAL], found.result[STALL] = OVER_CYCLES, state.least_cycles
    elif state.least_energy < np.inf:
        found.result[TOTAL], found.result[STALL] = OVER_ENERGY, state.least_energy
    else:
        found.result[TOTAL], found.result[STALL] = NOTHING_FITS, state.short_bits
        found.result[WORST] = state.short_memory
    found.n_tried, found.n_covered = state.n_tried, state.n_covered
