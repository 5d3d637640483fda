"""A mapping's latency as the sum of what its three ways to cut ask of the ports.

What a port has to do is a sum over operands, and what an operand asks of it depends on its own way to cut and on which
of its links have a single buffer. These shares are kept, so that of the thousands of combinations of a few ways each
one costs a few additions. Nearly all terms are whole cycles, so that sums in another order are equal to the last bit;
the others are added up in the order of ``models/_kernels.py``. Where more is to be known (windows none of which is
always open; loads that hide in part) the model itself has to be asked.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.mappers._search import MAX_WAYS
from archip.hardware.mappers._ways import KINDS, N_ALONE, N_SHARES, own_share
from archip.hardware.models._kernels import (
    BACK,
    IN_BUSY,
    IN_RATE,
    IN_REAL,
    MOVED_BITS,
    OUT_BUSY,
    OUT_RATE,
    OUT_REAL,
    PERIOD,
    PERIODS,
    I,
    O,
    W,
)

__all__ = ["latency"]

# Columns of a share: cycles that transfers take beyond their windows; cycles of the others and in the windows of those;
# cycles in the longest of the windows; bits per cycle of the loads that are repeated; cycles of the others that could
# be hidden; cycles in use, of up to four transfers.
(LATE, SPARE, LONGEST, RATE, OVER, USED) = range(6)
# The ports of one operand alone: longest stall; the same where it is a bound only; cycles in use; cycles that the array
# must at least work for all to be hidden that can be.
(STALL, UNSURE, MOST, NEED) = range(4)

_LARGEST = 2.0**47  # whole numbers of which sixty can be added up exactly
_SURELY = 1 + 1e-9

_compiled = njit(cache=True, error_model="numpy")


@_compiled
def _buffering(chip, w, i, o, ways):
    """Of each way (W, I, O) the links with a single buffer, as bits (`_windows` of the model)."""
    kind_w, kind_i, kind_o = ways.narrow_OZ[W, w], ways.narrow_OZ[I, i], ways.narrow_OZ[O, o]
    for k in range(ways.n_shared):
        v = ways.shared_K[k]
        own = own_share(chip, O, o, v, ways)
        occupied = ways.own_K[k] + own
        if occupied > 0.5:
            occupied, kind_o = _double(chip, O, v, own, occupied, kind_o)
            occupied, kind_w = _double(chip, W, v, own_share(chip, W, w, v, ways), occupied, kind_w)
            occupied, kind_i = _double(chip, I, v, own_share(chip, I, i, v, ways), occupied, kind_i)
    return kind_w, kind_i, kind_o


@_compiled
def _double(chip, o, v, own, occupied, kind):
    e = chip.level_VO[v, o]
    if e < 0 or own <= 1 - occupied:
        return occupied + own, kind
    return occupied, kind | (1 << (e + 1))


@_compiled
def _ask(chip, o, z, kind, ways, s):
    """Number of a way with this kind of buffering, whose shares are known from now on."""
    k = kind % KINDS  # kinds that differ in one link have different places
    x = (o * MAX_WAYS + z) * KINDS + k
    if ways.kind_OZX[o, z, k] != kind:
        ways.kind_OZX[o, z, k] = kind
        ways.tied_OZ[o, z] = ways.blocked_OZ[o, z] = 0
        alone_C = ways.alone_XC[x]
        alone_C[:] = 0
        for p in range(chip.n_ports):
            m = ways.mixed_P[p]
            if m >= 0:
                share_C = ways.share_XMC[x * ways.n_mixed + m]
                _share(chip, p, o, z, kind, share_C, alone_C, ways, s)
                ways.tied_OZ[o, z] |= int(share_C[OVER] > 0) << p
            elif chip.operand_X[chip.port_begin_P[p]] == o:
                share_C = ways.share_C
                _share(chip, p, o, z, kind, share_C, alone_C, ways, s)
                _settle(chip, p, o, z, share_C, alone_C, ways, s)
    return x


@_compiled
def _share(chip, p, o, z, kind, share_C, alone_C, ways, s):
    """Adds up what an operand asks of a port (`_port` of the model)."""
    share_C[:] = 0
    n, wide = USED, chip.wide_V[chip.port_memory_P[p]]
    for x in range(chip.port_begin_P[p], chip.port_begin_P[p + 1]):
        j, inner = chip.link_X[x], chip.inner_X[x]
        if chip.operand_X[x] != o:
            continue
        row = s.entry_XF[ways.at_OZJ[o, z, j]]
        if chip.comes_back_X[x] and not row[BACK]:
            continue
        window = ways.single_OZJ[o, z, j] if (kind >> j) & 1 else row[PERIOD]
        real, again = row[IN_REAL if inner else OUT_REAL], row[PERIODS] - 1
        share_C[LATE] += max(0.0, real - window) * again
        share_C[SPARE] += min(real, window) * again
        share_C[LONGEST] = max(share_C[LONGEST], window * row[PERIODS])
        share_C[n] = row[IN_BUSY if inner else OUT_BUSY]
        n += 1
        if max(real, window) * row[PERIODS] > _LARGEST:
            alone_C[UNSURE] = np.inf
        if chip.loads_X[x]:
            if again > 0:
                share_C[RATE] += row[IN_RATE if inner else OUT_RATE]
            else:
                share_C[OVER] += max(0.0, real - _least(o, z, wide, ways, s))


@_compiled
def _least(o, z, wide, ways, s):
    """Cycles of a load that cannot be hidden: the innermost tile has to be there."""
    return np.ceil(s.entry_XF[ways.at_OZJ[o, z, 1], MOVED_BITS] / wide)


@_compiled
def _settle(chip, p, o, z, share_C, alone_C, ways, s):
    """Adds a port that no other operand uses to what is known of them all."""
    used = share_C[USED] + share_C[USED + 1] + share_C[USED + 2] + share_C[USED + 3]
    alone_C[MOST] = max(alone_C[MOST], used)
    late, more = share_C[LATE], share_C[SPARE] - share_C[LONGEST]
    sure = more <= 0 or share_C[LONGEST] == s.total
    column = STALL if sure else UNSURE
    alone_C[column] = max(alone_C[column], late + max(0.0, more))
    wide = chip.wide_V[chip.port_memory_P[p]]
    if share_C[OVER] > 0:
        if share_C[RATE] >= wide:
            ways.blocked_OZ[o, z] |= 1 << p
        else:
            alone_C[NEED] = max(alone_C[NEED], share_C[OVER] * wide / (wide - share_C[RATE]) * _SURELY)


@_compiled
def _add_pair(chip, w, i, kind_w, kind_i, ways, s):
    """Adds up what a way of W and one of I ask together."""
    x, y = _ask(chip, W, w, kind_w, ways, s), _ask(chip, I, i, kind_i, ways, s)
    for c in range(N_ALONE):
        ways.pair_C[c] = max(ways.alone_XC[x, c], ways.alone_XC[y, c])
    for m in range(ways.n_mixed):
        both_C = ways.pair_MC[m]
        first_C, second_C = ways.share_XMC[y * ways.n_mixed + m], ways.share_XMC[x * ways.n_mixed + m]
        for c in range(USED):
            both_C[c] = first_C[c] + second_C[c]
        both_C[LONGEST] = max(first_C[LONGEST], second_C[LONGEST])
        used = 0.0
        for t in range(USED, N_SHARES):
            used += first_C[t]
        for t in range(USED, N_SHARES):
            used += second_C[t]
        both_C[USED] = used
    ways.pair_kind_2[0], ways.pair_kind_2[1] = kind_w, kind_i


@_compiled
def latency(chip, skew, w, i, o, zigzag, ways, s):
    """Whole cycles of the mapping (`weigh` and `latency_of`), -1 where only the model itself can tell."""
    kind_w, kind_i, kind_o = _buffering(chip, w, i, o, ways)
    x = _ask(chip, O, o, kind_o, ways, s)
    if kind_w != ways.pair_kind_2[0] or kind_i != ways.pair_kind_2[1]:
        _add_pair(chip, w, i, kind_w, kind_i, ways, s)
    stall, busy = _ports(x, ways, s)
    stuck = _stuck_ports(chip, x, s.total + stall, ways)
    if stall < 0 or stuck < 0:
        return -1.0
    onload = max(_transfers(chip, W, w, stuck, ways, s), _transfers(chip, I, i, stuck, ways, s))
    offload = _transfers(chip, O, o, stuck, ways, s)
    cycles = s.total + stall + onload + offload
    if not zigzag and busy > cycles:
        onload += busy - cycles
    return np.rint(s.total + stall + onload + offload + (skew if chip.systolic else 0))


@_compiled
def _ports(x, ways, s):
    """(Stall or -1, cycles in use) of the port that has most of each; `x` is the way of O."""
    pair_C, alone_C = ways.pair_C, ways.alone_XC[x]
    stall, unsure = max(pair_C[STALL], alone_C[STALL]), max(pair_C[UNSURE], alone_C[UNSURE])
    busy = max(pair_C[MOST], alone_C[MOST])
    for m in range(ways.n_mixed):
        both_C, own_C = ways.pair_MC[m], ways.share_XMC[x * ways.n_mixed + m]
        busy = max(busy, both_C[USED] + own_C[USED] + own_C[USED + 1] + own_C[USED + 2] + own_C[USED + 3])
        late, longest = both_C[LATE] + own_C[LATE], max(both_C[LONGEST], own_C[LONGEST])
        more = both_C[SPARE] + own_C[SPARE] - longest
        if more <= 0:
            stall = max(stall, late)
        elif longest == s.total:
            stall = max(stall, late + more)
        else:  # at most, for other windows may be open when the longest is not
            unsure = max(unsure, late + more)
    return (stall if unsure <= stall else -1.0), busy


@_compiled
def _stuck_ports(chip, x, cycles, ways):
    """Ports that hide nothing in these cycles, as bits; -1 if one hides a part. The others hide all that they can."""
    if max(ways.pair_C[NEED], ways.alone_XC[x, NEED]) > cycles:
        return -1
    stuck = 0
    for m in range(ways.n_mixed):
        both_C, own_C = ways.pair_MC[m], ways.share_XMC[x * ways.n_mixed + m]
        over = both_C[OVER] + own_C[OVER]
        if over > 0:
            p = ways.mixed_M[m]
            wide = chip.wide_V[chip.port_memory_P[p]]
            free = wide - (both_C[RATE] + own_C[RATE])
            if free <= 0:
                stuck |= 1 << p
            elif free * cycles < over * wide * _SURELY:
                return -1
    return stuck


@_compiled
def _transfers(chip, o, z, stuck, ways, s):
    """Cycles of an operand's first or last transfers, when these ports hide nothing and the others all they can."""
    stuck &= ways.tied_OZ[o, z]
    if stuck != ways.stuck_OZ[o, z]:
        ways.stuck_OZ[o, z] = stuck
        cycles, busy = 0.0, stuck | ways.blocked_OZ[o, z]
        for j in range(1, chip.levels_O[o]):
            row = s.entry_XF[ways.at_OZJ[o, z, j]]
            outer, inner = row[OUT_REAL], row[IN_REAL]
            if row[PERIODS] == 1:
                p = ways.load_OJ2[o, j, 0]
                if not (busy >> p) & 1:
                    outer = min(outer, _least(o, z, chip.wide_V[chip.port_memory_P[p]], ways, s))
                p = ways.load_OJ2[o, j, 1]
                if not (busy >> p) & 1:
                    inner = min(inner, _least(o, z, chip.wide_V[chip.port_memory_P[p]], ways, s))
            cycles += max(outer, inner)
        ways.transfers_OZ[o, z] = cycles
    return ways.transfers_OZ[o, z]
