"""Compiled inner loops of the loop-nest model: spatial spread, tiles, words, ports, first and last transfers.

Everything here works on packed arrays and is compiled by numba (and cached on disk) on first use. The rules and their
names are those of ``models/loopnest.py``; this file holds only the arithmetic.

Axes: D array dimensions, V memories, O operands (W I O), E levels of one operand (inside
out), F the eight loops B G K C OY OX FY FX. Link j of an operand joins its memories j - 1 and j; link 0 joins memory 0
and the array.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["CHIP", "LAYER", "SCRATCH", "evaluate_batch", "scratch"]

MAX_ARRAY, MAX_MEMORIES, MAX_LEVELS, MAX_LOOPS = 4, 10, 6, 24

B, G, K, C, OY, OX, FY, FX = range(8)
W, I, O = range(3)  # noqa: E741
RD_HIGH, WR_HIGH, RD_LOW, WR_LOW = range(4)  # rd_to_higher, wr_from_higher, rd_to_lower, wr_from_lower
TOTAL, STALL, ONLOAD, OFFLOAD, DRAIN, ENERGY, MAC_ENERGY, WORST = range(8)  # columns of a result; WORST: memory or -1
N_RESULTS = 8

# Loops that an operand does not depend on. OX, FX, OY, FY make the input's window together: partly relevant.
IRRELEVANT_OF = np.zeros((3, 8), dtype=np.bool_)
IRRELEVANT_OF[W, [B, OY, OX]] = True
IRRELEVANT_OF[I, K] = True
IRRELEVANT_OF[O, [C, FY, FX]] = True
RELEVANT_OF = ~IRRELEVANT_OF
RELEVANT_OF[I, [OY, OX, FY, FX]] = False

_EPS = 1e-9  # unrollings are fractions kept as floats: products of them miss integers by less than this


# Records are handed from function to function as one pointer. Unused places hold 1 (sizes), 0 (energies), -1 (indices).
CHIP = np.dtype(
    [
        ("array_D", np.int64, (MAX_ARRAY,)),  # sizes of the array dimensions
        ("bits_V", np.float64, (MAX_MEMORIES,)),  # capacity
        ("narrow_V", np.float64, (MAX_MEMORIES,)),  # minimum port width
        ("wide_V", np.float64, (MAX_MEMORIES,)),  # maximum port width
        ("read_V", np.float64, (MAX_MEMORIES,)),  # J per access of maximum width
        ("write_V", np.float64, (MAX_MEMORIES,)),
        ("ports_V", np.int64, (MAX_MEMORIES,)),  # 1, 2 or 4
        ("serves_VD", np.int64, (MAX_MEMORIES, MAX_ARRAY)),  # 1 or 0
        ("n_memories", np.int64),
        ("levels_O", np.int64, (3,)),  # number of memories of an operand
        ("memory_OE", np.int64, (3, MAX_LEVELS)),  # memory at a level
        ("level_VO", np.int64, (MAX_MEMORIES, 3)),  # level at a memory, -1 if it does not hold the operand
        ("partial_bits", np.int64),
        ("multiply_j", np.float64),  # at multiplier_bits x multiplier_bits
        ("add_j", np.float64),
        ("multiplier_bits", np.int64),
        ("systolic", np.int64),  # 1 or 0
    ],
    align=True,
)

# One layer; axis 2 is (y, x).
LAYER = np.dtype(
    [
        ("dims_F", np.int64, (8,)),
        ("step_2", np.int64, (2,)),  # stride and
        ("spread_2", np.int64, (2,)),  # dilation, both divided by their greatest common divisor
        ("extent_2", np.int64, (2,)),  # the most input rows and columns that are read, padding left out
        ("bits_O", np.int64, (3,)),
        ("active", np.float64),  # share of the multiplications without a zero operand
    ],
    align=True,
)

_LINKS = MAX_LEVELS + 1
_TRANSFERS = 6 * 3 * MAX_LEVELS

# Working memory of one thread.
SCRATCH = np.dtype(
    [
        ("real_DF", np.float64, (MAX_ARRAY, 8)),  # unrollings f = D / (t e), usually fractions
        ("steps_F", np.int64, (8,)),  # temporal iterations t
        ("tile_2OEF", np.float64, (2, 3, MAX_LEVELS, 8)),  # unrolling below a level, with f and with floor(f)
        ("fan_3OE", np.float64, (3, 3, MAX_LEVELS)),  # different lower tiles that one instance exchanges at a time
        ("units_OE", np.float64, (3, MAX_LEVELS)),  # instances in use
        ("outside_E", np.int64, (_LINKS,)),  # 1: a reduction is unrolled further out than this level
        ("loop_T", np.int64, (MAX_LOOPS,)),  # temporal loops, innermost first
        ("size_T", np.int64, (MAX_LOOPS,)),
        ("inside_TF", np.float64, (MAX_LOOPS + 1, 8)),  # product of the innermost T loops, per loop dimension
        ("product_T", np.float64, (MAX_LOOPS + 1,)),  # and over all of them
        ("cuts_OE", np.int64, (3, _LINKS)),  # memory e holds what the innermost cuts[o, e + 1] loops sweep
        ("period_OE", np.float64, (3, _LINKS)),  # by link, as are the next four
        ("elements_3OE", np.float64, (3, 3, _LINKS)),  # with f, with floor(f), and with f but not rounded
        ("window_OE", np.float64, (3, _LINKS)),
        ("link_bits_OE", np.float64, (3, _LINKS)),
        ("back_E", np.int64, (_LINKS,)),  # 1: partial sums come back over it
        ("ends_OE2", np.float64, (3, _LINKS, 2)),  # by link: first or last transfer at its outer and inner end
        ("occupied_V", np.float64, (MAX_MEMORIES,)),
        # real, window, period, number of periods, rate, least, free in a period, free in a window, busy in all
        ("transfer_X9", np.float64, (_TRANSFERS, 9)),
        ("where_X6", np.int64, (_TRANSFERS, 6)),  # memory, port, operand, link, end, loading
        ("order_X", np.int64, (_TRANSFERS,)),
        ("words_OE4", np.float64, (3, MAX_LEVELS, 4)),
        ("result", np.float64, (N_RESULTS,)),
    ],
    align=True,
)


def scratch() -> np.ndarray:
    """Fresh working memory, an array of one record."""
    fresh = np.zeros(1, SCRATCH)
    for name in ("tile_2OEF", "fan_3OE", "units_OE", "inside_TF", "product_T", "elements_3OE"):
        fresh[name] = 1
    return fresh


@njit(cache=True)
def _round(x):
    """The nearest integer, halves to the even one."""
    low = np.floor(x + _EPS)
    if abs(x - low - 0.5) < _EPS:
        return low + low % 2
    return np.floor(x + 0.5)


@njit(cache=True)
def _floor(x):
    return np.floor(x + _EPS)


@njit(cache=True)
def _length(outputs, taps, step, spread, extent):
    """Distinct input positions step * i + spread * j of i < outputs, j < taps: pairs less those met again."""
    return min(outputs * taps - max(0.0, outputs - spread) * max(0.0, taps - step), extent)


@njit(cache=True)
def elements(layer, o, time_F, space_F, zigzag):
    """Elements of an operand in the loops whose products are time * space, a fraction where these are."""
    if o == W:
        return (
            (time_F[G] * space_F[G])
            * (time_F[K] * space_F[K])
            * (time_F[C] * space_F[C])
            * (time_F[FY] * space_F[FY])
            * (time_F[FX] * space_F[FX])
        )
    both = (time_F[B] * space_F[B]) * (time_F[G] * space_F[G])
    if o == O:
        return both * (time_F[K] * space_F[K]) * (time_F[OY] * space_F[OY]) * (time_F[OX] * space_F[OX])
    high, tall = time_F[OY] * space_F[OY], time_F[FY] * space_F[FY]
    broad, deep = time_F[OX] * space_F[OX], time_F[FX] * space_F[FX]
    if zigzag:
        high, tall, broad, deep = _floor(high), _floor(tall), _floor(broad), _floor(deep)
    rows = _length(high, tall, layer.step_2[0], layer.spread_2[0], layer.extent_2[0])
    columns = _length(broad, deep, layer.step_2[1], layer.spread_2[1], layer.extent_2[1])
    return both * (time_F[C] * space_F[C]) * rows * columns


@njit(cache=True)
def spread(chip, layer, asked_DF, zigzag, s):
    """Fills `s` with what follows from the unrollings asked for alone; returns the sum of (unrolling - 1)."""
    for f in range(8):
        largest, product = 0, 1
        for d in range(MAX_ARRAY):
            product *= asked_DF[d, f]
            if asked_DF[d, f] > asked_DF[largest, f]:
                largest = d
            s.real_DF[d, f] = asked_DF[d, f]
        size = layer.dims_F[f]
        s.steps_F[f] = -(-size // product)
        s.real_DF[largest, f] = size * asked_DF[largest, f] / (s.steps_F[f] * product)
    for o in range(3):
        _spread_operand(chip, layer, o, zigzag, s)
    s.outside_E[chip.levels_O[O]] = 0
    skew = 0
    for d in range(MAX_ARRAY):
        product = 1
        for f in range(8):
            product *= asked_DF[d, f]
        skew += product - 1
    return skew


@njit(cache=True)
def _spread_operand(chip, layer, o, zigzag, s):
    levels = chip.levels_O[o]
    below = (1.0, 1.0)
    taken = 0  # bit set of array dimensions that an inner memory serves
    ones = np.ones(8)
    for e in range(levels):
        memory = chip.memory_OE[o, e]
        for f in range(8):
            for k in range(2):
                s.tile_2OEF[k, o, e, f] = s.tile_2OEF[k, o, e - 1, f] if e else 1.0
        for d in range(MAX_ARRAY):
            if chip.serves_VD[memory, d] and not (taken >> d) & 1:
                taken |= 1 << d
                for f in range(8):
                    s.tile_2OEF[0, o, e, f] *= s.real_DF[d, f]
                    s.tile_2OEF[1, o, e, f] *= _floor(s.real_DF[d, f])
        units, reduces = 1.0, False
        for d in range(MAX_ARRAY):
            if not (taken >> d) & 1:
                for f in range(8):
                    units *= s.real_DF[d, f]
                    reduces |= IRRELEVANT_OF[O, f] and s.real_DF[d, f] > 1 + _EPS
        s.units_OE[o, e] = _round(units)
        if o == O:
            s.outside_E[e] = reduces
        here = (
            elements(layer, o, ones, s.tile_2OEF[0, o, e], zigzag),
            elements(layer, o, ones, s.tile_2OEF[1, o, e], zigzag),
        )
        s.fan_3OE[2, o, e] = here[0] / below[0]
        s.fan_3OE[0, o, e] = _round(here[0] / below[0])
        s.fan_3OE[1, o, e] = _round(here[1] / below[1])
        below = here


@njit(cache=True)
def sweep(n_loops, s):
    """Fills in the running products of the temporal loops."""
    for t in range(n_loops):
        for f in range(8):
            s.inside_TF[t + 1, f] = s.inside_TF[t, f]
        s.inside_TF[t + 1, s.loop_T[t]] *= s.size_T[t]
        s.product_T[t + 1] = s.product_T[t] * s.size_T[t]


@njit(cache=True)
def reduction_end(n_loops, s):
    """Number of innermost loops that contain every reduction loop."""
    for t in range(n_loops, 0, -1):
        if IRRELEVANT_OF[O, s.loop_T[t - 1]]:
            return t
    return 0


@njit(cache=True)
def _top(table_F, o, e, s):
    """Product of the loops at the top of an operand's bracket `e`, down to the first that `table_F` does not admit."""
    product = 1.0
    for t in range(s.cuts_OE[o, e + 1] - 1, s.cuts_OE[o, e] - 1, -1):
        if s.size_T[t] > 1:
            if not table_F[s.loop_T[t]]:
                break
            product *= s.size_T[t]
    return product


@njit(cache=True)
def _links(chip, layer, reduced, zigzag, s):
    """Period, elements, bits of every link."""
    for o in range(3):
        bottom = 0
        while o != O and bottom < s.cuts_OE[o, 1] and (IRRELEVANT_OF[o, s.loop_T[bottom]] or s.size_T[bottom] == 1):
            bottom += 1
        s.period_OE[o, 0] = s.product_T[bottom]
        for j in range(chip.levels_O[o] + 1):
            cut = s.cuts_OE[o, j]
            s.link_bits_OE[o, j] = layer.bits_O[o]
            if o == O:
                s.back_E[j] = reduced > cut or s.outside_E[j]
                if s.back_E[j]:
                    s.link_bits_OE[o, j] = chip.partial_bits
            if j:
                s.period_OE[o, j] = s.product_T[cut]
                inside = s.inside_TF[cut]
                s.elements_3OE[2, o, j] = elements(layer, o, inside, s.tile_2OEF[0, o, j - 1], zigzag)
                s.elements_3OE[0, o, j] = _round(s.elements_3OE[2, o, j])
                s.elements_3OE[1, o, j] = elements(layer, o, inside, s.tile_2OEF[1, o, j - 1], zigzag)


@njit(cache=True)
def _windows(chip, s):
    """Cycles in which a link may be used without stopping the array: all of a period behind a double buffer."""
    for v in range(chip.n_memories):
        s.occupied_V[v] = 0
    for o in range(3):
        for e in range(chip.levels_O[o]):
            s.occupied_V[chip.memory_OE[o, e]] += _occupancy(chip, o, e, s)
    for o in (O, W, I):
        s.window_OE[o, 0] = s.period_OE[o, 0]
        for e in range(chip.levels_O[o]):
            v = chip.memory_OE[o, e]
            own = _occupancy(chip, o, e, s)
            doubled = s.occupied_V[v] <= 0.5
            if not doubled and own <= 1 - s.occupied_V[v]:
                doubled = True
                s.occupied_V[v] += own
            still = 1.0 if doubled else _top(IRRELEVANT_OF[o], o, e, s)
            s.window_OE[o, e + 1] = np.floor(s.period_OE[o, e + 1] / still)


@njit(cache=True)
def _occupancy(chip, o, e, s):
    """Share of a memory that the part of a tile takes which changes at once."""
    part = s.elements_3OE[0, o, e + 1] * s.link_bits_OE[o, e + 1] / _top(RELEVANT_OF[o], o, e, s)
    return np.floor(part + _EPS) / chip.bits_V[chip.memory_OE[o, e]]


@njit(cache=True)
def _words(chip, total, s):
    """Fills in the accesses, in words of the maximum width; returns their energy in J."""
    energy = 0.0
    for o in range(3):
        levels = chip.levels_O[o]
        for e in range(levels):
            v = chip.memory_OE[o, e]
            lower = _words_of(chip, o, v, e, s.elements_3OE[0, o, e] * s.fan_3OE[0, o, e], total, e, s)
            higher = 0.0
            if e + 1 < levels:
                higher = _words_of(chip, o, v, e + 1, s.elements_3OE[0, o, e + 1], total, e, s)
            words = s.words_OE4[o, e]
            if o == O:
                words[WR_LOW] = lower
                words[RD_LOW] = lower if s.back_E[e] else 0.0
                words[RD_HIGH] = higher
                words[WR_HIGH] = higher if s.back_E[e + 1] else 0.0
            else:
                words[RD_LOW], words[WR_HIGH] = lower, higher
                words[WR_LOW] = words[RD_HIGH] = 0.0
            energy += (words[RD_HIGH] + words[RD_LOW]) * chip.read_V[v]
            energy += (words[WR_HIGH] + words[WR_LOW]) * chip.write_V[v]
    return energy


@njit(cache=True)
def _words_of(chip, o, v, link, elements, total, e, s):
    pieces = np.ceil(elements * s.link_bits_OE[o, link] / chip.narrow_V[v])
    periods = total / s.period_OE[o, link]
    share = chip.narrow_V[v] / chip.wide_V[v]
    return np.floor(pieces * share * periods * s.units_OE[o, e] + _EPS)


@njit(cache=True)
def _transfers(chip, total, k, s):
    """Lists what goes over every port, memory by memory; returns how many there are.

    `k`: elements with unrollings as they are (0) or rounded down (1).
    """
    n = 0
    for v in range(chip.n_memories):
        for o in (I, W, O):
            e = chip.level_VO[v, o]
            if e < 0:
                continue
            lower = s.elements_3OE[k, o, e] * s.fan_3OE[k, o, e]
            whole = s.elements_3OE[2, o, e] * s.fan_3OE[2, o, e]
            if o != O:
                n = _transfer(chip, v, o, e, RD_LOW, lower, whole, True, total, k, n, s)
            else:
                n = _transfer(chip, v, o, e, WR_LOW, lower, whole, True, total, k, n, s)
                if s.back_E[e]:
                    n = _transfer(chip, v, o, e, RD_LOW, lower, whole, False, total, k, n, s)
            if e + 1 < chip.levels_O[o]:
                higher = s.elements_3OE[k, o, e + 1]
                whole = s.elements_3OE[2, o, e + 1]
                if o != O:
                    n = _transfer(chip, v, o, e + 1, WR_HIGH, higher, whole, True, total, k, n, s)
                else:
                    n = _transfer(chip, v, o, e + 1, RD_HIGH, higher, whole, True, total, k, n, s)
                    if s.back_E[e + 1]:
                        n = _transfer(chip, v, o, e + 1, WR_HIGH, higher, whole, False, total, k, n, s)
    return n


@njit(cache=True)
def _transfer(chip, v, o, link, direction, elements, whole, loads, total, k, n, s):
    """Adds one transfer; `whole`: elements before rounding; `loads`: on the way of data in (W, I) or out (O)."""
    wide, bits, period = chip.wide_V[v], s.link_bits_OE[o, link], s.period_OE[o, link]
    row, where = s.transfer_X9[n], s.where_X6[n]
    row[0] = np.ceil(elements * bits / wide)
    row[1] = s.window_OE[o, link]
    row[2] = period
    row[3] = total / period
    row[4] = np.floor(elements * bits / period + _EPS)
    row[5] = np.ceil(s.elements_3OE[k, o, 1] * s.link_bits_OE[o, 1] / wide)
    row[8] = whole * bits / wide * row[3]
    reads = direction in (RD_HIGH, RD_LOW)
    ports = chip.ports_V[v]
    where[0] = v
    where[1] = direction if ports == 4 else (0 if reads or ports == 1 else 1)
    where[2], where[3], where[5] = o, link, loads
    where[4] = direction in (WR_HIGH, RD_HIGH)  # the inner end of the link is the high side of the inner memory
    return n + 1


@njit(cache=True)
def _uncovered(k, x, s):
    """Cycles of [0, x) outside the windows of the k + 1 shortest periods of the port, listed in `order_X`.

    Windows are the first cycles of their periods, and the periods divide one another; columns 6 and 7 of a transfer
    hold what is free in a whole period and in the window itself.
    """
    free = 0.0
    while k >= 0:
        row = s.transfer_X9[s.order_X[k]]
        free += np.floor(x / row[2]) * row[6]
        x = x % row[2]
        if x <= row[1]:
            return free
        free -= row[7]
        k -= 1
    return free + x


@njit(cache=True)
def _covered(n, total, s):
    """Cycles in which at least one of the port's n windows is open."""
    for i in range(n):
        if s.transfer_X9[s.order_X[i], 1] >= s.transfer_X9[s.order_X[i], 2]:
            return total
    for i in range(1, n):  # insertion sort by period
        k, j = s.order_X[i], i
        while j and s.transfer_X9[s.order_X[j - 1], 2] > s.transfer_X9[k, 2]:
            s.order_X[j] = s.order_X[j - 1]
            j -= 1
        s.order_X[j] = k
    for i in range(n):
        row = s.transfer_X9[s.order_X[i]]
        row[7] = _uncovered(i - 1, row[1], s)
        row[6] = _uncovered(i - 1, row[2], s) - row[7]
    longest = s.transfer_X9[s.order_X[n - 1]]
    return (longest[2] - longest[6]) * (total / longest[2])


@njit(cache=True)
def _port_stall(n, total, s):
    """Stall of a port with the n transfers in `order_X`."""
    late = early = busy = 0.0
    for i in range(n):
        row = s.transfer_X9[s.order_X[i]]
        stall = (row[0] - row[1]) * (row[3] - 1)
        late += max(0.0, stall)
        early += min(0.0, stall)
        busy += row[1] * (row[3] - 1)
    if n == 1:
        return late
    return late + max(0.0, early + busy - _covered(n, total, s))


@njit(cache=True)
def _gather(port, v, n, loading, s):
    """Lists the transfers of one port in `order_X`; returns how many there are."""
    m = 0
    for x in range(n):
        where = s.where_X6[x]
        if where[0] == v and where[1] == port and (not loading or where[5]):
            s.order_X[m] = x
            m += 1
    return m


@njit(cache=True)
def _first_and_last(n, wide, cycles, s):
    """Cycles of the first or last transfer of each of the n loads of one port: what the array's work cannot hide."""
    rate = 0.0
    for i in range(n):
        row = s.transfer_X9[s.order_X[i]]
        if row[3] > 1:
            rate += row[4]
    free = max(0.0, (wide - rate) / wide * cycles)
    for _ in range(n):  # the largest first, which is then struck off
        best, largest = -1, -1.0
        for i in range(n):
            x = s.order_X[i]
            if x >= 0 and s.transfer_X9[x, 0] > largest:
                best, largest = i, s.transfer_X9[x, 0]
        x = s.order_X[best]
        s.order_X[best] = -1
        row, where = s.transfer_X9[x], s.where_X6[x]
        hidden = 0.0
        if row[3] == 1:
            hidden = min(max(0.0, row[0] - row[5]), free)
            free -= hidden
        s.ends_OE2[where[2], where[3], where[4]] = row[0] - hidden


@njit(cache=True)
def evaluate(chip, layer, n_loops, skew, zigzag, s):
    """Costs one mapping, whose spread, sweep and cuts stand in `s`, into ``s.result`` and ``s.words_OE4``.

    `zigzag`: that tool's conventions (see ``models/loopnest.py``).
    """
    total = s.product_T[n_loops]
    _links(chip, layer, reduction_end(n_loops, s), zigzag, s)
    _windows(chip, s)
    energy = _words(chip, total, s)
    n = _transfers(chip, total, 1 if zigzag else 0, s)
    stall, worst, busiest, most = 0.0, -1, -1, 0.0
    for v in range(chip.n_memories):
        for port in range(chip.ports_V[v]):
            m = _gather(port, v, n, False, s)
            if m:
                late = _port_stall(m, total, s)
                if late > stall:
                    stall, worst = late, v
                busy = 0.0
                for i in range(m):
                    busy += s.transfer_X9[s.order_X[i], 8]
                if busy > most:
                    most, busiest = busy, v
    for v in range(chip.n_memories):
        for port in range(chip.ports_V[v]):
            m = _gather(port, v, n, True, s)
            _first_and_last(m, chip.wide_V[v], total + stall, s)
    in_out = np.zeros(3)
    for o in range(3):
        for j in range(1, chip.levels_O[o]):
            in_out[o] += max(s.ends_OE2[o, j, 0], s.ends_OE2[o, j, 1])
    macs = 1.0
    for f in range(8):
        macs *= layer.dims_F[f]
    width = layer.bits_O[W] * layer.bits_O[I] / chip.multiplier_bits**2
    mac_energy = macs * layer.active * (chip.multiply_j * width + chip.add_j)
    result = s.result
    result[TOTAL], result[STALL], result[WORST] = total, stall, worst
    result[ONLOAD], result[OFFLOAD] = max(in_out[W], in_out[I]), in_out[O]
    result[DRAIN] = skew if chip.systolic else 0
    cycles = total + stall + result[ONLOAD] + result[OFFLOAD]
    if not zigzag and most > cycles:
        result[ONLOAD] += most - cycles
        result[WORST] = busiest
    result[ENERGY], result[MAC_ENERGY] = energy + mac_energy, mac_energy


@njit(cache=True, nogil=True)
def evaluate_batch(
    chips_A,
    layers_L,
    which_M2,
    asked_MDF,
    loops_MT,
    sizes_MT,
    n_loops_M,
    cuts_MOE,
    zigzag,
    memory,
    results_MR,
    words_MOE4,
):
    """Costs mapping m of layer which[m, 1] on accelerator which[m, 0], for all m; `memory` is from `scratch`."""
    s = memory[0]
    for m in range(len(which_M2)):
        chip, layer, n_loops = chips_A[which_M2[m, 0]], layers_L[which_M2[m, 1]], n_loops_M[m]
        skew = spread(chip, layer, asked_MDF[m], zigzag, s)
        for t in range(n_loops):
            s.loop_T[t], s.size_T[t] = loops_MT[m, t], sizes_MT[m, t]
        sweep(n_loops, s)
        for o in range(3):
            for e in range(MAX_LEVELS + 1):
                s.cuts_OE[o, e] = cuts_MOE[m, o, e]
        evaluate(chip, layer, n_loops, skew, zigzag, s)
        for r in range(N_RESULTS):
            results_MR[m, r] = s.result[r]
        for o in range(3):
            for e in range(chip.levels_O[o]):
                for direction in range(4):
                    words_MOE4[m, o, e, direction] = s.words_OE4[o, e, direction]
