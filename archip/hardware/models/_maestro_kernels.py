"""Compiled inner loops of `maestro.py`: one layer on one configuration, level by level, case by case.

The words used here are explained in `_maestro_state.py`. Every thread works in one record, `s`, of the type SCRATCH.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from archip.hardware.models._maestro_cases import (
    edges_of,
    first_case,
    ingress_of,
    next_case,
    occurrences,
    outputs_and_sums,
    sub_clusters,
    sum_rounded_down,
)
from archip.hardware.models._maestro_state import (
    CLUSTER,
    EDGE,
    FILTER_COLUMNS,
    FILTER_ROWS,
    INIT,
    N_TALLIES,
    STEADY,
    STEP,
    WINDOW,
    C,
    K,
    R,
    S,
    X,
    Y,
    compiled,
    inlined,
)  # fmt: skip
from archip.hardware.models._maestro_tiles import ceil_div, fill_tables, prepare_level, set_positions, split_slots

__all__ = ["COUNTERS", "MEANS", "evaluate_rows", "n_blocks"]

# Columns of the layers that `evaluate_rows` takes.
L_K, L_C, L_OY, L_OX, L_FY, L_FX, L_STRIDE = range(7)

# The integers and the means that `evaluate_rows` returns; places of the integers and of two more that it needs.
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
) = range(N_TALLIES)  # fmt: skip
_OLDEST = 60  # off-chip requirement: it is halved once a case, so that earlier cases do not matter
_BLOCK = 1024  # rows that share one scratch record


def n_blocks(n_rows: int) -> int:
    """Scratch records that `evaluate_rows` needs for so many rows."""
    return -(-n_rows // _BLOCK)


@compiled
def _enter(s, lv):
    """Starts level `lv` on the tile handed down."""
    if s.corrected and lv > 0:
        fill_tables(s, lv)
    set_positions(s, lv)
    split_slots(s, lv)
    s.run += 1
    s.stamp[lv] = s.run
    s.advancing[lv], s.runtime[lv], s.steps[lv], s.busy[lv] = -1, 0, 0, 0.0
    s.has_case[lv] = first_case(s, lv)


@compiled
def _resume(s, lv):
    """Goes on with the cases of a level; returns -1 at the end, or the edges of a sub-cluster to be run first."""
    while s.advancing[lv] < s.n_moving[lv]:
        while s.has_case[lv]:
            edges = edges_of(s, lv)
            if s.case_stamp[lv, edges] != s.stamp[lv]:
                egress, sums, critical = outputs_and_sums(s, lv, edges)
                compute, busy, wanted = sub_clusters(s, lv, edges, critical)
                if wanted >= 0:
                    return wanted
                s.case_stamp[lv, edges] = s.stamp[lv]
                s.case_egress[lv, edges], s.case_sums[lv, edges] = egress, sums
                s.case_critical[lv, edges], s.case_compute[lv, edges] = critical, compute
                s.case_busy[lv, edges] = busy
            _step(s, lv, edges)
            s.has_case[lv] = next_case(s, lv)
        s.advancing[lv] += 1
        if s.advancing[lv] < s.n_moving[lv]:
            s.has_case[lv] = first_case(s, lv)
    return -1


@compiled
def _step(s, lv, edges):
    """Adds a case to the runtime of its level, and at level 0 to the counters.

    A case without work is skipped, as in the tool, which has then already counted its egress.
    """
    n, egress, compute = occurrences(s, lv), s.case_egress[lv, edges], s.case_compute[lv, edges]
    if lv == 0:
        s.tally[T_OUTPUT] += n * egress
    if s.case_critical[lv, edges] <= 0:
        return
    into_input = ingress_of(s, lv, edges, s.input, s.fixed_input[lv])
    into_weight = ingress_of(s, lv, edges, s.weight, s.fixed_weight[lv])
    ingress = into_input + into_weight
    ingress_delay, egress_delay = ceil_div(ingress, s.noc), ceil_div(egress, s.noc)
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


@compiled
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


@compiled
def _tally_bandwidth(s, n, traffic, compute):
    whole = traffic // compute
    s.tally[T_PEAK] = max(s.tally[T_PEAK], whole)
    s.noc_sum += n * whole if whole * compute == traffic else sum_rounded_down(s, traffic, compute)


@compiled
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


@inlined
def _n_positions(s, dim):
    return 1 + (s.steadies[0, dim] > 0) + s.has_edge[0, dim]


@compiled
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
        edges = edges_of(s, s.top)
        if s.case_critical[0, edges] > 0:
            best = max(best, elements // max(s.case_compute[0, edges], 1) >> halvings)
            halvings += 1
    return best


# --- One row ---------------------------------------------------------------------------------------------------------


@compiled
def _set_layer(s, layer, cluster):
    """Sizes, filter, stride and symbols of a layer."""
    s.rows, s.columns, s.stride = layer[L_FY], layer[L_FX], layer[L_STRIDE]
    s.size[0, K], s.size[0, C], s.size[0, R], s.size[0, S] = layer[L_K], layer[L_C], layer[L_FY], layer[L_FX]
    s.size[0, Y] = (layer[L_OY] - 1) * s.stride + s.rows
    s.size[0, X] = (layer[L_OX] - 1) * s.stride + s.columns
    tile = min(cluster, layer[L_OX])
    s.symbols[FILTER_ROWS], s.symbols[FILTER_COLUMNS], s.symbols[CLUSTER] = s.rows, s.columns, cluster
    s.symbols[WINDOW], s.symbols[STEP] = (tile - 1) * s.stride + s.columns, tile * s.stride


@compiled
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
        prepare_level(s, lv, directives[lv], n_slots[lv])
        if lv + 1 < s.n_levels:
            for dim in range(6):
                s.size[lv + 1, dim] = min(s.extent[lv, dim], s.size[lv, dim])
    return True


@compiled
def _l1_elements(s, tensor, of_output):
    """Elements of one tensor in the tile of a PE; the tool reserves the whole input tile for the output."""
    n = 1
    for dim in range(6):
        if tensor >> dim & 1:
            n *= s.out_tile[s.n_levels - 1, dim] if of_output else s.in_tile[s.n_levels - 1, dim]
    return n


@compiled
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
