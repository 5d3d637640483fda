"""Compiled walk through the accesses of a systolic array, for the DRAM reads of `systolic.py` that have no closed form.

The tool's read buffer is a window over the elements in the order in which they were fetched: one that is not in it is
fetched, and each time that half a buffer has been fetched the window starts anew. An element is the sum of two numbers,
one for each of the two indices that an operand has in the matrix product; equal sums are the same element of the layer.
Folds run row by row within a column of folds.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["standing_reads", "streamed_reads"]

_compiled = njit(cache=True, nogil=True)
_inlined = njit(cache=True, nogil=True, inline="always")


@_inlined
def _is_fetched(fetched_at, element, n_fetched, half):
    """Notes the access; True where the element is not in the window."""
    if fetched_at[element] >= n_fetched // half * half:
        return False
    fetched_at[element] = n_fetched
    return True


@_compiled
def streamed_reads(streamed_T, lanes_L, n_lanes, n_row_folds, n_column_folds, is_across, half, n_elements):
    """Fetches of an operand that runs through the array, each lane one cycle after the one before.

    Args:
        streamed_T: int64 [T], numbers of the index that runs with time.
        lanes_L: int64, numbers of the index that is spread over the lanes.
        n_lanes: lanes of the array.
        n_row_folds, n_column_folds: folds.
        is_across: lanes are columns, not rows.
        half: elements in half of the buffer.
        n_elements: distinct elements.
    """
    fetched_at = np.full(n_elements, -1, np.int64)
    n_fetched, n_steps = 0, len(streamed_T)
    for fold in range(n_row_folds * n_column_folds):
        first = (fold // n_row_folds if is_across else fold % n_row_folds) * n_lanes
        width = min(n_lanes, len(lanes_L) - first)
        for cycle in range(n_steps + width - 1):
            for lane in range(max(0, cycle - n_steps + 1), min(width, cycle + 1)):
                element = streamed_T[cycle - lane] + lanes_L[first + lane]
                n_fetched += _is_fetched(fetched_at, element, n_fetched, half)
    return n_fetched


@_compiled
def standing_reads(rows_R, columns_C, n_rows, n_columns, half, n_elements):
    """Fetches of an operand that is loaded into the array for every fold, the last row first.

    Args:
        rows_R, columns_C: int64, numbers of the index over the rows and of that over the columns.
        n_rows, n_columns: of the array.
        half, n_elements: as above.
    """
    fetched_at = np.full(n_elements, -1, np.int64)
    n_fetched = 0
    for left in range(0, len(columns_C), n_columns):
        for top in range(0, len(rows_R), n_rows):
            for row in range(min(len(rows_R), top + n_rows) - 1, top - 1, -1):
                for column in range(left, min(len(columns_C), left + n_columns)):
                    element = rows_R[row] + columns_C[column]
                    n_fetched += _is_fetched(fetched_at, element, n_fetched, half)
    return n_fetched
