"""The factors of the loops, whose orders are searched."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["factors"]

_compiled = njit(cache=True, error_model="numpy")


@_compiled
def factors(steps_F, most, state):
    """Prime factors of the iterations, the smallest ones merged down to `most` or one a loop; returns how many.

    Source: the rule of ZigZag's LOMA engine, Symons et al., AICAS 2021.
    """
    n = loops = 0
    for f in range(8):
        rest, k = steps_F[f], 2
        loops += rest > 1
        while rest > 1:
            if k * k > rest:
                k = rest
            if rest % k == 0:
                state.loop_N[n], state.size_N[n] = f, k
                n, rest = n + 1, rest // k
            else:
                k += 1
    while n > max(most, loops):
        n = _merge(n, state)
    for i in range(n):
        state.twin_N[i] = i
        for before in range(i - 1, -1, -1):
            if state.loop_N[before] == state.loop_N[i] and state.size_N[before] == state.size_N[i]:
                state.twin_N[i] = before
    return n


@_compiled
def _merge(n, state):
    """Merges the two smallest factors of the loop that has most of them (B K G OX OY C FX FY)."""
    count_F = np.zeros(8, np.int64)
    for i in range(n):
        count_F[state.loop_N[i]] += 1
    loop = 0
    for f in (0, 2, 1, 5, 4, 3, 7, 6):
        if count_F[f] > count_F[loop]:
            loop = f
    first, second = -1, -1
    for i in range(n):
        if state.loop_N[i] == loop:
            if first < 0 or state.size_N[i] < state.size_N[first]:
                first, second = i, first
            elif second < 0 or state.size_N[i] < state.size_N[second]:
                second = i
    state.size_N[first] *= state.size_N[second]
    for i in range(second, n - 1):
        state.loop_N[i], state.size_N[i] = state.loop_N[i + 1], state.size_N[i + 1]
    return n - 1
