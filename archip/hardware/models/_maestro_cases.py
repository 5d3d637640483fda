"""MAESTRO's cases: what one combination of positions moves and computes, how often it occurs, and which comes next."""

from __future__ import annotations

from archip.hardware.models._maestro_state import EDGE, INIT, STEADY, compiled, inlined

__all__ = [
    "edges_of", "first_case", "ingress_of", "next_case", "occurrences", "outputs_and_sums", "sub_clusters",
    "sum_rounded_down",
]  # fmt: skip


@compiled
def edges_of(s, lv):
    """Moving dimensions of the level at their edge, as a bit set."""
    edges = 0
    for i in range(s.n_moving[lv]):
        dim = s.moving[lv, i]
        at_edge = s.position[lv, dim] == EDGE or (s.position[lv, dim] == INIT and s.init_edge[lv, dim] == 1)
        edges |= at_edge << dim
    return edges


@inlined
def _over_sub_clusters(first, first_partial, other, other_partial, n, n_edge, edge, partial):
    """Sum over the sub-clusters of what is spatially mapped."""
    if not edge:
        return first + (n - 1) * other
    if n_edge == 1:
        return first_partial if partial else first
    return first + max(n_edge - partial - 1, 0) * other + partial * other_partial


@compiled
def ingress_of(s, lv, edges, tensor, fixed):
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


@compiled
def outputs_and_sums(s, lv, edges):
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


@compiled
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


@compiled
def sub_clusters(s, lv, edges, critical):
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


@inlined
def _lowest(s, lv, dim):
    """Outside the advancing slot STEADY stands for INIT and STEADY together."""
    return STEADY if s.steadies[lv, dim] > 0 else INIT


@compiled
def first_case(s, lv):
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


@compiled
def next_case(s, lv):
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


@compiled
def occurrences(s, lv):
    """How often the case occurs."""
    n = 1
    for i in range(s.advancing[lv] + 1):
        dim = s.moving[lv, i]
        if s.position[lv, dim] == STEADY:
            n *= s.steadies[lv, dim] + (i != s.advancing[lv])
    return n


@compiled
def sum_rounded_down(s, traffic, compute):
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
