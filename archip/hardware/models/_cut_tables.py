"""Tables of all links and cuts of some loop orders, from which a mapping's cost is looked up.

What a link costs depends on the loops inside its cut only (``_kernels.py``, entries), and what a memory's buffering
depends on is a pair of cuts. So a few hundred numbers an order hold the costs of all its mappings, and evaluating many
of them is gathering and adding up: work for a GPU (``_torch_cuts.py``).

Axes: R loop orders, O operands, J links, E levels, T loops (T + 1 cuts).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from archip.hardware.models import _kernels as kernels
from archip.hardware.models._kernels import (
    _FIELDS,
    _LINKS,
    HELD_BITS,
    IRRELEVANT_OF,
    MAX_LEVELS,
    PERIOD,
    RELEVANT_OF,
    O,
    _top,
    entry,
    number_places,
    spread,
    sweep,
)

__all__ = ["CutTables", "tabulate"]


class CutTables(NamedTuple):
    """What is known of every cut.

    Attributes:
        entry_ROJTF: columns of an entry (``_kernels.py``) of a link whose cut is T; link 0 at the array's standstill.
        own_ROETT, single_ROJTT: share of a memory that changes at once, and window behind a single buffer, by the cuts
            below and above.
        total_R, mac_energy_R, skew_R: cycles of the array, J of all multiplications, unrollings less one.
    """

    entry_ROJTF: np.ndarray
    own_ROETT: np.ndarray
    single_ROJTT: np.ndarray
    total_R: np.ndarray
    mac_energy_R: np.ndarray
    skew_R: np.ndarray


def tabulate(
    chip: np.ndarray, layer: np.ndarray, asked_RDF: np.ndarray, loops_RT: np.ndarray, sizes_RT: np.ndarray, zigzag: bool
) -> CutTables:
    """Tables of R orders of one layer on one accelerator (records of one element); all orders have T loops."""
    n, n_cuts = len(loops_RT), loops_RT.shape[1] + 1
    tables = CutTables(
        np.zeros((n, 3, _LINKS, n_cuts, _FIELDS)),
        np.zeros((n, 3, MAX_LEVELS, n_cuts, n_cuts)),
        np.zeros((n, 3, _LINKS, n_cuts, n_cuts)),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
    )
    _fill(chip, layer, asked_RDF, loops_RT, sizes_RT, zigzag, kernels.scratch(), *tables)
    return tables


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(chips, layers, asked_RDF, loops_RT, sizes_RT, zigzag, memory, entries, own, single, total, mac, skew):
    s, chip, layer = memory[0], chips[0], layers[0]
    n_loops = loops_RT.shape[1]
    for r in range(len(loops_RT)):
        skew[r] = spread(chip, layer, asked_RDF[r], zigzag, s)
        for t in range(n_loops):
            s.loop_T[t], s.size_T[t] = loops_RT[r, t], sizes_RT[r, t]
        sweep(n_loops, s)
        number_places(n_loops, s)
        total[r], mac[r] = s.total, s.mac_energy
        for o in range(3):
            still = 0  # loops in which the operand stands still at the array, if they are inside the cut
            while o != O and still < n_loops and (IRRELEVANT_OF[o, s.loop_T[still]] or s.size_T[still] == 1):
                still += 1
            for t in range(n_loops + 1):
                _copy(s.entry_XF[entry(chip, layer, o, 0, min(still, t), zigzag, s)], entries[r, o, 0, t])
                for j in range(1, chip.levels_O[o]):
                    row = s.entry_XF[entry(chip, layer, o, j, t, zigzag, s)]
                    _copy(row, entries[r, o, j, t])
                    size = chip.bits_V[chip.memory_OE[o, j - 1]]
                    for low in range(t + 1):
                        s.cuts_OE[o, j - 1], s.cuts_OE[o, j] = low, t
                        part = row[HELD_BITS] / _top(RELEVANT_OF[o], o, j - 1, s)
                        own[r, o, j - 1, low, t] = np.floor(part + 1e-9) / size
                        single[r, o, j, low, t] = np.floor(row[PERIOD] / _top(IRRELEVANT_OF[o], o, j - 1, s))


@njit(cache=True, error_model="numpy")
def _copy(row, into):
    for k in range(_FIELDS):
        into[k] = row[k]
