"""Compiled inner loops of `maestro.py`: one layer on one configuration, level by level, case by case.

Vocabulary. A *level* has one *directive* for each loop dimension, in loop order (slots). A dimension stands in one of
three *positions*: INIT (first tile), STEADY (a later full tile) or EDGE (the last, smaller one). A *case* is one
position for each slot, and occurs the product of its counts; the slot that *advances* is the innermost one not in
INIT. Slots outside the advancing one behave the same in INIT and STEADY, so the two are merged here: a few dozen cases
at most are visited, whatever the number of time steps. A slot *moves* unless one temporal tile covers its dimension;
only moving slots are looped over, the others enter as factors that are fixed while a level runs.

Every thread works in one record, `s`, of the type SCRATCH.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["COUNTERS", "MAX_LEVELS", "MEANS", "SCRATCH", "evaluate_rows", "n_blocks"]

MAX_LEVELS = 4
# Loop dimensions: output and input channels, filter rows and columns, (padded) input rows and columns.
K, C, R, S, Y, X = range(6)
# Symbols in the size of a directive (see maestro.py); WHOLE = the dimension, INHERIT = as one level further out.
ZERO, FILTER_ROWS, FILTER_COLUMNS, CLUSTER, WINDOW, STEP, WHOLE, INHERIT = range(8)
INIT, STEADY, EDGE = range(3)
# Columns of the layers that `evaluate_rows` takes.
L_K, L_C, L_OY, L_OX, L_FY, L_FX, L_STRIDE = range(7)

# The integers and the means that `evaluate_rows` returns, and two more that it needs on the way.
COUNTERS = (
    "runtime_cycles", "num_macs", "input_l2_read", "weight_l2_read", "output_l2_write", "l1_req_elems", "l2_req_elems",
    "ingress_min", "ingress_max", "ingress_avg", "egress_min", "egress_max", "egress_avg",
    "compute_min", "compute_max", "compute_avg", "peak_noc_bw_req", "offchip_bw_req",
)  # fmt: skip
MEANS = ("avg_active_pes", "avg_noc_bw_req")
(
    T_RUNTIME, T_MACS, T_INPUT, T_WEIGHT, T_OUTPUT, T_L1, T_L2,
    T_IN_MIN, T_IN_MAX, T_IN_SUM, T_OUT_MIN, T_OUT_MAX, T_OUT_SUM,
    T_COMPUTE_MIN, T_COMPUTE_MAX, T_COMPUTE_SUM, T_PEAK, T_OFFCHIP,
    T_REFILL, T_REFILL_DELAY,
) = range(20)  # fmt: skip

_MASKS = 64  # sets of the six dimensions
_OLDEST = 60  # off-chip requirement: it is halved once a case, so that earlier cases do not matter
_BLOCK = 1024  # rows that share one scratch record

_TABLES = (
    "spatial",  # 0 or 1
    "extent", "offset",  # map size and distance of neighbouring maps
    "last_extent",  # of the last, smaller tile
    # Elements of input tensors in a full tile; new ones when the dimension advances; the same of the last tile.
    "in_tile", "in_new", "in_last", "in_new_last",
    # The same of the output: rows and columns are output rows and columns.
    "out_tile", "out_new", "out_last", "out_new_last",
    # Positions for the tile handed down: count of STEADY; is there an EDGE; does one step cover the dimension, and
    # more than cover it; has the last active sub-cluster at the edge a smaller tile.
    "steadies", "has_edge", "covered", "init_edge", "partial",
    "position",  # in the current case
)  # fmt: skip
_LEVEL_STATE = (
    "n_slots", "n_sub", "n_sub_edge",  # sub-clusters, and those active in an edge step
    "first_spatial",  # dimension of the first spatial directive, or -1
    "stamp",  # number of the present run of the level: memoised values with an older one are void
    "advancing", "has_case", "runtime", "steps", "wanted",  # wanted: the sub-cluster that the run waits for
    "n_moving",
    "fixed_weight", "fixed_input", "fixed_output", "fixed_sums",  # factors of the slots that do not move
)  # fmt: skip
_ROW_STATE = (
    "n_levels", "noc", "offchip", "corrected",
    "weight", "input", "output",  # dimensions of each tensor, as a bit set
    "rows", "columns", "stride",  # of the filter
    "run",  # number of runs of levels so far
    "top",  # 0: numba would compile everything once more for a literal
)  # fmt: skip
_by_slot, _by_dim, _by_level = (MAX_LEVELS, 6), (MAX_LEVELS, 6), (MAX_LEVELS,)
_by_edges = (MAX_LEVELS, _MASKS)
SCRATCH = np.dtype(
    [(name, np.int64, _by_dim) for name in _TABLES]
    + [(name, np.int64, _by_level) for name in _LEVEL_STATE]
    + [(name, np.int64) for name in _ROW_STATE]
    + [
        ("size", np.int64, _by_dim),  # of the tile handed down to the level
        ("slots", np.int64, _by_slot),  # dimensions in loop order
        ("moving", np.int64, _by_slot),  # those that move
        ("inner", np.int64, _by_slot),  # set of dimensions inside a moving slot that start anew when it advances
        ("busy", np.float64, _by_level),  # sum over the steps of the PEs at work
        # Memoised by the set of dimensions at their edge: results of a case, then those of a sub-cluster.
        ("case_stamp", np.int64, _by_edges),
        ("case_egress", np.int64, _by_edges),
        ("case_sums", np.int64, _by_edges),
        ("case_critical", np.int64, _by_edges),
        ("case_compute", np.int64, _by_edges),
        ("case_busy", np.float64, _by_edges),
        ("sub_stamp", np.int64, _by_edges),
        ("sub_runtime", np.int64, _by_edges),
        ("sub_busy", np.float64, _by_edges),
        ("symbols", np.int64, (6,)),  # values of the symbols ZERO to STEP
        ("tally", np.int64, (T_REFILL_DELAY + 1,)),
        ("noc_sum", np.float64),  # sum over the steps of the NoC bandwidth that they need
        ("counts", np.int64, (_MASKS,)),
    ]
)

_compiled = njit(cache=True, error_model="numpy")
_inlined = njit(cache=True, error_model="numpy", inline="always")


def n_blocks(n_rows: int) -> int:
    """Scratch records that `evaluate_rows` needs for so many rows."""
    return -(-n_rows // _BLOCK)


# --- Directives and their tables ------------------------------------------------------------------------------------


@_inlined
def _quotient(a, b):
    """Integer division that truncates towards zero, as in C."""
    return -((-a) // b) if a < 0 else a // b


@_inlined
def _ceil_div(a, b):
    return (a + b - 1) // b if a > 0 else 0


@_compiled
def _n_outputs(extent, filter_tile, stride, corrected):
    """Output positions in an input tile; the tool forgets the stride."""
    return (extent - filter_tile) // stride + 1 if corrected else extent - filter_tile + 1


@_compiled
def _touched(extent, filter_size, stride):
    """Rows (or columns) of an input tile that some filter position reads."""
    if extent < filter_size:
        return extent
    n = (extent - filter_size) // stride + 1
    return n * min(stride, filter_size) + max(filter_size - stride, 0)


@_compiled
def _directive(s, lv, directive):
    """Extent and offset of one directive of a level, the stride applied."""
    dim, stride = directive[0], s.stride
    if directive[2] == INHERIT:
        extent, offset = s.extent[lv - 1, dim], s.offset[lv - 1, dim]
    elif directive[2] == WHOLE:
        extent, offset = s.size[lv, dim], s.size[lv, dim]
    else:
        extent = directive[3] + s.symbols[directive[2]]
        offset = directive[5] + s.symbols[directive[4]]
    if s.corrected:
        extent = min(extent, s.size[lv, dim])
    filter_size = s.rows if dim == Y else s.columns
    if dim >= Y and stride != 1 and extent >= filter_size:
        n = (extent - filter_size) // stride + 1
        if s.corrected:
            extent = (n - 1) * stride + filter_size
            offset = n * stride
        else:
            extent = n * min(stride, filter_size) + max(filter_size - stride, 0)
            offset = n * (filter_size if lv > 0 and filter_size < stride else stride)
    return extent, offset


@_compiled
def _input_tables(s, lv, dim):
    """Tile, new and last elements of one dimension, on the side of the input tensors."""
    size, extent, offset = s.size[lv, dim], s.extent[lv, dim], s.offset[lv, dim]
    steadies = (size - extent) // offset if size > extent else 0
    has_last = extent > size or steadies * offset + extent < size
    rest = size - (steadies + 1) * offset
    if rest < 0:
        rest = size
    s.last_extent[lv, dim] = rest if has_last else extent
    tile, step = extent, offset
    if s.corrected:
        if not has_last:
            rest = extent
        if dim >= Y:
            filter_size = s.rows if dim == Y else s.columns
            tile = _touched(extent, filter_size, s.stride)
            rest = _touched(rest, filter_size, s.stride)
            if extent >= filter_size:
                step = offset // s.stride * min(s.stride, filter_size)
    s.in_tile[lv, dim] = tile
    s.in_new[lv, dim] = 0 if size <= extent and not s.spatial[lv, dim] else min(tile, step)
    s.in_last[lv, dim] = rest if has_last else tile
    s.in_new_last[lv, dim] = max(step - (tile - rest), 0)
    s.out_tile[lv, dim] = s.in_tile[lv, dim]
    s.out_new[lv, dim] = s.in_new[lv, dim]
    s.out_last[lv, dim] = s.in_last[lv, dim]
    s.out_new_last[lv, dim] = s.in_new_last[lv, dim]


@_compiled
def _output_tables(s, lv, dim, kernel):
    """The same of Y (with kernel = R) or X (with S) on the side of the output."""
    extent, offset, corrected = s.extent[lv, dim], s.offset[lv, dim], s.corrected
    tile = _n_outputs(extent, s.extent[lv, kernel], s.stride, corrected)
    last = _n_outputs(s.last_extent[lv, dim], s.last_extent[lv, kernel], s.stride, corrected)
    s.out_tile[lv, dim] = tile
    s.out_last[lv, dim] = last
    s.out_new[lv, dim] = tile if corrected else min(offset, extent)
    s.out_new_last[lv, dim] = last if corrected else min(offset, last)


@_compiled
def _active_at_edge(remaining, extent, offset):
    """Sub-clusters that `remaining` items keep busy, and whether the last of them has a smaller tile."""
    n = 1 if remaining < extent else (remaining - extent) // offset + 1
    if (n - 1) * offset + extent < remaining:
        return n + 1, 1
    return n, 0


@_compiled
def _spatial_steadies(size, extent, offset, n):
    """STEADY steps of a spatial dimension over `n` sub-clusters, and the items left after them."""
    steadies = (_quotient(size - extent, offset) + 1) // n - 1
    return steadies, size - (steadies + 1) * offset * n


@_compiled
def _fill_tables(s, lv):
    """Tables of a level for its `size`."""
    for i in range(s.n_slots[lv]):
        _input_tables(s, lv, s.slots[lv, i])
    for dim, kernel in ((Y, R), (X, S)):
        _output_tables(s, lv, dim, kernel)
    spatial, n = s.first_spatial[lv], s.n_sub[lv]
    s.n_sub_edge[lv] = 1
    if spatial >= 0:
        size, extent, offset = s.size[lv, spatial], s.extent[lv, spatial], s.offset[lv, spatial]
        _, remaining = _spatial_steadies(size, extent, offset, n)
        if size <= extent + offset * (n - 1):
            remaining = size
        s.n_sub_edge[lv], _ = _active_at_edge(remaining, extent, offset)


@_compiled
def _prepare_level(s, lv, directives, n_slots):
    """Directives and tables of a level for its full size."""
    s.n_slots[lv] = n_slots
    s.first_spatial[lv] = -1
    for i in range(n_slots):
        dim = directives[i, 0]
        s.slots[lv, i] = dim
        s.extent[lv, dim], s.offset[lv, dim] = _directive(s, lv, directives[i])
        s.spatial[lv, dim] = directives[i, 1]
        if directives[i, 1] and s.first_spatial[lv] < 0:
            s.first_spatial[lv] = dim
    _fill_tables(s, lv)


@_compiled
def _spatial_positions(s, lv, dim):
    """Count of STEADY, EDGE?, items covered by one step, and partial last sub-cluster? of a spatial dimension."""
    size, extent, offset, n = s.size[lv, dim], s.extent[lv, dim], s.offset[lv, dim], s.n_sub[lv]
    covered = extent + offset * (n - 1)
    steadies, remaining = _spatial_steadies(size, extent, offset, n)
    has_edge = size > covered and steadies * offset * n + covered != size
    has_edge = has_edge and (steadies + 1) * offset * n + covered > size
    partial = 1 if size < covered else 0  # the tool does not look whether the last tile fits
    if size < covered:
        remaining = size
    if has_edge or (s.corrected and size < covered):
        _, partial = _active_at_edge(remaining, extent, offset)
        if s.corrected and remaining < extent:
            partial = 1
    return steadies, has_edge, covered, partial


@_compiled
def _positions(s, lv):
    """Which positions each dimension of the level takes for its `size`, and how often."""
    for i in range(s.n_slots[lv]):
        dim = s.slots[lv, i]
        size, extent, offset = s.size[lv, dim], s.extent[lv, dim], s.offset[lv, dim]
        if s.spatial[lv, dim]:
            steadies, has_edge, covered, partial = _spatial_positions(s, lv, dim)
        else:
            steadies = (size - extent) // offset if size > extent else 0
            has_edge = size > extent and steadies * offset + extent < size
            covered, partial = extent, 0
        s.steadies[lv, dim] = max(steadies, 0) if size > covered else 0
        s.has_edge[lv, dim] = has_edge
        s.covered[lv, dim] = size <= covered
        s.init_edge[lv, dim] = size < covered
        s.partial[lv, dim] = partial


@_compiled
def _split_slots(s, lv):
    """Finds the moving slots; the others become factors and, one level down, sizes."""
    n = 0
    weight = inputs = outputs = sums = 1
    for i in range(s.n_slots[lv]):
        dim = s.slots[lv, i]
        if s.spatial[lv, dim] or not s.covered[lv, dim]:
            s.moving[lv, n] = dim
            n += 1
            continue
        last = s.init_edge[lv, dim]
        size = s.in_last[lv, dim] if last else s.in_tile[lv, dim]
        out_size = s.out_last[lv, dim] if last else s.out_tile[lv, dim]
        weight *= size if s.weight >> dim & 1 else 1
        inputs *= size if s.input >> dim & 1 else 1
        outputs *= out_size if s.output >> dim & 1 else 1
        sums *= out_size
        if lv + 1 < s.n_levels:
            s.size[lv + 1, dim] = s.last_extent[lv, dim] if last else s.extent[lv, dim]
    later = 0
    for i in range(n - 1, -1, -1):
        dim = s.moving[lv, i]
        s.inner[lv, i] = later
        later |= 0 if s.covered[lv, dim] else 1 << dim
    s.n_moving[lv] = n
    s.fixed_weight[lv], s.fixed_input[lv], s.fixed_output[lv], s.fixed_sums[lv] = weight, inputs, outputs, sums


# --- One case --------------------------------------------------------------------------------------------------------


@_compiled
def _edges(s, lv):
    """Moving dimensions of the level at their edge, as a bit set."""
    edges = 0
    for i in range(s.n_moving[lv]):
        dim = s.moving[lv, i]
        at_edge = s.position[lv, dim] == EDGE or (s.position[lv, dim] == INIT and s.init_edge[lv, dim] == 1)
        edges |= at_edge << dim
    return edges


@_inlined
def _over_sub_clusters(first, first_partial, other, other_partial, n, n_edge, edge, partial):
    """Sum over the sub-clusters of what is spatially mapped."""
    if not edge:
        return first + (n - 1) * other
    if n_edge == 1:
        return first_partial if partial else first
    return first + max(n_edge - partial - 1, 0) * other + partial * other_partial


@_compiled
def _ingress(s, lv, edges, tensor, fixed):
    """Elements of one input tensor (a set of dimensions) that enter the level in this case."""
    advancing, n_edge = s.advancing[lv], s.n_sub_edge[lv]
    reset = False
    if advancing >= 0:
        reset = tensor & s.inner[lv, advancing] != 0
        if not (tensor >> s.moving[lv, advancing] & 1 or (s.corrected and reset)):
            return 0
    first = first_partial = other = other_partial = fixed
    spatial, edge, partial = False, False, 0
    for i in range(s.n_moving[lv]):
        dim = s.moving[lv, i]
        if not tensor >> dim & 1:
            continue
        tile, last, at_edge = s.in_tile[lv, dim], s.in_last[lv, dim], edges >> dim & 1
        only_new = i == advancing and not reset
        if not s.spatial[lv, dim]:
            size = s.in_new[lv, dim] if only_new else tile
            if s.corrected and at_edge:
                size = s.in_new_last[lv, dim] if only_new else last
            first *= size
            first_partial *= size
            other *= size
            other_partial *= size
            continue
        spatial = True
        edge = edge or at_edge == 1
        partial = s.partial[lv, dim] if at_edge else 0
        if advancing < 0 and not s.corrected:  # the very first step charges the halo to every sub-cluster
            alone = at_edge and n_edge == 1
            first *= last if alone else tile
            first_partial *= last if at_edge else tile
            other *= 1 if alone else tile
            other_partial *= last if at_edge else tile
        else:
            new = i > advancing or only_new
            first *= tile
            first_partial *= last
            other *= s.in_new[lv, dim] if new else tile
            other_partial *= s.in_new_last[lv, dim] if new else last
    if not spatial:
        return first
    return _over_sub_clusters(first, first_partial, other, other_partial, s.n_sub[lv], n_edge, edge, partial)


@_compiled
def _outputs_and_sums(s, lv, edges):
    """Egress of the level, partial sums of all sub-clusters, and of the one on the critical path, in this case."""
    n, n_edge = s.n_sub[lv], s.n_sub_edge[lv]
    first = first_partial = other = other_partial = s.fixed_output[lv]
    sums = sums_first_partial = sums_partial = s.fixed_sums[lv]
    out_spatial, out_edge, out_partial = False, False, 0
    any_spatial, any_edge, any_partial = False, False, 0
    for i in range(s.n_moving[lv]):
        dim = s.moving[lv, i]
        of_output = s.output >> dim & 1
        tile, last, at_edge = s.out_tile[lv, dim], s.out_last[lv, dim], edges >> dim & 1
        if not s.spatial[lv, dim]:
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
        in_edge = s.position[lv, dim] == EDGE
        alone = in_edge and n_edge == 1
        if alone and not s.corrected:  # the tool takes rows of the input for rows of the output
            last = s.in_last[lv, dim]
        new, new_last = max(s.out_new[lv, dim], 1), s.out_new_last[lv, dim]
        size_first = last if alone else tile
        size_partial = last if at_edge else tile
        sums *= size_first
        sums_first_partial *= size_partial
        sums_partial *= new_last if in_edge and not alone and not s.corrected else size_partial
        any_spatial = True
        any_edge = any_edge or at_edge == 1
        any_partial = s.partial[lv, dim] if at_edge else 0
        if of_output:
            out_spatial = True
            out_edge = out_edge or at_edge == 1
            out_partial = any_partial
            first *= size_first
            first_partial *= size_partial
            other *= new
            other_partial *= new_last if at_edge else new
    egress, total, critical = first, n * sums, sums
    if out_spatial:
        egress = _over_sub_clusters(first, first_partial, other, other_partial, n, n_edge, out_edge, out_partial)
        if out_edge and n_edge == 1 and out_partial:
            critical = sums_first_partial
    if any_spatial:
        total = _over_sub_clusters(sums, sums_first_partial, sums, sums_partial, n, n_edge, any_edge, any_partial)
    return egress, total, critical


@_compiled
def _hand_down(s, lv, edges, partial):
    """Sets the size of one sub-cluster's tile in this case; returns the set of dimensions at their last tile."""
    last = 0
    for i in range(s.n_moving[lv]):
        dim = s.moving[lv, i]
        s.size[lv + 1, dim] = s.extent[lv, dim]
        if edges >> dim & 1 and (partial or s.spatial[lv, dim] == 0 or s.n_sub_edge[lv] == 1):
            s.size[lv + 1, dim] = s.last_extent[lv, dim]
            last |= 1 << dim
    return last


@_compiled
def _sub_clusters(s, lv, edges, critical):
    """Runtime of the slowest sub-cluster in this case, and the PEs at work.

    Where a needed sub-cluster has not been run yet, its tile is handed down and its edges are returned as the third
    value (else -1).
    """
    dim = s.first_spatial[lv]
    at_edge = dim >= 0 and edges >> dim & 1 == 1
    n_active = s.n_sub_edge[lv] if at_edge else s.n_sub[lv]
    if lv == s.n_levels - 1 or critical <= 0:
        return critical, float(n_active), -1
    n_partial = s.partial[lv, dim] if at_edge else 0
    compute, busy = 0, 0.0
    for partial in range(2):
        n = n_partial if partial else n_active - n_partial
        if n > 0:
            last = _hand_down(s, lv, edges, partial == 1)
            if s.sub_stamp[lv, last] != s.stamp[lv]:
                return 0, 0.0, last
            compute = max(compute, s.sub_runtime[lv, last])
            busy += n * s.sub_busy[lv, last]
    return compute, busy if busy > 0.0 else float(n_active), -1


@_inlined
def _lowest(s, lv, dim):
    """Outside the advancing slot STEADY stands for INIT and STEADY together."""
    return STEADY if s.steadies[lv, dim] > 0 else INIT


@_compiled
def _first_case(s, lv):
    """Sets the first case in which the slot advances (-1: none does); False where it cannot."""
    advancing = s.advancing[lv]
    for i in range(s.n_moving[lv]):
        dim = s.moving[lv, i]
        s.position[lv, dim] = _lowest(s, lv, dim) if i < advancing else INIT
    if advancing < 0:
        return True
    dim = s.moving[lv, advancing]
    s.position[lv, dim] = STEADY if s.steadies[lv, dim] > 0 else EDGE
    return s.steadies[lv, dim] > 0 or s.has_edge[lv, dim] == 1


@_compiled
def _next_case(s, lv):
    """Sets the next case in which the slot advances (an odometer of the slots up to it); False when all were seen."""
    advancing = s.advancing[lv]
    for i in range(advancing, -1, -1):
        dim = s.moving[lv, i]
        if s.has_edge[lv, dim] and s.position[lv, dim] != EDGE:
            s.position[lv, dim] = EDGE
            for j in range(i + 1, advancing + 1):
                later = s.moving[lv, j]
                s.position[lv, later] = _lowest(s, lv, later)
            if i < advancing and s.position[lv, s.moving[lv, advancing]] == INIT:
                s.position[lv, s.moving[lv, advancing]] = EDGE
            return True
    return False


@_compiled
def _occurrences(s, lv):
    """How often the case occurs."""
    n = 1
    for i in range(s.advancing[lv] + 1):
        dim = s.moving[lv, i]
        if s.position[lv, dim] == STEADY:
            n *= s.steadies[lv, dim] + (i != s.advancing[lv])
    return n


@_compiled
def _sum_rounded_down(s, traffic, compute):
    """Sum of count * traffic / compute over the cases that this one of level 0 merges, each rounded down."""
    n = 1
    s.counts[0] = traffic
    for i in range(s.advancing[0] + 1):
        dim = s.moving[0, i]
        if s.position[0, dim] == STEADY:
            steadies, merges = s.steadies[0, dim], i != s.advancing[0]
            for j in range(n):
                s.counts[n * merges + j] = s.counts[j] * steadies
            n *= 1 + merges
    total = 0
    for j in range(n):
        total += s.counts[j] // compute
    return total


# --- Runs of levels --------------------------------------------------------------------------------------------------


@_compiled
def _enter(s, lv):
    """Starts level `lv` on the tile handed down."""
    if s.corrected and lv > 0:
        _fill_tables(s, lv)
    _positions(s, lv)
    _split_slots(s, lv)
    s.run += 1
    s.stamp[lv] = s.run
    s.advancing[lv], s.runtime[lv], s.steps[lv], s.busy[lv] = -1, 0, 0, 0.0
    s.has_case[lv] = _first_case(s, lv)


@_compiled
def _resume(s, lv):
    """Goes on with the cases of a level; returns -1 at the end, or the edges of a sub-cluster to be run first."""
    while s.advancing[lv] < s.n_moving[lv]:
        while s.has_case[lv]:
            edges = _edges(s, lv)
            if s.case_stamp[lv, edges] != s.stamp[lv]:
                egress, sums, critical = _outputs_and_sums(s, lv, edges)
                compute, busy, wanted = _sub_clusters(s, lv, edges, critical)
                if wanted >= 0:
                    return wanted
                s.case_stamp[lv, edges] = s.stamp[lv]
                s.case_egress[lv, edges], s.case_sums[lv, edges] = egress, sums
                s.case_critical[lv, edges], s.case_compute[lv, edges] = critical, compute
                s.case_busy[lv, edges] = busy
            _step(s, lv, edges)
            s.has_case[lv] = _next_case(s, lv)
        s.advancing[lv] += 1
        if s.advancing[lv] < s.n_moving[lv]:
            s.has_case[lv] = _first_case(s, lv)
    return -1


@_compiled
def _step(s, lv, edges):
    """Adds a case to the runtime of its level, and at level 0 to the counters.

    A case without work is skipped, as in the tool, which has then already counted its egress.
    """
    n, egress, compute = _occurrences(s, lv), s.case_egress[lv, edges], s.case_compute[lv, edges]
    if lv == 0:
        s.tally[T_OUTPUT] += n * egress
    if s.case_critical[lv, edges] <= 0:
        return
    into_input = _ingress(s, lv, edges, s.input, s.fixed_input[lv])
    into_weight = _ingress(s, lv, edges, s.weight, s.fixed_weight[lv])
    ingress = into_input + into_weight
    ingress_delay, egress_delay = _ceil_div(ingress, s.noc), _ceil_div(egress, s.noc)
    delay = compute + ingress_delay if s.advancing[lv] < 0 else max(compute, ingress_delay, egress_delay)
    if lv == 0:
        if s.advancing[lv] < 0:
            s.tally[T_L2] = 2 * (ingress + egress)
            s.tally[T_REFILL] = 2 * max(ingress, egress)
            s.tally[T_REFILL_DELAY] = s.tally[T_REFILL] // s.offchip // 2
        delay = max(delay, s.tally[T_REFILL_DELAY])
        s.tally[T_MACS] += n * s.case_sums[lv, edges]
        s.tally[T_INPUT] += n * into_input
        s.tally[T_WEIGHT] += n * into_weight
        _tally_delays(s, n, ingress_delay, egress_delay, max(compute, 1))
        _tally_bandwidth(s, n, max(ingress, egress), max(compute, 1))
    s.runtime[lv] += n * delay
    s.steps[lv] += n
    s.busy[lv] += n * s.case_busy[lv, edges]


@_compiled
def _tally_delays(s, n, ingress_delay, egress_delay, compute):
    s.tally[T_IN_MIN] = min(s.tally[T_IN_MIN], ingress_delay)
    s.tally[T_IN_MAX] = max(s.tally[T_IN_MAX], ingress_delay)
    s.tally[T_IN_SUM] += n * ingress_delay
    s.tally[T_OUT_MIN] = min(s.tally[T_OUT_MIN], egress_delay)
    s.tally[T_OUT_MAX] = max(s.tally[T_OUT_MAX], egress_delay)
    s.tally[T_OUT_SUM] += n * egress_delay
    s.tally[T_COMPUTE_MIN] = min(s.tally[T_COMPUTE_MIN], compute)
    s.tally[T_COMPUTE_MAX] = max(s.tally[T_COMPUTE_MAX], compute)
    s.tally[T_COMPUTE_SUM] += n * compute


@_compiled
def _tally_bandwidth(s, n, traffic, compute):
    whole = traffic // compute
    s.tally[T_PEAK] = max(s.tally[T_PEAK], whole)
    s.noc_sum += n * whole if whole * compute == traffic else _sum_rounded_down(s, traffic, compute)


@_compiled
def _run(s):
    """Runs level 0 and, as they are needed, sub-clusters; each once for every set of dimensions at their edge."""
    lv = s.top
    _enter(s, lv)
    while True:
        s.wanted[lv] = _resume(s, lv)
        if s.wanted[lv] >= 0:
            lv += 1
            _enter(s, lv)
        elif lv > 0:
            lv -= 1
            edges = s.wanted[lv]
            s.sub_stamp[lv, edges] = s.stamp[lv]
            s.sub_runtime[lv, edges] = s.runtime[lv + 1]
            s.sub_busy[lv, edges] = s.busy[lv + 1] / max(s.steps[lv + 1], 1)
        else:
            return


@_inlined
def _n_positions(s, dim):
    return 1 + (s.steadies[0, dim] > 0) + s.has_edge[0, dim]


@_compiled
def _offchip_request(s):
    """Off-chip bandwidth requirement: the tool halves the running maximum after every case of level 0.

    So only the last cases count; they are visited backwards, in the tool's order (all slots count up at once after
    the first case).
    """
    elements = s.tally[T_REFILL]
    if s.tally[T_COMPUTE_MIN] == s.tally[T_COMPUTE_MAX]:
        return elements // s.tally[T_COMPUTE_MAX] // 2
    n_cases = 1
    for i in range(s.n_moving[0]):
        n_cases *= _n_positions(s, s.moving[0, i])
    best, halvings = 0, 1
    for number in range(n_cases - 1, max(n_cases - _OLDEST, 0) - 1, -1):
        period = 1
        for i in range(s.n_moving[0] - 1, -1, -1):
            dim = s.moving[0, i]
            n = _n_positions(s, dim)
            index = ((number - 1) // period + 1) % n if number > 0 else 0
            period *= n
            last = EDGE if s.has_edge[0, dim] else STEADY
            s.position[0, dim] = INIT if index == 0 else last if index == n - 1 else STEADY
        edges = _edges(s, s.top)
        if s.case_critical[0, edges] > 0:
            best = max(best, elements // max(s.case_compute[0, edges], 1) >> halvings)
            halvings += 1
    return best


# --- One row ---------------------------------------------------------------------------------------------------------


@_compiled
def _set_layer(s, layer, cluster):
    """Sizes, filter, stride and symbols of a layer."""
    s.rows, s.columns, s.stride = layer[L_FY], layer[L_FX], layer[L_STRIDE]
    s.size[0, K], s.size[0, C], s.size[0, R], s.size[0, S] = layer[L_K], layer[L_C], layer[L_FY], layer[L_FX]
    s.size[0, Y] = (layer[L_OY] - 1) * s.stride + s.rows
    s.size[0, X] = (layer[L_OX] - 1) * s.stride + s.columns
    tile = min(cluster, layer[L_OX])
    s.symbols[FILTER_ROWS], s.symbols[FILTER_COLUMNS], s.symbols[CLUSTER] = s.rows, s.columns, cluster
    s.symbols[WINDOW], s.symbols[STEP] = (tile - 1) * s.stride + s.columns, tile * s.stride


@_compiled
def _set_levels(s, pes, directives, n_slots, clusters):
    """Prepares all levels; False if the PEs do not make one cluster."""
    n = 1
    for lv in range(1, s.n_levels):
        s.n_sub[lv] = clusters[lv, 1] + s.symbols[clusters[lv, 0]]
        n *= s.n_sub[lv]
    s.n_sub[0] = pes // n
    if s.n_sub[0] == 0:
        return False
    for lv in range(s.n_levels):
        _prepare_level(s, lv, directives[lv], n_slots[lv])
        if lv + 1 < s.n_levels:
            for dim in range(6):
                s.size[lv + 1, dim] = min(s.extent[lv, dim], s.size[lv, dim])
    return True


@_compiled
def _l1_elements(s, tensor, of_output):
    """Elements of one tensor in the tile of a PE; the tool reserves the whole input tile for the output."""
    n = 1
    for dim in range(6):
        if tensor >> dim & 1:
            n *= s.out_tile[s.n_levels - 1, dim] if of_output else s.in_tile[s.n_levels - 1, dim]
    return n


@_compiled
def _evaluate(s):
    """Runs the layer and finishes the counters."""
    for k in range(len(s.tally)):
        s.tally[k] = 0
    s.tally[T_IN_MIN] = s.tally[T_OUT_MIN] = s.tally[T_COMPUTE_MIN] = np.iinfo(np.int64).max
    s.noc_sum = 0.0
    output = _l1_elements(s, s.output, s.corrected == 1)
    s.tally[T_L1] = 2 * (_l1_elements(s, s.weight, False) + _l1_elements(s, s.input, False) + output)
    _run(s)
    s.tally[T_RUNTIME] = s.runtime[0]
    if s.steps[0] > 0:
        s.tally[T_OFFCHIP] = _offchip_request(s)
    else:
        s.tally[T_IN_MIN] = s.tally[T_OUT_MIN] = s.tally[T_COMPUTE_MIN] = 0
    s.tally[T_IN_SUM] //= max(s.steps[0], 1)
    s.tally[T_OUT_SUM] //= max(s.steps[0], 1)
    s.tally[T_COMPUTE_SUM] //= max(s.steps[0], 1)


@njit(cache=True, parallel=True, error_model="numpy")
def evaluate_rows(
    layers_NF, pes_N, cluster_N, noc_N, offchip_N, program_N,
    directives, n_slots, clusters, n_levels, tensors, corrected,
    scratch, mapped_N, counters_TN, means_MN,
):  # fmt: skip
    """Runs one layer on one configuration a row.

    Args:
        layers_NF: int64 [N, 7], columns L_*: sizes of one group, outputs, filter and stride.
        pes_N, cluster_N, noc_N, offchip_N: int64 [N], processing elements; size of a cluster `cl`; elements a cycle
            within each level and from DRAM.
        program_N: int64 [N], which of the programs.
        directives: int64 [programs, levels, slots, 6]: dimension, spatial?, symbol and constant of the size, the same
            of the offset.
        n_slots: int64 [programs, levels].
        clusters: int64 [programs, levels, 2], symbol and constant of the sub-clusters of the levels after the first.
        n_levels: int64 [programs].
        tensors: int64 [programs, 3], dimensions of weight, input and output as bit sets.
        corrected: mend the tool's faults.
        scratch: SCRATCH [n_blocks(N)], zeros.
        mapped_N: bool [N], filled: False where the PEs do not make one cluster, the numbers are then untouched.
        counters_TN: int64 [len(COUNTERS), N], filled.
        means_MN: float64 [len(MEANS), N], filled.
    """
    n_rows = len(pes_N)
    for block in prange(len(scratch)):
        s = scratch[block]
        for row in range(block * _BLOCK, min(n_rows, (block + 1) * _BLOCK)):
            f = program_N[row]
            s.n_levels, s.noc, s.offchip, s.corrected = n_levels[f], noc_N[row], offchip_N[row], corrected
            s.weight, s.input, s.output = tensors[f, 0], tensors[f, 1], tensors[f, 2]
            _set_layer(s, layers_NF[row], cluster_N[row])
            mapped_N[row] = _set_levels(s, pes_N[row], directives[f], n_slots[f], clusters[f])
            if not mapped_N[row]:
                continue
            _evaluate(s)
            for k in range(len(counters_TN)):
                counters_TN[k, row] = s.tally[k]
            means_MN[0, row] = s.busy[0] / max(s.steps[0], 1)
            means_MN[1, row] = s.noc_sum / max(s.steps[0], 1)
