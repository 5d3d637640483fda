"""The ways to cut one order of the loops, operand by operand, each with what is known of it alone.

Axes as in ``models/_kernels.py``; Z ways, K memories that several operands share, M ports that several operands use, X
ways with one kind of buffering.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.mappers._search import MAX_WAYS, move_in, tile_bits
from archip.hardware.models._kernels import (
    _PORTS,
    BACK,
    IN_WORDS,
    MAX_LEVELS,
    MAX_MEMORIES,
    OUT_WORDS,
    I,
    O,
    W,
    exact_elements,
    least_wait,
    look_up,
    off_chip_busy,
)

__all__ = ["WAYS", "add_joules", "begin_pair", "choose", "fits", "list_ways", "own_share", "plan"]

MAX_MIXED = 16
KINDS = 3  # kinds of buffering of one way that are kept
N_SHARES, N_ALONE = 9, 4  # columns, see ``_shares.py``

# The first part is filled by `list_ways`, the rest by ``_shares.py``.
WAYS = np.dtype(
    [
        ("n_O", np.int64, (3,)),
        ("cuts_OZE", np.int64, (3, MAX_WAYS, MAX_LEVELS + 1)),
        ("at_OZJ", np.int64, (3, MAX_WAYS, MAX_LEVELS + 1)),  # entries
        ("own_OZE", np.float64, (3, MAX_WAYS, MAX_LEVELS + 1)),  # as in the model's scratch, like the next
        ("single_OZJ", np.float64, (3, MAX_WAYS, MAX_LEVELS + 1)),
        ("bits_OZV", np.float64, (3, MAX_WAYS, MAX_MEMORIES)),
        ("joules_OZE2", np.float64, (3, MAX_WAYS, MAX_LEVELS, 2)),  # of reads and of writes
        ("energy_OZ", np.float64, (3, MAX_WAYS)),
        ("wait_OZ", np.float64, (3, MAX_WAYS)),
        ("busy_OZ", np.float64, (3, MAX_WAYS)),
        ("least_O3", np.float64, (3, 3)),  # energy, wait and busy, each the least of all ways
        ("narrow_OZ", np.int64, (3, MAX_WAYS)),  # bit j: behind link j is no room for two, whatever else is there
        # Of the accelerator.
        ("adds_up", np.int64),  # 0: too many ports to keep shares of
        ("n_shared", np.int64),
        ("shared_K", np.int64, (MAX_MEMORIES,)),
        ("n_mixed", np.int64),
        ("mixed_P", np.int64, (_PORTS,)),  # number of a port that several operands use, or -1
        ("mixed_M", np.int64, (MAX_MIXED,)),  # and back
        ("load_OJ2", np.int64, (3, MAX_LEVELS + 1, 2)),  # port of the loads at a link's outer and inner end
        # Of a way with a kind of buffering.
        ("kind_OZX", np.int64, (3, MAX_WAYS, KINDS)),  # bit j: behind link j is a single buffer; -1: not known
        ("share_XMC", np.float64, (3 * MAX_WAYS * KINDS * MAX_MIXED, N_SHARES)),
        ("share_C", np.float64, (N_SHARES,)),
        ("alone_XC", np.float64, (3 * MAX_WAYS * KINDS, N_ALONE)),
        # Of a way.
        ("tied_OZ", np.int64, (3, MAX_WAYS)),  # bit p: the port may hide some of its loads
        ("blocked_OZ", np.int64, (3, MAX_WAYS)),  # bit p: the port is its own, and never free to hide them
        ("stuck_OZ", np.int64, (3, MAX_WAYS)),  # ports that hide nothing in the case of `transfers_OZ`; -1: none yet
        ("transfers_OZ", np.float64, (3, MAX_WAYS)),  # cycles of the first or last transfers
        # Of a pair of ways, for W and I.
        ("bits_K", np.float64, (MAX_MEMORIES,)),
        ("own_K", np.float64, (MAX_MEMORIES,)),
        ("pair_kind_2", np.int64, (2,)),
        ("pair_MC", np.float64, (MAX_MIXED, N_SHARES)),
        ("pair_C", np.float64, (N_ALONE,)),
    ],
    align=True,
)

_compiled = njit(cache=True, error_model="numpy")


@_compiled
def plan(chip, ways):
    """Writes which memories and ports several operands share."""
    ways.n_shared = ways.n_mixed = 0
    ways.adds_up = 1
    for v in range(chip.n_memories - 1):
        operands = 0
        for o in range(3):
            operands += chip.level_VO[v, o] >= 0
        if operands > 1:
            ways.shared_K[ways.n_shared] = v
            ways.n_shared += 1
    for p in range(chip.n_ports):
        ways.mixed_P[p] = -1
        mixed = False
        for x in range(chip.port_begin_P[p], chip.port_begin_P[p + 1]):
            mixed |= chip.operand_X[x] != chip.operand_X[chip.port_begin_P[p]]
            if chip.loads_X[x]:
                ways.load_OJ2[chip.operand_X[x], chip.link_X[x], chip.inner_X[x]] = p
        if mixed:
            if ways.n_mixed == MAX_MIXED:
                ways.adds_up = 0
                return
            ways.mixed_P[p], ways.mixed_M[ways.n_mixed] = ways.n_mixed, p
            ways.n_mixed += 1


@_compiled
def list_ways(chip, layer, o, n, zigzag, ways, s):
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
    ways.narrow_OZ[o, z] = 0
    for v in range(chip.n_memories):
        ways.bits_OZV[o, z, v] = 0
    for e in range(levels):
        ways.bits_OZV[o, z, chip.memory_OE[o, e]] = bits_E[e]
        ways.own_OZE[o, z, e] = s.own_OE[o, e]
        ways.narrow_OZ[o, z] |= int(s.own_OE[o, e] > 0.5) << (e + 1)
    for j in range(levels + 1):
        ways.cuts_OZE[o, z, j], ways.at_OZJ[o, z, j] = s.cuts_OE[o, j], s.at_OJ[o, j]
        ways.single_OZJ[o, z, j] = s.single_OJ[o, j]
    numbers = _joules(chip, o, z, levels, ways, s), least_wait(chip, o, s), off_chip_busy(chip, o, s)
    ways.energy_OZ[o, z], ways.wait_OZ[o, z], ways.busy_OZ[o, z] = numbers
    for i in range(3):
        ways.least_O3[o, i] = min(ways.least_O3[o, i], numbers[i])
    for kind in range(KINDS):
        ways.kind_OZX[o, z, kind] = -1
    ways.stuck_OZ[o, z] = -1


@_compiled
def _joules(chip, o, z, levels, ways, s):
    """Writes the energy of the accesses at each level, as `add_energy` of the model; returns their sum."""
    energy = 0.0
    for e in range(levels + 1):
        v, lower = chip.memory_OE[o, e], s.entry_XF[s.at_OJ[o, e]]
        higher = s.entry_XF[s.at_OJ[o, e + 1]] if e < levels else lower
        words, more = lower[OUT_WORDS], higher[IN_WORDS] if e < levels else 0.0
        reads, writes = words, more
        if o == O:
            reads, writes = more + words * lower[BACK], more * higher[BACK] + words
        ways.joules_OZE2[o, z, e, 0], ways.joules_OZE2[o, z, e, 1] = reads * chip.read_V[v], writes * chip.write_V[v]
        energy += ways.joules_OZE2[o, z, e, 0] + ways.joules_OZE2[o, z, e, 1]
    return energy


@_compiled
def add_joules(chip, o, z, energy, ways):
    """Energy with that of one operand added, in the order of the model."""
    for e in range(chip.levels_O[o]):
        energy += ways.joules_OZE2[o, z, e, 0]
        energy += ways.joules_OZE2[o, z, e, 1]
    return energy


@_compiled
def choose(chip, o, z, ways, s):
    """Makes this way a part of the mapping in `s`."""
    levels = chip.levels_O[o]
    for j in range(levels):
        s.cuts_OE[o, j], s.at_OJ[o, j] = ways.cuts_OZE[o, z, j], ways.at_OZJ[o, z, j]
        s.single_OJ[o, j] = ways.single_OZJ[o, z, j]
    for e in range(levels - 1):
        s.own_OE[o, e] = ways.own_OZE[o, z, e]


@_compiled
def begin_pair(chip, w, i, ways):
    """Turns to a way of W and one of I; False where they do not fit together."""
    for k in range(ways.n_shared):
        v = ways.shared_K[k]
        ways.bits_K[k] = ways.bits_OZV[W, w, v] + ways.bits_OZV[I, i, v]
        if ways.bits_K[k] > chip.bits_V[v]:
            return False
        ways.own_K[k] = own_share(chip, W, w, v, ways) + own_share(chip, I, i, v, ways)
    ways.pair_kind_2[0] = -1
    return True


@_compiled
def own_share(chip, o, z, v, ways):
    e = chip.level_VO[v, o]
    return ways.own_OZE[o, z, e] if e >= 0 else 0.0


@_compiled
def fits(chip, o, ways):
    """Whether a way of O fits together with the pair."""
    for k in range(ways.n_shared):
        v = ways.shared_K[k]
        if ways.bits_K[k] + ways.bits_OZV[O, o, v] > chip.bits_V[v]:
            return False
    return True
