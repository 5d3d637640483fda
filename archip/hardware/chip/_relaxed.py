"""A lower bound on the energy where layers have several ways to run on a core, and cores share DRAM.

The relaxation of `archip/hardware/schedule/_label_dp.py` with one more sum: the layers' time on DRAM. The cycles of a
path, of a core, and of DRAM are each at most the limit; each has a multiplier.

Legend: O ways to run (core and mapping), L layers, C paths, K cores.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["energy_bound_of_ways"]

_STEPS = 80


@njit(cache=True, nogil=True)
def energy_bound_of_ways(cycles_OL, energy_OL, dram_OL, core_O, n_cores, first_C, limit, enough, multipliers):
    """A lower bound on the energy within `limit` by Polyak's steps, stopped once it exceeds `enough`.

    Args:
        energy_OL: inf where the layer cannot run so.
        dram_OL: cycles of the whole DRAM bandwidth.
        multipliers: [C + K + 1], where it begins; the best when it ends.
    """
    m, g = multipliers.copy(), np.empty(len(multipliers))
    best, shorten, n_idle = -np.inf, 1.0, 0
    for _ in range(_STEPS):
        value = _relaxed(cycles_OL, energy_OL, dram_OL, core_O, n_cores, first_C, limit, m, g)
        n_idle = 0 if value > best + 1e-4 * abs(enough - best) else n_idle + 1
        if value > best:
            best = value
            multipliers[:] = m
        if n_idle >= 4:
            shorten, n_idle = shorten / 2, 0
            m[:] = multipliers
            value = _relaxed(cycles_OL, energy_OL, dram_OL, core_O, n_cores, first_C, limit, m, g)
        if best > enough or shorten < 0.05:
            break
        norm = 0.0
        for i in range(len(g)):
            if m[i] > 0.0 or g[i] > 0.0:
                norm += g[i] * g[i]
        if norm == 0.0:
            break
        step = shorten * (enough - value + 1e-6 * abs(enough) + 1.0) / norm
        for i in range(len(g)):
            m[i] = max(0.0, m[i] + step * g[i])
    return best


@njit(cache=True, nogil=True)
def _relaxed(cycles_OL, energy_OL, dram_OL, core_O, n_cores, first_C, limit, m, g):
    """Value of the relaxation at multipliers `m`; fills its subgradient `g`."""
    n_chains = len(first_C) - 1
    g[:] = -float(limit)
    value = -limit * m.sum()
    for c in range(n_chains):
        for layer in range(first_C[c], first_C[c + 1]):
            way, least = 0, np.inf
            for o in range(len(core_O)):
                price = energy_OL[o, layer] + (m[c] + m[n_chains + core_O[o]]) * cycles_OL[o, layer]
                price += m[n_chains + n_cores] * dram_OL[o, layer]
                if price < least:
                    way, least = o, price
            value += least
            g[c] += cycles_OL[way, layer]
            g[n_chains + core_O[way]] += cycles_OL[way, layer]
            g[n_chains + n_cores] += dram_OL[way, layer]
    return value
