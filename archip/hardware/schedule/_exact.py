"""Chains on cores, exactly: the least energy or the shortest makespan, by relaxation, beam and label programme.

Axes: L layers (chain by chain), K cores, C chains. Energies are whole numbers in floats (exact below 2^53), so that
half a unit of slack makes every comparison with a float bound safe.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.schedule._label_dp import energy_bound, new_pool, solve, time_bound
from archip.hardware.schedule._many_dp import solve_many

__all__ = ["FOUND", "NONE", "PRUNED", "SLACK", "UNSOLVED", "cheapest", "fastest"]

PRUNED, FOUND, NONE, UNSOLVED = 0, 1, 2, 3
SLACK = 0.5
_BEAM = 96  # labels of a node: enough to be exact nearly always
_MOST_LABELS = 1 << 21


@njit(cache=True, nogil=True)
def _schedule(cycles_KL, energy_KL, first_C, limit, budget, for_time, beam, energy_m, time_m, core_L, start_L):
    """`solve` or `solve_many`, with as much room as they need up to _MOST_LABELS."""
    if len(cycles_KL) == 2 and len(first_C) <= 3:
        room = 1 << 14
        while True:
            status, span, energy, exact = solve(
                cycles_KL, energy_KL, first_C[1], limit, budget, for_time, beam, energy_m, time_m, new_pool(room),
                core_L, start_L
            )  # fmt: skip
            if status >= 0 or room >= _MOST_LABELS:
                return status, span, energy, exact
            room *= 8
    return solve_many(
        cycles_KL, energy_KL, first_C, limit, budget, for_time, beam, energy_m, time_m, _MOST_LABELS, core_L, start_L
    )


@njit(cache=True, nogil=True)
def cheapest(cycles_KL, energy_KL, first_C, limit, budget, energy_m, time_m, core_L, start_L):
    """Least energy within `limit` and `budget`, of equal ones the shortest: (what, cycles, energy, lower bound).

    `what` is PRUNED by the relaxation, FOUND, NONE, or UNSOLVED for want of room; then the result is the best
    found, or inf. The multipliers are where the bound begins and the best when it ends.
    """
    if len(cycles_KL) == 1:
        energy, span = energy_KL.sum(), cycles_KL.sum()
        if span > limit or energy > budget + SLACK:
            return PRUNED, 0, np.inf, np.inf
        core_L[:] = 0
        start_L[:] = np.cumsum(cycles_KL[0]) - cycles_KL[0]
        return FOUND, span, energy, energy
    bound = energy_bound(cycles_KL, energy_KL, first_C, limit, budget + SLACK, energy_m)
    if bound > budget + SLACK:
        return PRUNED, 0, np.inf, bound
    status, span, energy, exact = _schedule(
        cycles_KL, energy_KL, first_C, limit, budget + SLACK, False, _BEAM, energy_m, time_m, core_L, start_L
    )
    if status >= 0 and exact:
        return (FOUND, span, energy, energy) if status == 1 else (NONE, 0, np.inf, np.inf)
    if status == 1:
        budget = energy
        bound = max(bound, energy_bound(cycles_KL, energy_KL, first_C, limit, budget + SLACK, energy_m))
    found, found_span, found_energy = status == 1, span, energy
    core_again_L, start_again_L = core_L.copy(), start_L.copy()
    status, span, energy, _ = _schedule(
        cycles_KL, energy_KL, first_C, limit, budget + SLACK, False, 0, energy_m, time_m, core_again_L, start_again_L
    )
    if status == 1:
        core_L[:], start_L[:] = core_again_L, start_again_L
        return FOUND, span, energy, energy
    if status == 0:
        return NONE, 0, np.inf, np.inf
    return UNSOLVED, found_span if found else 0, found_energy if found else np.inf, bound


@njit(cache=True, nogil=True)
def fastest(cycles_KL, energy_KL, first_C, limit, budget, energy_m, time_m, core_L, start_L):
    """The shortest schedule within `limit` and `budget`: (what, cycles, energy, lower bound on the cycles)."""
    if len(cycles_KL) == 1:
        return cheapest(cycles_KL, energy_KL, first_C, limit, budget, energy_m, time_m, core_L, start_L)
    bound = time_bound(cycles_KL, first_C, limit + SLACK, time_m)
    if bound > limit + SLACK:
        return PRUNED, 0, np.inf, bound
    if energy_bound(cycles_KL, energy_KL, first_C, limit, budget + SLACK, energy_m) > budget + SLACK:
        return PRUNED, 0, np.inf, float(limit + 1)
    found = False
    while True:  # a beam finds shorter and shorter ones, until it finds none or left nothing out
        status, span, energy, exact = _schedule(
            cycles_KL, energy_KL, first_C, limit, budget + SLACK, True, _BEAM, energy_m, time_m, core_L, start_L
        )
        if status != 1:
            break
        found, limit, found_span, found_energy = True, span - 1, span, energy
        if exact or span <= bound:
            return FOUND, span, energy, float(span)
    if status == 0 and exact:
        return (FOUND, found_span, found_energy, float(found_span)) if found else (NONE, 0, np.inf, np.inf)
    status, span, energy, _ = _schedule(
        cycles_KL, energy_KL, first_C, limit, budget + SLACK, True, 0, energy_m, time_m, core_L, start_L
    )
    if status == 1:
        return FOUND, span, energy, float(span)
    if status == 0:
        return (FOUND, found_span, found_energy, float(found_span)) if found else (NONE, 0, np.inf, np.inf)
    return UNSOLVED, found_span if found else 0, found_energy if found else np.inf, bound
