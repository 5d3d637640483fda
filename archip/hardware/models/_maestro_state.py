"""What the kernels of `maestro.py` work in: one record of scratch memory, SCRATCH, and the numbers of its entries.

Vocabulary. A *level* has one *directive* for each loop dimension, in loop order (slots). A dimension stands in one of
three *positions*: INIT (first tile), STEADY (a later full tile) or EDGE (the last, smaller one). A *case* is one
position for each slot, and occurs the product of its counts; the slot that *advances* is the innermost one not in
INIT. Slots outside the advancing one behave the same in INIT and STEADY, so the two are merged here: a few dozen cases
at most are visited, whatever the number of time steps. A slot *moves* unless one temporal tile covers its dimension;
only moving slots are looped over, the others enter as factors that are fixed while a level runs.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "CLUSTER", "EDGE", "FILTER_COLUMNS", "FILTER_ROWS", "INHERIT", "INIT", "MAX_LEVELS", "N_TALLIES", "SCRATCH",
    "STEADY", "STEP", "WHOLE", "WINDOW", "ZERO", "C", "K", "R", "S", "X", "Y", "compiled", "inlined",
]  # fmt: skip

MAX_LEVELS = 4
# Loop dimensions: output and input channels, filter rows and columns, (padded) input rows and columns.
K, C, R, S, Y, X = range(6)
# Symbols in the size of a directive (see maestro.py); WHOLE = the dimension, INHERIT = as one level further out.
ZERO, FILTER_ROWS, FILTER_COLUMNS, CLUSTER, WINDOW, STEP, WHOLE, INHERIT = range(8)
INIT, STEADY, EDGE = range(3)
N_TALLIES = 20  # what a row adds up
_MASKS = 64  # sets of the six dimensions

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
        ("tally", np.int64, (N_TALLIES,)),
        ("noc_sum", np.float64),  # sum over the steps of the NoC bandwidth that they need
        ("counts", np.int64, (_MASKS,)),
    ]
)

compiled = njit(cache=True, error_model="numpy")
inlined = njit(cache=True, error_model="numpy", inline="always")
