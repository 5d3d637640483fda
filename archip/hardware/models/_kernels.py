"""Compiled inner loops of the loop-nest model: spatial spread, tiles, words, ports, first and last transfers.

Everything here works on packed arrays and is compiled by numba (and cached on disk) on first use. The rules and their
names are those of ``models/loopnest.py``; this file holds only the arithmetic.

Most of a mapping's cost depends on one link and the loops inside its cut only. Such an *entry* is computed once and
kept until the loops change (`forget`); what is left for each mapping is to look its entries up and to add up the ports.

Axes: D array dimensions, V memories, O operands (W I O), E levels of one operand (inside out), J its links, F the
eight loops B G K C OY OX FY FX, P ports, X entries or what passes a port. Link j of an operand joins its memories
j - 1 and j; link 0 joins memory 0 and the array.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["CHIP", "LAYER", "SCRATCH", "connect", "evaluate_batch", "scratch"]

MAX_ARRAY, MAX_MEMORIES, MAX_LEVELS, MAX_LOOPS = 4, 10, 6, 40
MAX_SETS = 256  # sets of loops that may stand inside a cut: their number in one sequence, or all subsets of 8 factors

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

_LINKS = MAX_LEVELS + 1
_PORTS, _PASSING = 4 * MAX_MEMORIES, 4 * (2 * MAX_LEVELS - 1)

# Columns of an entry. OUT_ and IN_: at the outer and at the inner end of the link; REAL cycles of one transfer over the
# full width, RATE bits per cycle of the array, BUSY cycles in all, WORDS accesses in all.
(PERIOD, PERIODS, BACK, ELEMENTS, HELD_BITS, MOVED_BITS, OUT_REAL, OUT_RATE, OUT_BUSY, OUT_WORDS, IN_REAL, IN_RATE,
 IN_BUSY, IN_WORDS) = range(14)  # fmt: skip
_FIELDS = 16  # two cache lines


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
        # From here on written by `connect`: what passes port p stands in places begin[p] to begin[p + 1].
        ("n_ports", np.int64),
        ("port_memory_P", np.int64, (_PORTS,)),
        ("port_begin_P", np.int64, (_PORTS + 1,)),
        ("operand_X", np.int64, (_PASSING,)),
        ("link_X", np.int64, (_PASSING,)),
        ("inner_X", np.int64, (_PASSING,)),  # 1: at the inner end of the link
        ("comes_back_X", np.int64, (_PASSING,)),  # 1: only if partial sums come back
        ("loads_X", np.int64, (_PASSING,)),  # 1: on the way of data in (W, I) or out (O)
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
        ("bits_O", np.float64, (3,)),  # of an element as it is moved and stored
        ("product_bits", np.float64),  # bits of W x bits of I at the multiplier
        ("density_O", np.float64, (3,)),  # share of the elements that are not zero
        ("active", np.float64),  # share of the multiplications without a zero operand
    ],
    align=True,
)

# Working memory of one thread.
SCRATCH = np.dtype(
    [
        ("real_DF", np.float64, (MAX_ARRAY, 8)),  # unrollings f = D / (t e), usually fractions
        ("steps_F", np.int64, (8,)),  # temporal iterations t
        ("total", np.float64),  # product of them
        ("mac_energy", np.float64),
        ("tile_2OEF", np.float64, (2, 3, MAX_LEVELS, 8)),  # unrolling below a level, with f and with floor(f)
        ("fan_3OE", np.float64, (3, 3, MAX_LEVELS)),  # different lower tiles that one instance exchanges at a time
        ("units_OE", np.float64, (3, MAX_LEVELS)),  # instances in use
        ("outside_E", np.int64, (_LINKS,)),  # 1: a reduction is unrolled further out than this level
        ("loop_T", np.int64, (MAX_LOOPS,)),  # temporal loops, innermost first
        ("size_T", np.int64, (MAX_LOOPS,)),
        ("inside_TF", np.float64, (MAX_LOOPS + 1, 8)),  # product of the innermost T loops, per loop dimension
        ("product_T", np.float64, (MAX_LOOPS + 1,)),  # and over all of them
        ("place_T", np.int64, (MAX_LOOPS + 1,)),  # where the entries of a cut behind the innermost T loops are kept
        ("reduced", np.int64),  # number of innermost loops that contain every reduction loop
        ("cuts_OE", np.int64, (3, _LINKS)),  # memory e holds what the innermost cuts[o, e + 1] loops sweep
        ("age", np.int64),  # entries of another age are out of date
        ("age_X", np.int64, (3 * _LINKS * MAX_SETS,)),
        ("entry_XF", np.float64, (3 * _LINKS * MAX_SETS, _FIELDS)),
        ("exact_age_X", np.int64, (3 * _LINKS * MAX_SETS,)),
        ("exact_X", np.float64, (3 * _LINKS * MAX_SETS,)),  # elements before rounding
        ("at_OJ", np.int64, (3, _LINKS)),  # entries of the mapping
        (
            "own_OE",
            np.float64,
            (3, MAX_LEVELS),
        ),  # share of a memory that the part of a tile takes which changes at once
        ("single_OJ", np.float64, (3, _LINKS)),  # window of the link behind a single buffer
        ("occupied_V", np.float64, (MAX_MEMORIES,)),
        ("window_OJ", np.float64, (3, _LINKS)),  # cycles in which the link may be used without stopping the array
        ("ends_OJ2", np.float64, (3, _LINKS, 2)),  # by link: first or last transfer at its outer and inner end
        ("rate_P", np.float64, (_PORTS,)),
        ("once_P", np.int64, (_PORTS,)),  # loads that the port does only once
        # of what passes one port: window, period, free in a period, free in a window
        ("passing_X4", np.float64, (_PASSING, 4)),
        ("order_X", np.int64, (_PASSING,)),
        ("result", np.float64, (N_RESULTS,)),
    ],
    align=True,
)


def scratch() -> np.ndarray:
    """Fresh working memory, an array of one record."""
    fresh = np.zeros(1, SCRATCH)
    for name in ("tile_2OEF", "fan_3OE", "units_OE", "inside_TF", "product_T"):
        fresh[name] = 1
    return fresh


_compiled = njit(cache=True, error_model="numpy")  # that model: no check for zero before every division


@_compiled
def connect(chips_A):
    """Lists what passes every port, memory by memory; a memory's reads and writes share ports as `ports_V` says."""
    for chip in chips_A:
        n = chip.n_ports = 0
        for v in range(chip.n_memories):
            for port in range(chip.ports_V[v]):
                begin = n
                for o in (I, W, O):
                    e = chip.level_VO[v, o]
                    if e >= 0:
                        n = _pass(chip, v, port, o, e, False, n)
                        if e + 1 < chip.levels_O[o]:
                            n = _pass(chip, v, port, o, e + 1, True, n)
                if n > begin:
                    chip.port_memory_P[chip.n_ports] = v
                    chip.port_begin_P[chip.n_ports] = begin
                    chip.n_ports += 1
        chip.port_begin_P[chip.n_ports] = n


@_compiled
def _pass(chip, v, port, o, link, inner, n):
    """Adds the transfers of one end of a link that use this port: the data itself, then what comes back of O."""
    for back in range(2 if o == O else 1):
        reads = inner == (o == O) if back == 0 else inner != (o == O)
        direction = (RD_HIGH if reads else WR_HIGH) if inner else (RD_LOW if reads else WR_LOW)
        ports = chip.ports_V[v]
        if port == (direction if ports == 4 else (0 if reads or ports == 1 else 1)):
            chip.operand_X[n], chip.link_X[n], chip.inner_X[n] = o, link, inner
            chip.comes_back_X[n], chip.loads_X[n] = back, 1 - back
            n += 1
    return n


@_compiled
def _round(x):
    """The nearest integer, halves to the even one."""
    low = np.floor(x + _EPS)
    if abs(x - low - 0.5) < _EPS:
        return low + low % 2
    return np.floor(x + 0.5)


@_compiled
def _floor(x):
    return np.floor(x + _EPS)


@_compiled
def _length(outputs, taps, step, spread, extent):
    """Distinct input positions step * i + spread * j of i < outputs, j < taps: pairs less those met again."""
    return min(outputs * taps - max(0.0, outputs - spread) * max(0.0, taps - step), extent)


@_compiled
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


@_compiled
def spread(chip, layer, asked_DF, zigzag, s):
    """Fills `s` with what follows from the unrollings asked for alone; returns the sum of (unrolling - 1)."""
    s.total = macs = 1.0
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
        s.total *= s.steps_F[f]
        macs *= size
    width = layer.product_bits / chip.multiplier_bits**2
    s.mac_energy = macs * layer.active * (chip.multiply_j * width + chip.add_j)
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


_ONES = np.ones(8)


@_compiled
def _spread_operand(chip, layer, o, zigzag, s):
    levels = chip.levels_O[o]
    below = (1.0, 1.0)
    taken = 0  # bit set of array dimensions that an inner memory serves
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
            elements(layer, o, _ONES, s.tile_2OEF[0, o, e], zigzag),
            elements(layer, o, _ONES, s.tile_2OEF[1, o, e], zigzag),
        )
        s.fan_3OE[2, o, e] = here[0] / below[0]
        s.fan_3OE[0, o, e] = _round(here[0] / below[0])
        s.fan_3OE[1, o, e] = _round(here[1] / below[1])
        below = here


@_compiled
def forget(s):
    """Makes all entries out of date: the spread has changed, or the loops behind a place."""
    s.age += 1


@_compiled
def sweep(n_loops, s):
    """Fills in the running products of the temporal loops."""
    s.reduced = 0
    for t in range(n_loops):
        loop = s.loop_T[t]
        for f in range(8):
            s.inside_TF[t + 1, f] = s.inside_TF[t, f]
        s.inside_TF[t + 1, loop] *= s.size_T[t]
        s.product_T[t + 1] = s.product_T[t] * s.size_T[t]
        if IRRELEVANT_OF[O, loop]:
            s.reduced = t + 1


@_compiled
def number_places(n_loops, s):
    """Places of a sequence of loops that stands alone."""
    for t in range(n_loops + 1):
        s.place_T[t] = t
    forget(s)


@_compiled
def exact_elements(layer, o, j, t, zigzag, s):
    """Elements of an operand that cross link j >= 1 at a time when the innermost t loops are inside, not rounded."""
    x = (o * _LINKS + j) * MAX_SETS + s.place_T[t]
    if s.exact_age_X[x] != s.age:
        s.exact_age_X[x] = s.age
        s.exact_X[x] = elements(layer, o, s.inside_TF[t], s.tile_2OEF[0, o, j - 1], zigzag)
    return s.exact_X[x]


@_compiled
def entry(chip, layer, o, j, t, zigzag, s):
    """Index of the entry of link j when the innermost t loops are inside."""
    x = (o * _LINKS + j) * MAX_SETS + s.place_T[t]
    if s.age_X[x] != s.age:
        s.age_X[x] = s.age
        _fill_entry(chip, layer, o, j, t, zigzag, s.entry_XF[x], s)
    return x


@_compiled
def _fill_entry(chip, layer, o, j, t, zigzag, row, s):
    bits, comes_back = layer.bits_O[o], o == O and (s.reduced > t or s.outside_E[j] == 1)
    if comes_back:
        bits = float(chip.partial_bits)
    period = s.product_T[t]
    periods = s.total / period
    exact = held = moved = 1.0
    if j:
        exact = exact_elements(layer, o, j, t, zigzag, s)
        held = moved = _round(exact)
        if zigzag:
            moved = elements(layer, o, s.inside_TF[t], s.tile_2OEF[1, o, j - 1], zigzag)
    row[PERIOD], row[PERIODS], row[BACK], row[ELEMENTS] = period, periods, comes_back, held
    row[HELD_BITS], row[MOVED_BITS] = held * bits, moved * bits
    if j < chip.levels_O[o]:
        v, fan = chip.memory_OE[o, j], s.fan_3OE[1 if zigzag else 0, o, j]
        row[OUT_REAL] = np.ceil(moved * fan * bits / chip.wide_V[v])
        row[OUT_RATE] = np.floor(moved * fan * bits / period + _EPS)
        row[OUT_BUSY] = exact * s.fan_3OE[2, o, j] * bits / chip.wide_V[v] * periods
        row[OUT_WORDS] = _words(chip, v, held * s.fan_3OE[0, o, j] * bits, periods, s.units_OE[o, j])
        if j:
            v = chip.memory_OE[o, j - 1]
            row[IN_REAL] = np.ceil(moved * bits / chip.wide_V[v])
            row[IN_RATE] = np.floor(moved * bits / period + _EPS)
            row[IN_BUSY] = exact * bits / chip.wide_V[v] * periods
            row[IN_WORDS] = _words(chip, v, held * bits, periods, s.units_OE[o, j - 1])


@_compiled
def _words(chip, v, bits, periods, units):
    """Accesses of the maximum width."""
    pieces = np.ceil(bits / chip.narrow_V[v])
    return np.floor(pieces * (chip.narrow_V[v] / chip.wide_V[v]) * periods * units + _EPS)


@_compiled
def _top(table_F, o, e, s):
    """Product of the loops at the top of an operand's bracket `e`, down to the first that `table_F` does not admit."""
    product = 1.0
    for t in range(s.cuts_OE[o, e + 1] - 1, s.cuts_OE[o, e] - 1, -1):
        if s.size_T[t] > 1:
            if not table_F[s.loop_T[t]]:
                break
            product *= s.size_T[t]
    return product


@_compiled
def look_up(chip, layer, o, zigzag, s):
    """Writes the entries of an operand, whose cuts stand in `s`, into ``s.at_OJ``, and its buffering."""
    bottom = 0  # loops in which the operand stands still at the array
    while o != O and bottom < s.cuts_OE[o, 1] and (IRRELEVANT_OF[o, s.loop_T[bottom]] or s.size_T[bottom] == 1):
        bottom += 1
    s.at_OJ[o, 0] = entry(chip, layer, o, 0, bottom, zigzag, s)
    for j in range(1, chip.levels_O[o]):
        s.at_OJ[o, j] = entry(chip, layer, o, j, s.cuts_OE[o, j], zigzag, s)
        row = s.entry_XF[s.at_OJ[o, j]]
        part = row[HELD_BITS] / _top(RELEVANT_OF[o], o, j - 1, s)
        s.own_OE[o, j - 1] = np.floor(part + _EPS) / chip.bits_V[chip.memory_OE[o, j - 1]]
        s.single_OJ[o, j] = np.floor(row[PERIOD] / _top(IRRELEVANT_OF[o], o, j - 1, s))


@_compiled
def energy_of(chip, s):
    """Energy in J of the mapping whose entries stand in `s`."""
    return add_energy(chip, O, add_energy(chip, I, add_energy(chip, W, 0.0, s), s), s) + s.mac_energy


@_compiled
def add_energy(chip, o, energy, s):
    """Energy in J with that of one operand added, level by level."""
    last = chip.levels_O[o] - 1
    for e in range(last + 1):
        v, lower = chip.memory_OE[o, e], s.entry_XF[s.at_OJ[o, e]]
        words = lower[OUT_WORDS]
        higher = s.entry_XF[s.at_OJ[o, e + 1]] if e < last else lower
        more = higher[IN_WORDS] if e < last else 0.0
        if o == O:
            energy += (more + words * lower[BACK]) * chip.read_V[v]
            energy += (more * higher[BACK] + words) * chip.write_V[v]
        else:
            energy += words * chip.read_V[v]
            energy += more * chip.write_V[v]
    return energy


@_compiled
def _windows(chip, s):
    """Windows of the links: all of a period behind a double buffer, else the part in which the tile is not in use."""
    for v in range(chip.n_memories):
        s.occupied_V[v] = 0
    for o in range(3):
        for e in range(chip.levels_O[o] - 1):
            s.occupied_V[chip.memory_OE[o, e]] += s.own_OE[o, e]
    for o in (O, W, I):
        s.window_OJ[o, 0] = s.entry_XF[s.at_OJ[o, 0], PERIOD]
        for e in range(chip.levels_O[o] - 1):
            v, window = chip.memory_OE[o, e], s.entry_XF[s.at_OJ[o, e + 1], PERIOD]
            if s.occupied_V[v] > 0.5:
                if s.own_OE[o, e] <= 1 - s.occupied_V[v]:
                    s.occupied_V[v] += s.own_OE[o, e]
                else:
                    window = s.single_OJ[o, e + 1]
            s.window_OJ[o, e + 1] = window


@_compiled
def _port(chip, p, s):
    """(stall, cycles in use) of a port; notes the first and last transfers and what the others ask of it."""
    late = early = open_ = busy = rate = 0.0
    n = once = 0
    always = False
    for x in range(chip.port_begin_P[p], chip.port_begin_P[p + 1]):
        o, j, inner = chip.operand_X[x], chip.link_X[x], chip.inner_X[x]
        row = s.entry_XF[s.at_OJ[o, j]]
        if chip.comes_back_X[x] and not row[BACK]:
            continue
        column = IN_REAL if inner else OUT_REAL
        real, window, again = row[column], s.window_OJ[o, j], row[PERIODS] - 1
        stall = (real - window) * again
        late += max(0.0, stall)
        early += min(0.0, stall)
        open_ += window * again
        busy += row[column + 2]
        always |= window >= row[PERIOD]
        n += 1
        if chip.loads_X[x]:
            s.ends_OJ2[o, j, inner] = real
            if again > 0:
                rate += row[column + 1]
            else:
                once += 1
    s.rate_P[p], s.once_P[p] = rate, once
    if n > 1 and early + open_ > 0:
        late += max(0.0, early + open_ - (s.total if always else _covered(chip, p, s)))
    return late, busy


@_compiled
def _uncovered(k, x, s):
    """Cycles of [0, x) outside the windows of the k + 1 shortest periods of the port, listed in `order_X`.

    Windows are the first cycles of their periods, and the periods divide one another; columns 2 and 3 of what passes
    hold what is free in a whole period and in the window itself.
    """
    free = 0.0
    while k >= 0:
        row = s.passing_X4[s.order_X[k]]
        free += np.floor(x / row[1]) * row[2]
        x = x % row[1]
        if x <= row[0]:
            return free
        free -= row[3]
        k -= 1
    return free + x


@_compiled
def _covered(chip, p, s):
    """Cycles in which at least one of the port's windows is open; none is its whole period."""
    n = 0
    for x in range(chip.port_begin_P[p], chip.port_begin_P[p + 1]):
        o, j = chip.operand_X[x], chip.link_X[x]
        row = s.entry_XF[s.at_OJ[o, j]]
        if row[BACK] or not chip.comes_back_X[x]:
            s.passing_X4[n, 0], s.passing_X4[n, 1] = s.window_OJ[o, j], row[PERIOD]
            i = n
            while i and s.passing_X4[s.order_X[i - 1], 1] > row[PERIOD]:  # insertion sort by period
                s.order_X[i] = s.order_X[i - 1]
                i -= 1
            s.order_X[i] = n
            n += 1
    for i in range(n):
        row = s.passing_X4[s.order_X[i]]
        row[3] = _uncovered(i - 1, row[0], s)
        row[2] = _uncovered(i - 1, row[1], s) - row[3]
    longest = s.passing_X4[s.order_X[n - 1]]
    return (longest[1] - longest[2]) * (s.total / longest[1])


@_compiled
def _hide(chip, p, cycles, s):
    """Shortens loads that a port does only once by what it has free while the array works: the largest first."""
    wide = chip.wide_V[chip.port_memory_P[p]]
    free = max(0.0, (wide - s.rate_P[p]) / wide * cycles)
    done = 0  # bit set
    begin = chip.port_begin_P[p]
    for _ in range(s.once_P[p]):
        best, largest = -1, -1.0
        for x in range(begin, chip.port_begin_P[p + 1]):
            o, j = chip.operand_X[x], chip.link_X[x]
            row = s.entry_XF[s.at_OJ[o, j]]
            if chip.loads_X[x] and row[PERIODS] == 1 and not (done >> (x - begin)) & 1:
                real = row[IN_REAL if chip.inner_X[x] else OUT_REAL]
                if real > largest:
                    best, largest = x, real
        done |= 1 << (best - begin)
        o = chip.operand_X[best]
        least = np.ceil(s.entry_XF[s.at_OJ[o, 1], MOVED_BITS] / wide)  # the innermost tile has to be there
        hidden = min(max(0.0, largest - least), free)
        free -= hidden
        s.ends_OJ2[o, chip.link_X[best], chip.inner_X[best]] = largest - hidden


@_compiled
def weigh(chip, skew, energy, zigzag, s):
    """Costs the mapping whose entries stand in `s` and whose energy is known, into ``s.result``.

    `zigzag`: that tool's conventions (see ``models/loopnest.py``).
    """
    _windows(chip, s)
    stall, worst, busiest, most = 0.0, -1, -1, 0.0
    for p in range(chip.n_ports):
        late, busy = _port(chip, p, s)
        if late > stall:
            stall, worst = late, chip.port_memory_P[p]
        if busy > most:
            most, busiest = busy, chip.port_memory_P[p]
    for p in range(chip.n_ports):
        if s.once_P[p]:
            _hide(chip, p, s.total + stall, s)
    result = s.result
    result[ONLOAD] = max(_first_and_last(chip, W, s), _first_and_last(chip, I, s))
    result[OFFLOAD] = _first_and_last(chip, O, s)
    result[TOTAL], result[STALL], result[WORST] = s.total, stall, worst
    result[DRAIN] = skew if chip.systolic else 0
    cycles = s.total + stall + result[ONLOAD] + result[OFFLOAD]
    if not zigzag and most > cycles:
        result[ONLOAD] += most - cycles
        result[WORST] = busiest
    result[ENERGY], result[MAC_ENERGY] = energy, s.mac_energy


@_compiled
def least_wait(chip, o, s):
    """A lower bound of the first or last transfers of the operand whose entries stand in ``s.at_OJ``."""
    first, cycles = s.entry_XF[s.at_OJ[o, 1], MOVED_BITS], 0.0
    for j in range(1, chip.levels_O[o]):
        row = s.entry_XF[s.at_OJ[o, j]]
        outer, inner = row[OUT_REAL], row[IN_REAL]
        if row[PERIODS] == 1:  # may hide behind the work, but for the innermost tile
            outer = min(outer, np.ceil(first / chip.wide_V[chip.memory_OE[o, j]]))
            inner = min(inner, np.ceil(first / chip.wide_V[chip.memory_OE[o, j - 1]]))
        cycles += max(outer, inner)
    return cycles


@_compiled
def off_chip_busy(chip, o, s):
    """Cycles for which the operand uses the off-chip port at least, if that has but one."""
    row = s.entry_XF[s.at_OJ[o, chip.levels_O[o] - 1]]
    return row[OUT_BUSY] * (1 + row[BACK])


@_compiled
def bound(chip, skew, wait_w, wait_i, wait_o, busy, zigzag, s):
    """A lower bound of the latency, in whole cycles; `busy` of all operands. No stall, and no port overbooked."""
    cycles = s.total + max(wait_w, wait_i) + wait_o
    if not zigzag and chip.ports_V[chip.n_memories - 1] == 1:
        cycles = max(cycles, busy)
    return np.rint((cycles + (skew if chip.systolic else 0)) * (1 - 1e-12) - 1e-9)


@_compiled
def _first_and_last(chip, o, s):
    cycles = 0.0
    for j in range(1, chip.levels_O[o]):
        cycles += max(s.ends_OJ2[o, j, 0], s.ends_OJ2[o, j, 1])
    return cycles


@_compiled
def _write_words(chip, words_OE4, s):
    """Accesses by operand, level and direction."""
    for o in range(3):
        for e in range(chip.levels_O[o]):
            words, lower = words_OE4[o, e], s.entry_XF[s.at_OJ[o, e]]
            words[WR_LOW if o == O else RD_LOW] = lower[OUT_WORDS]
            if o == O and lower[BACK]:
                words[RD_LOW] = lower[OUT_WORDS]
            if e + 1 < chip.levels_O[o]:
                higher = s.entry_XF[s.at_OJ[o, e + 1]]
                words[RD_HIGH if o == O else WR_HIGH] = higher[IN_WORDS]
                if o == O and higher[BACK]:
                    words[WR_HIGH] = higher[IN_WORDS]


@njit(cache=True, nogil=True, error_model="numpy")
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
        number_places(n_loops, s)
        for o in range(3):
            for e in range(MAX_LEVELS + 1):
                s.cuts_OE[o, e] = cuts_MOE[m, o, e]
            look_up(chip, layer, o, zigzag, s)
        weigh(chip, skew, energy_of(chip, s), zigzag, s)
        for r in range(N_RESULTS):
            results_MR[m, r] = s.result[r]
        _write_words(chip, words_MOE4[m], s)
