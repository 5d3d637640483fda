"""Compiled inner loops of `maestro.py`: one layer on one configuration, level by level, case by case.

Vocabulary. A *level* has one *directive* for each loop dimension, in loop order (slots). A dimension stands in one of
three *positions*: INIT (first tile), STEADY (a later full tile) or EDGE (the last, smaller one). A *case* is one
position for each slot, and occurs the product of its counts; the slot that *advances* is the innermost one not in
INIT. Slots outside the advancing one behave the same in INIT and STEADY, so the two are merged here: the number of
cases visited is a few dozen at most, whatever the number of time steps.

Scratch arrays: `w[field, level, dimension]` (fields W_*), `slots[level, slot]` = dimension, `g[level, field]` (G_*),
`case[level, dimension]` = position, `seen` and `done` memoise sub-clusters by the set of dimensions at their edge.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["COUNTERS", "MEANS", "evaluate_rows"]

# Loop dimensions: output and input channels, filter rows and columns, (padded) input rows and columns.
K, C, R, S, Y, X = range(6)
# Symbols in the size of a directive (see maestro.py); WHOLE = the dimension, INHERIT = as one level further out.
ZERO, FILTER_ROWS, FILTER_COLUMNS, CLUSTER, WINDOW, STEP, WHOLE, INHERIT = range(8)
INIT, STEADY, EDGE = range(3)

# Per level and dimension. EXTENT: map size; OFFSET; LAST: extent of the last, smaller tile. IN_*: elements of input
# tensors in a full tile, new ones when the dimension advances, the same of the last tile; OUT_*: of the output.
# The rest describes the positions for the tile handed down: STEADIES: count of STEADY; HAS_EDGE; WHOLE_INIT: one step
# covers the dimension; INIT_EDGE: and does not fill the array or the map; PARTIAL: the last active sub-cluster of EDGE
# has a smaller tile.
(
    W_FULL, W_SPATIAL, W_EXTENT, W_OFFSET, W_LAST,
    W_IN_TILE, W_IN_NEW, W_IN_LAST, W_IN_NEW_LAST,
    W_OUT_TILE, W_OUT_NEW, W_OUT_LAST, W_OUT_NEW_LAST,
    W_STEADIES, W_HAS_EDGE, W_WHOLE_INIT, W_INIT_EDGE, W_PARTIAL,
    N_W,
) = range(19)  # fmt: skip
# Per level: slots, sub-clusters, active ones in an edge step, dimension of the first spatial directive (or -1), and a
# stamp that tells what was memoised in this run of the level.
(
    G_SLOTS, G_SUB, G_SUB_EDGE, G_SPATIAL, G_STAMP, G_ADVANCING, G_RUNTIME, G_STEPS, G_WANTED,
    N_G,
) = range(10)  # fmt: skip
# Per layer and configuration, the integers and the means that `evaluate_rows` returns.
COUNTERS = (
    "runtime_cycles", "num_macs", "input_l2_read", "weight_l2_read", "output_l2_write", "l1_req_elems", "l2_req_elems",
    "ingress_min", "ingress_max", "ingress_avg", "egress_min", "egress_max", "egress_avg",
    "compute_min", "compute_max", "compute_avg", "peak_noc_bw_req", "offchip_bw_req",
)  # fmt: skip
MEANS = ("avg_active_pes", "avg_noc_bw_req")
(
    T_RUNTIME, T_MACS, T_INPUT, T_WEIGHT, T_OUTPUT, T_L1, T_L2,
    T_IN_MIN, T_IN_MAX, T_IN_SUM, T_OUT_MIN, T_OUT_MAX, T_OUT_SUM,
    T_COMPUTE_MIN, T_COMPUTE_MAX, T_COMPUTE_SUM, T_PEAK, T_OFFCHIP, T_STEPS, T_REFILL,
    N_T,
) = range(21)  # fmt: skip
# Constants of a row: number of levels, NoC and off-chip bandwidth, corrected?, tensors as sets of dimensions, filter
# sizes and stride.
P_LEVELS, P_NOC, P_OFFCHIP, P_CORRECTED, P_WEIGHT, P_INPUT, P_OUTPUT, P_R, P_S, P_STRIDE, P_STAMP, N_P = range(12)
_MASKS = 64  # subsets of the six dimensions
_LONGEST = 60  # off-chip requirement: halved once a case, so older cases than this do not matter
_BLOCK = 256  # rows a thread takes at a time


@njit(cache=True, inline="always")
def _quotient(a, b):
    """Integer division that truncates towards zero, as in C."""
    return -((-a) // b) if a < 0 else a // b


@njit(cache=True, inline="always")
def _ceil_div(a, b):
    return -((-a) // b)


@njit(cache=True)
def _outputs(extent, filter_tile, stride, corrected):
    """Output positions in an input tile; the tool forgets the stride."""
    return (extent - filter_tile) // stride + 1 if corrected else extent - filter_tile + 1


@njit(cache=True)
def _touched(extent, filter_size, stride):
    """Rows (or columns) of an input tile that some filter position reads."""
    if extent < filter_size:
        return extent
    n = (extent - filter_size) // stride + 1
    return n * min(stride, filter_size) + max(filter_size - stride, 0)


@njit(cache=True)
def _directive(lv, slot, program, symbols, w, p):
    """Extent and offset of one directive of a level, the stride applied."""
    dim = program[slot, 0]
    if program[slot, 2] == INHERIT:
        extent, offset = w[W_EXTENT, lv - 1, dim], w[W_OFFSET, lv - 1, dim]
    elif program[slot, 2] == WHOLE:
        extent, offset = w[W_FULL, lv, dim], w[W_FULL, lv, dim]
    else:
        extent = program[slot, 3] + symbols[program[slot, 2]]
        offset = program[slot, 5] + symbols[program[slot, 4]]
    if p[P_CORRECTED]:
        extent = min(extent, w[W_FULL, lv, dim])
    filter_size = p[P_R] if dim == Y else p[P_S]
    if dim >= Y and p[P_STRIDE] != 1 and extent >= filter_size:
        stride = p[P_STRIDE]
        n = (extent - filter_size) // stride + 1
        if p[P_CORRECTED]:
            extent = (n - 1) * stride + filter_size
            offset = n * stride
        else:
            extent = n * min(stride, filter_size) + max(filter_size - stride, 0)
            offset = n * (filter_size if lv > 0 and filter_size < stride else stride)
    return extent, offset


@njit(cache=True)
def _input_tables(lv, dim, size, w, p):
    """Tile, new and last elements of one dimension of `size`, on the side of the input tensors."""
    extent, offset = w[W_EXTENT, lv, dim], w[W_OFFSET, lv, dim]
    steadies = max(_quotient(size - extent, offset), 0)
    has_last = steadies * offset + extent < size or extent > size
    rest = size - (steadies + 1) * offset
    if rest < 0:
        rest = size
    last = rest if has_last else extent
    tile, step = extent, offset
    if p[P_CORRECTED]:
        if not has_last:
            rest = extent
        if dim >= Y:
            filter_size = p[P_R] if dim == Y else p[P_S]
            tile = _touched(extent, filter_size, p[P_STRIDE])
            rest = _touched(rest, filter_size, p[P_STRIDE])
            if extent >= filter_size:
                step = offset // p[P_STRIDE] * min(p[P_STRIDE], filter_size)
    w[W_LAST, lv, dim] = last
    w[W_IN_TILE, lv, dim] = tile
    w[W_IN_NEW, lv, dim] = 0 if w[W_SPATIAL, lv, dim] == 0 and size <= extent else min(tile, step)
    w[W_IN_LAST, lv, dim] = rest if has_last else tile
    w[W_IN_NEW_LAST, lv, dim] = max(step - (tile - rest), 0)


@njit(cache=True)
def _output_tables(lv, w, p):
    """The same on the side of the output: rows and columns become output rows and columns."""
    for dim in range(6):
        w[W_OUT_TILE, lv, dim] = w[W_IN_TILE, lv, dim]
        w[W_OUT_NEW, lv, dim] = w[W_IN_NEW, lv, dim]
        w[W_OUT_LAST, lv, dim] = w[W_IN_LAST, lv, dim]
        w[W_OUT_NEW_LAST, lv, dim] = w[W_IN_NEW_LAST, lv, dim]
    for dim, kernel in ((Y, R), (X, S)):
        stride, corrected = p[P_STRIDE], p[P_CORRECTED]
        tile = _outputs(w[W_EXTENT, lv, dim], w[W_EXTENT, lv, kernel], stride, corrected)
        last = _outputs(w[W_LAST, lv, dim], w[W_LAST, lv, kernel], stride, corrected)
        w[W_OUT_TILE, lv, dim] = tile
        w[W_OUT_LAST, lv, dim] = last
        w[W_OUT_NEW, lv, dim] = tile if corrected else min(w[W_OFFSET, lv, dim], w[W_EXTENT, lv, dim])
        w[W_OUT_NEW_LAST, lv, dim] = last if corrected else min(w[W_OFFSET, lv, dim], last)


@njit(cache=True)
def _active_at_edge(remaining, extent, offset):
    """Sub-clusters that `remaining` items keep busy, and whether the last of them has a smaller tile."""
    n = 1 if remaining < extent else (remaining - extent) // offset + 1
    if (n - 1) * offset + extent < remaining:
        return n + 1, 1
    return n, 0


@njit(cache=True)
def _edge_remainder(size, extent, offset, n):
    """STEADY steps of a spatial dimension over `n` sub-clusters, and the items left after them."""
    steadies = (_quotient(size - extent, offset) + 1) // n - 1
    return steadies, size - (steadies + 1) * offset * n


@njit(cache=True)
def _fill_tables(lv, size_D, w, slots, g, p):
    """Tables of a level whose dimensions have these sizes."""
    for i in range(g[lv, G_SLOTS]):
        dim = slots[lv, i]
        _input_tables(lv, dim, size_D[dim], w, p)
    _output_tables(lv, w, p)
    dim = g[lv, G_SPATIAL]
    g[lv, G_SUB_EDGE] = 1
    if dim >= 0:
        extent, offset = w[W_EXTENT, lv, dim], w[W_OFFSET, lv, dim]
        _, remaining = _edge_remainder(size_D[dim], extent, offset, g[lv, G_SUB])
        if remaining <= 0 or size_D[dim] <= extent + offset * (g[lv, G_SUB] - 1):
            remaining = size_D[dim]
        g[lv, G_SUB_EDGE], _ = _active_at_edge(remaining, extent, offset)


@njit(cache=True)
def _prepare_level(lv, program, n_slots, symbols, w, slots, g, p):
    """Directives and tables of level `lv` for its full sizes."""
    g[lv, G_SLOTS] = n_slots
    g[lv, G_SPATIAL] = -1
    for dim in range(6):
        w[W_EXTENT, lv, dim] = 1
        w[W_OFFSET, lv, dim] = 1
        w[W_SPATIAL, lv, dim] = 0
        w[W_LAST, lv, dim] = 1
    for i in range(n_slots):
        dim = program[i, 0]
        slots[lv, i] = dim
        extent, offset = _directive(lv, i, program, symbols, w, p)
        w[W_EXTENT, lv, dim] = extent
        w[W_OFFSET, lv, dim] = offset
        w[W_SPATIAL, lv, dim] = program[i, 1]
        if program[i, 1] and g[lv, G_SPATIAL] < 0:
            g[lv, G_SPATIAL] = dim
    _fill_tables(lv, w[W_FULL, lv], w, slots, g, p)


@njit(cache=True)
def _positions(lv, size_D, w, slots, g, p):
    """Which positions each dimension of the level takes for the tile handed down, and how often."""
    n = g[lv, G_SUB]
    for i in range(g[lv, G_SLOTS]):
        dim = slots[lv, i]
        size, extent, offset = size_D[dim], w[W_EXTENT, lv, dim], w[W_OFFSET, lv, dim]
        partial = 0
        if w[W_SPATIAL, lv, dim]:
            covered = extent + offset * (n - 1)
            steadies, remaining = _edge_remainder(size, extent, offset, n)
            has_edge = (
                size > covered
                and (steadies + 1) * offset * n + covered > size
                and steadies * offset * n + covered != size
            )
            if size < covered:
                partial = 1
                remaining = size
            if has_edge or (p[P_CORRECTED] and size < covered):
                _, partial = _active_at_edge(remaining, extent, offset)
                if p[P_CORRECTED] and remaining < extent:
                    partial = 1
        else:
            covered = extent
            steadies = (size - extent) // offset if size > extent else 0
            has_edge = size > extent and steadies * offset + extent < size
        w[W_STEADIES, lv, dim] = max(steadies, 0) if size > covered else 0
        w[W_HAS_EDGE, lv, dim] = has_edge
        w[W_WHOLE_INIT, lv, dim] = size <= covered
        w[W_INIT_EDGE, lv, dim] = size < covered
        w[W_PARTIAL, lv, dim] = partial


@njit(cache=True, inline="always")
def _at_edge(lv, dim, w, case):
    return case[lv, dim] == EDGE or (case[lv, dim] == INIT and w[W_INIT_EDGE, lv, dim] == 1)


@njit(cache=True)
def _over_sub_clusters(first, first_partial, other, other_partial, n, n_edge, edge, partial):
    """Sum over the sub-clusters of a spatially mapped tensor."""
    if not edge:
        return first + (n - 1) * other
    total = first_partial if n_edge == 1 and partial else first
    if n_edge > 1:
        total += max(n_edge - partial - 1, 0) * other + partial * other_partial
    return total


@njit(cache=True)
def _ingress(lv, tensor, advancing, w, slots, g, case, p):
    """Elements of one input tensor that enter the level in this case."""
    corrected = p[P_CORRECTED]
    n_slots, n_edge = g[lv, G_SLOTS], g[lv, G_SUB_EDGE]
    moves, reset = False, False
    for i in range(max(advancing, 0), n_slots):
        dim = slots[lv, i]
        if tensor >> dim & 1:
            moves = moves or i == advancing
            reset = reset or (i > advancing and w[W_WHOLE_INIT, lv, dim] == 0)
    if advancing >= 0 and not moves and not (corrected and reset):
        return 0
    first, first_partial, other, other_partial = 1, 1, 1, 1
    spatial, edge, partial = False, False, 0
    for i in range(n_slots):
        dim = slots[lv, i]
        if not tensor >> dim & 1:
            continue
        tile, last = w[W_IN_TILE, lv, dim], w[W_IN_LAST, lv, dim]
        at_edge = _at_edge(lv, dim, w, case)
        only_new = i == advancing and not reset
        if w[W_SPATIAL, lv, dim]:
            spatial = True
            edge = edge or at_edge
            partial = w[W_PARTIAL, lv, dim] if at_edge else 0
            if advancing < 0 and not corrected:  # the very first step charges the halo to every sub-cluster
                first *= last if at_edge and n_edge == 1 else tile
                first_partial *= last if at_edge else tile
                other *= 1 if at_edge and n_edge == 1 else tile
                other_partial *= last if at_edge else tile
            else:
                new = i > advancing or only_new
                first *= tile
                first_partial *= last
                other *= w[W_IN_NEW, lv, dim] if new else tile
                other_partial *= w[W_IN_NEW_LAST, lv, dim] if new else last
        else:
            if case[lv, dim] == INIT:
                size = last if at_edge else tile
            elif corrected and case[lv, dim] == EDGE:
                size = w[W_IN_NEW_LAST, lv, dim] if only_new else last
            else:
                size = max(w[W_IN_NEW, lv, dim], 1) if only_new else tile
            first *= size
            first_partial *= size
            other *= size
            other_partial *= size
    if not spatial:
        return first
    return _over_sub_clusters(first, first_partial, other, other_partial, g[lv, G_SUB], n_edge, edge, partial)


@njit(cache=True)
def _outputs_and_sums(lv, w, slots, g, case, p):
    """Egress of the level, partial sums of all sub-clusters, and of the one on the critical path, in this case."""
    n, n_edge, corrected = g[lv, G_SUB], g[lv, G_SUB_EDGE], p[P_CORRECTED]
    first, first_partial, other, other_partial = 1, 1, 1, 1
    sums, sums_first_partial, sums_partial = 1, 1, 1
    out_spatial, out_edge, out_partial = False, False, 0
    any_spatial, any_edge, any_partial = False, False, 0
    for i in range(g[lv, G_SLOTS]):
        dim = slots[lv, i]
        of_output = p[P_OUTPUT] >> dim & 1
        tile, last = w[W_OUT_TILE, lv, dim], w[W_OUT_LAST, lv, dim]
        at_edge = _at_edge(lv, dim, w, case)
        if not w[W_SPATIAL, lv, dim]:
            size = last if at_edge else tile
            sums *= size
            sums_first_partial *= size
            sums_partial *= size
            if of_output:
                first *= size
                first_partial *= size
                other *= size
                other_partial *= size
            continue
        new, new_last = w[W_OUT_NEW, lv, dim], w[W_OUT_NEW_LAST, lv, dim]
        alone = case[lv, dim] == EDGE and n_edge == 1
        lone_last = last
        if alone and not corrected:  # the tool takes the rows of the input here
            lone_last = w[W_IN_LAST, lv, dim]
        size_first = lone_last if alone else tile
        size_first_partial = tile
        size_sums_partial = tile
        if at_edge:
            size_first_partial = lone_last if alone else last
            size_sums_partial = new_last if case[lv, dim] == EDGE and n_edge > 1 and not corrected else last
        sums *= size_first
        sums_first_partial *= size_first_partial
        sums_partial *= size_sums_partial
        any_spatial = True
        any_edge = any_edge or at_edge
        any_partial = w[W_PARTIAL, lv, dim] if at_edge else 0
        if of_output:
            out_spatial = True
            out_edge = out_edge or at_edge
            out_partial = any_partial
            first *= size_first
            first_partial *= size_first_partial
            other *= max(new, 1)
            other_partial *= new_last if at_edge else max(new, 1)
    egress = first
    critical = sums
    if out_spatial:
        egress = _over_sub_clusters(first, first_partial, other, other_partial, n, n_edge, out_edge, out_partial)
        if out_edge and n_edge == 1 and out_partial:
            critical = sums_first_partial
    if any_spatial:
        total = _over_sub_clusters(sums, sums_first_partial, sums, sums_partial, n, n_edge, any_edge, any_partial)
    else:
        total = n * sums
    return egress, total, critical


@njit(cache=True)
def _sub_cluster_sizes(lv, partial, w, slots, g, case, size_D):
    """Tile that the case hands down to one sub-cluster; returns the set of dimensions at their last tile."""
    edges = 0
    for i in range(g[lv, G_SLOTS]):
        dim = slots[lv, i]
        size_D[dim] = w[W_EXTENT, lv, dim]
        if _at_edge(lv, dim, w, case) and (w[W_SPATIAL, lv, dim] == 0 or g[lv, G_SUB_EDGE] == 1 or partial):
            size_D[dim] = w[W_LAST, lv, dim]
            edges |= 1 << dim
    return edges


@njit(cache=True)
def _next_case(lv, advancing, w, slots, g, case):
    """The next case with this advancing slot (odometer over the slots outside it); False when all were seen.

    Outside the advancing slot STEADY stands for INIT and STEADY together.
    """
    for i in range(advancing, -1, -1):
        dim = slots[lv, i]
        if case[lv, dim] != EDGE and w[W_HAS_EDGE, lv, dim]:
            case[lv, dim] = EDGE
            for j in range(i + 1, advancing + 1):
                inner = slots[lv, j]
                if j == advancing:
                    case[lv, inner] = STEADY if w[W_STEADIES, lv, inner] > 0 else EDGE
                else:
                    case[lv, inner] = _lowest(lv, inner, w)
            return True
    return False


@njit(cache=True, inline="always")
def _lowest(lv, dim, w):
    return STEADY if w[W_STEADIES, lv, dim] > 0 else INIT


@njit(cache=True)
def _occurrences(lv, advancing, w, slots, case, counts):
    """How often the case occurs, and the counts of the separate cases that it merges (in `counts[:n]`)."""
    n = 1
    counts[0] = 1
    total = 1
    for i in range(advancing + 1):
        dim = slots[lv, i]
        if case[lv, dim] == STEADY:
            steadies = w[W_STEADIES, lv, dim]
            if i == advancing:
                total *= steadies
                for j in range(n):
                    counts[j] *= steadies
            else:
                total *= steadies + 1
                for j in range(n):
                    counts[n + j] = counts[j] * steadies
                n *= 2
    return total, n


@njit(cache=True)
def _start(lv, advancing, w, slots, g, case):
    """Sets the first case in which this slot advances (-1: none does); False where it cannot."""
    for i in range(g[lv, G_SLOTS]):
        case[lv, slots[lv, i]] = INIT
    if advancing < 0:
        return True
    for i in range(advancing):
        case[lv, slots[lv, i]] = _lowest(lv, slots[lv, i], w)
    dim = slots[lv, advancing]
    case[lv, dim] = STEADY if w[W_STEADIES, lv, dim] > 0 else EDGE
    return w[W_STEADIES, lv, dim] > 0 or w[W_HAS_EDGE, lv, dim] == 1


@njit(cache=True)
def _edges(w, slots, g, case):
    """Dimensions of level 0 at their edge, as a bit set."""
    edges = 0
    for i in range(g[0, G_SLOTS]):
        if _at_edge(0, slots[0, i], w, case):
            edges |= 1 << slots[0, i]
    return edges


@njit(cache=True, inline="always")
def _tally_delays(n, ingress_delay, egress_delay, compute, tally):
    tally[T_IN_MIN] = min(tally[T_IN_MIN], ingress_delay)
    tally[T_IN_MAX] = max(tally[T_IN_MAX], ingress_delay)
    tally[T_IN_SUM] += n * ingress_delay
    tally[T_OUT_MIN] = min(tally[T_OUT_MIN], egress_delay)
    tally[T_OUT_MAX] = max(tally[T_OUT_MAX], egress_delay)
    tally[T_OUT_SUM] += n * egress_delay
    tally[T_COMPUTE_MIN] = min(tally[T_COMPUTE_MIN], compute)
    tally[T_COMPUTE_MAX] = max(tally[T_COMPUTE_MAX], compute)
    tally[T_COMPUTE_SUM] += n * compute


@njit(cache=True, inline="always")
def _tally_bandwidth(n_merged, n, traffic, compute, tally, means, counts):
    whole = traffic // compute
    tally[T_PEAK] = max(tally[T_PEAK], whole)
    if whole * compute == traffic:
        means[1] += n * whole
    else:  # the tool rounds down once for each separate case
        for j in range(n_merged):
            means[1] += counts[j] * traffic // compute


@njit(cache=True)
def _offchip_request(w, slots, g, case, tally, by_edges):
    """Off-chip bandwidth requirement of level 0: the tool halves the running maximum after every case.

    So only the last cases count; they are visited backwards, in the tool's order (all slots count up at once after
    the first case).
    """
    elements = tally[T_REFILL]
    if tally[T_COMPUTE_MIN] == tally[T_COMPUTE_MAX]:
        return elements // tally[T_COMPUTE_MAX] // 2
    n_cases = 1
    for i in range(g[0, G_SLOTS]):
        n_cases *= _n_positions(slots[0, i], w)
    best, halvings = 0, 1
    for number in range(n_cases - 1, max(n_cases - _LONGEST, 0) - 1, -1):
        period = 1
        for i in range(g[0, G_SLOTS] - 1, -1, -1):
            dim = slots[0, i]
            n = _n_positions(dim, w)
            index = ((number - 1) // period + 1) % n if number > 0 else 0
            period *= n
            case[0, dim] = INIT if index == 0 else EDGE if index == n - 1 and w[W_HAS_EDGE, 0, dim] else STEADY
        compute = by_edges[_edges(w, slots, g, case)]
        if compute > 0:
            best = max(best, elements // compute >> halvings)
            halvings += 1
    return best


@njit(cache=True, inline="always")
def _n_positions(dim, w):
    return 1 + (w[W_STEADIES, 0, dim] > 0) + w[W_HAS_EDGE, 0, dim]


@njit(cache=True)
def _enter(lv, w, slots, g, case, sizes, working, p):
    """Starts level `lv` on the tile `sizes[lv]`."""
    if p[P_CORRECTED] and lv > 0:
        _fill_tables(lv, sizes[lv], w, slots, g, p)
    _positions(lv, sizes[lv], w, slots, g, p)
    p[P_STAMP] += 1
    g[lv, G_STAMP] = p[P_STAMP]
    g[lv, G_ADVANCING], g[lv, G_RUNTIME], g[lv, G_STEPS] = -1, 0, 0
    working[lv] = 0.0
    _start(lv, -1, w, slots, g, case)


@njit(cache=True)
def _sub_clusters(lv, w, slots, g, case, memo, mean, sizes, p):
    """Runtime of the slowest sub-cluster in this case and the PEs at work.

    Where a needed sub-cluster has not been run yet, its tile is left in `sizes[lv + 1]` and its edges are returned as
    the third value (else -1).
    """
    dim = g[lv, G_SPATIAL]
    at_edge = dim >= 0 and _at_edge(lv, dim, w, case)
    n_active = g[lv, G_SUB_EDGE] if at_edge else g[lv, G_SUB]
    if lv == p[P_LEVELS] - 1:
        return 0, float(n_active), -1
    n_partial = w[W_PARTIAL, lv, dim] if at_edge else 0
    compute, busy = 0, 0.0
    for partial in range(2):
        n = n_partial if partial else n_active - n_partial
        if n > 0:
            edges = _sub_cluster_sizes(lv, partial == 1, w, slots, g, case, sizes[lv + 1])
            if memo[0, lv, edges] != g[lv, G_STAMP]:
                return 0, 0.0, edges
            compute = max(compute, memo[1, lv, edges])
            busy += n * mean[lv, edges]
    return compute, busy if busy > 0.0 else float(n_active), -1


@njit(cache=True)
def _resume(lv, w, slots, g, case, memo, mean, sizes, working, tally, means, counts, by_edges, p):
    """Goes on with the cases of a level; returns the edges of a sub-cluster that must be run first, or -1 at the end."""
    more = True
    while True:
        if not more:
            g[lv, G_ADVANCING] += 1
            if g[lv, G_ADVANCING] == g[lv, G_SLOTS]:
                return -1
            more = _start(lv, g[lv, G_ADVANCING], w, slots, g, case)
            continue
        egress, sums, critical = _outputs_and_sums(lv, w, slots, g, case, p)
        compute, busy, wanted = _sub_clusters(lv, w, slots, g, case, memo, mean, sizes, p)
        if wanted >= 0 and critical > 0:
            return wanted
        if lv == p[P_LEVELS] - 1:
            compute = critical
        n = _step(
            lv, egress, sums, critical, compute, w, slots, g, case, tally, means, counts, by_edges, p
        )  # fmt: skip
        working[lv] += n * busy
        more = _next_case(lv, g[lv, G_ADVANCING], w, slots, g, case)


@njit(cache=True)
def _step(lv, egress, sums, critical, compute, w, slots, g, case, tally, means, counts, by_edges, p):
    """Adds a case to the runtime of its level, and at level 0 to the counters; returns how often it occurs.

    A case without work is skipped (0), as in the tool, which has then already counted its egress.
    """
    advancing = g[lv, G_ADVANCING]
    n, n_merged = _occurrences(lv, advancing, w, slots, case, counts)
    if lv == 0:
        tally[T_OUTPUT] += n * egress
    if critical <= 0:
        return 0
    into_input = _ingress(lv, p[P_INPUT], advancing, w, slots, g, case, p)
    into_weight = _ingress(lv, p[P_WEIGHT], advancing, w, slots, g, case, p)
    ingress = into_input + into_weight
    ingress_delay, egress_delay = _ceil_div(ingress, p[P_NOC]), _ceil_div(egress, p[P_NOC])
    delay = compute + ingress_delay if advancing < 0 else max(compute, ingress_delay, egress_delay)
    if lv == 0:
        if advancing < 0:
            tally[T_L2] = 2 * (ingress + egress)
            tally[T_REFILL] = 2 * max(ingress, egress)
        delay = max(delay, tally[T_REFILL] // p[P_OFFCHIP] // 2)
        compute = max(compute, 1)
        tally[T_MACS] += n * sums
        tally[T_INPUT] += n * into_input
        tally[T_WEIGHT] += n * into_weight
        _tally_delays(n, ingress_delay, egress_delay, compute, tally)
        _tally_bandwidth(n_merged, n, max(ingress, egress), compute, tally, means, counts)
        by_edges[_edges(w, slots, g, case)] = compute
    g[lv, G_RUNTIME] += n * delay
    g[lv, G_STEPS] += n
    return n


@njit(cache=True)
def _run(w, slots, g, case, memo, mean, sizes, working, tally, means, counts, by_edges, p):
    """Runs level 0 and, as they are needed, sub-clusters; each once for every set of dimensions at their edge.

    `memo[0]` holds the stamp of the run of the level that filled `memo[1]` (runtime) and `mean` (PEs at work).
    """
    lv = 0
    _enter(lv, w, slots, g, case, sizes, working, p)
    while True:
        wanted = _resume(lv, w, slots, g, case, memo, mean, sizes, working, tally, means, counts, by_edges, p)
        if wanted >= 0:
            g[lv, G_WANTED] = wanted
            lv += 1
            _enter(lv, w, slots, g, case, sizes, working, p)
        elif lv > 0:
            lv -= 1
            wanted = g[lv, G_WANTED]
            memo[0, lv, wanted] = g[lv, G_STAMP]
            memo[1, lv, wanted] = g[lv + 1, G_RUNTIME]
            mean[lv, wanted] = working[lv + 1] / max(g[lv + 1, G_STEPS], 1)
        else:
            break
    tally[T_RUNTIME], tally[T_STEPS] = g[0, G_RUNTIME], g[0, G_STEPS]
    if tally[T_STEPS] > 0:
        tally[T_OFFCHIP] = _offchip_request(w, slots, g, case, tally, by_edges)
    means[0] = working[0] / max(tally[T_STEPS], 1)
    means[1] /= max(tally[T_STEPS], 1)


@njit(cache=True)
def _l1_elements(lv, w, p):
    """Required L1: twice the tiles of one PE; the tool reserves the whole input tile for the output."""
    total = 0
    for k in range(P_WEIGHT, P_OUTPUT + 1):
        volume = 1
        for dim in range(6):
            if p[k] >> dim & 1:
                of_output = k == P_OUTPUT and p[P_CORRECTED]
                volume *= w[W_OUT_TILE, lv, dim] if of_output else w[W_IN_TILE, lv, dim]
        total += volume
    return 2 * total


@njit(cache=True)
def _set_up(dims_D, n_pes, program, n_slots, clusters, symbols, w, slots, g, p):
    """Prepares all levels; False if the PEs do not make one cluster."""
    size = 1
    for lv in range(1, p[P_LEVELS]):
        g[lv, G_SUB] = clusters[lv, 1] + symbols[clusters[lv, 0]]
        size *= g[lv, G_SUB]
    g[0, G_SUB] = n_pes // size
    if g[0, G_SUB] == 0:
        return False
    for dim in range(6):
        w[W_FULL, 0, dim] = dims_D[dim]
    for lv in range(p[P_LEVELS]):
        _prepare_level(lv, program[lv], n_slots[lv], symbols, w, slots, g, p)
        if lv + 1 < p[P_LEVELS]:
            for dim in range(6):
                w[W_FULL, lv + 1, dim] = min(w[W_EXTENT, lv, dim], w[W_FULL, lv, dim])
    return True


@njit(cache=True)
def _finish(tally, counters):
    """Sums over the steps become whole averages."""
    steps = max(tally[T_STEPS], 1)
    for k in (T_IN_SUM, T_OUT_SUM, T_COMPUTE_SUM):
        tally[k] //= steps
    if tally[T_STEPS] == 0:
        for k in (T_IN_MIN, T_OUT_MIN, T_COMPUTE_MIN):
            tally[k] = 0
    for k in range(len(counters)):
        counters[k] = tally[k]


@njit(cache=True, parallel=True)
def evaluate_rows(
    dims_ND, stride_N, symbols_NS, pes_N, noc_N, offchip_N, program_N,
    programs, n_slots, clusters, n_levels, tensors, corrected,
    counters_NT, means_NM, mapped_N,
):  # fmt: skip
    """Runs one layer on one configuration a row.

    Args:
        dims_ND: int64 [N, 6], sizes of K C R S Y X.
        stride_N: int64 [N].
        symbols_NS: int64 [N, 6], values of the symbols ZERO to STEP.
        pes_N, noc_N, offchip_N: int64 [N], processing elements; elements a cycle within each level and from DRAM.
        program_N: int64 [N], which of the programs.
        programs: int64 [programs, levels, slots, 6]: dimension, spatial?, symbol and constant of the size, the same of
            the offset.
        n_slots: int64 [programs, levels].
        clusters: int64 [programs, levels, 2], symbol and constant of the sub-clusters of the levels after the first.
        n_levels: int64 [programs].
        tensors: int64 [programs, 3], dimensions of weight, input and output as bit sets.
        corrected: mend the tool's faults.
        counters_NT: int64 [N, len(COUNTERS)], filled.
        means_NM: float64 [N, len(MEANS)], filled.
        mapped_N: bool [N], filled: False where the PEs do not make one cluster, the counters are then untouched.
    """
    n_rows = len(stride_N)
    depth, n_slot = programs.shape[1], programs.shape[2]
    for block in prange((n_rows + _BLOCK - 1) // _BLOCK):
        w = np.zeros((N_W, depth, 6), np.int64)
        slots = np.zeros((depth, n_slot), np.int64)
        g = np.zeros((depth, N_G), np.int64)
        case = np.zeros((depth, 6), np.int64)
        memo = np.zeros((2, depth, _MASKS), np.int64)
        mean = np.zeros((depth, _MASKS))
        sizes = np.zeros((depth, 6), np.int64)
        working = np.zeros(depth)
        counts = np.zeros(_MASKS, np.int64)
        by_edges = np.zeros(_MASKS, np.int64)
        tally = np.zeros(N_T, np.int64)
        p = np.zeros(N_P, np.int64)
        for row in range(block * _BLOCK, min(n_rows, (block + 1) * _BLOCK)):
            f = program_N[row]
            p[P_LEVELS], p[P_NOC], p[P_OFFCHIP], p[P_CORRECTED] = n_levels[f], noc_N[row], offchip_N[row], corrected
            p[P_WEIGHT], p[P_INPUT], p[P_OUTPUT] = tensors[f, 0], tensors[f, 1], tensors[f, 2]
            p[P_R], p[P_S], p[P_STRIDE] = dims_ND[row, R], dims_ND[row, S], stride_N[row]
            mapped_N[row] = _set_up(
                dims_ND[row], pes_N[row], programs[f], n_slots[f], clusters[f], symbols_NS[row], w, slots, g, p
            )
            if not mapped_N[row]:
                continue
            tally[:] = 0
            tally[T_IN_MIN] = tally[T_OUT_MIN] = tally[T_COMPUTE_MIN] = np.iinfo(np.int64).max
            by_edges[:] = 0
            means_NM[row, 1] = 0.0
            for dim in range(6):
                sizes[0, dim] = dims_ND[row, dim]
            tally[T_L1] = _l1_elements(n_levels[f] - 1, w, p)
            _run(w, slots, g, case, memo, mean, sizes, working, tally, means_NM[row], counts, by_edges, p)
            _finish(tally, counters_NT[row])
