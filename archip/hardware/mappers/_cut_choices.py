"""What a mapping may hold where: tables of one layer's loop orders, from which cuts are drawn on a device.

Axes: R loop orders, O operands, E levels, T loops (T + 1 cuts); as in ``models/_cut_tables.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from archip.hardware.mappers._mapper import Work
from archip.hardware.mappers._search import move_in, tile_bits, unrollings
from archip.hardware.mappers._walk import seed_stream, shuffle
from archip.hardware.models._kernels import (
    MAX_ARRAY,
    MAX_LEVELS,
    MAX_LOOPS,
    exact_elements,
    number_places,
    spread,
    sweep,
)

__all__ = ["CutChoices", "Orders", "choices", "draw_orders"]


class Orders(NamedTuple):
    """Loop orders of a layer and the unrollings that they go with; shorter ones are filled up with loops of 1."""

    asked_RDF: np.ndarray
    loops_RT: np.ndarray
    sizes_RT: np.ndarray
    n_loops_R: np.ndarray


class CutChoices(NamedTuple):
    """What is known of every pair of cuts.

    Attributes:
        bits_ROETT: bits that an operand takes in its memory, by the cuts below and above.
        most_ROET: the last cut above that fits the memory alone, by the cut below; that one itself at least.
        moved_ROT: where a cut goes: loops behind it that the operand does not depend on move inwards.
    """

    bits_ROETT: np.ndarray
    most_ROET: np.ndarray
    moved_ROT: np.ndarray


def draw_orders(work: Work, p: int, n: int) -> Orders:
    """`n` unrollings and orders of the prime factors of the loops of pair `p`, at random."""
    asked_RDF = np.ones((n, MAX_ARRAY, 8), np.int64)
    loops_RT, sizes_RT = np.zeros((n, MAX_LOOPS), np.int64), np.ones((n, MAX_LOOPS), np.int64)
    n_loops_R = np.zeros(n, np.int64)
    given = (work.chips_A, work.habits_A, work.layers_L, work.aims, work.memory, work.states)
    _draw(*given, work.which_P2[p], asked_RDF, loops_RT, sizes_RT, n_loops_R)
    longest = int(n_loops_R.max())
    return Orders(asked_RDF, loops_RT[:, :longest].copy(), sizes_RT[:, :longest].copy(), n_loops_R)


def choices(work: Work, p: int, orders: Orders, zigzag: bool) -> CutChoices:
    """Tables of the orders of pair `p`."""
    n, n_cuts = len(orders.loops_RT), orders.loops_RT.shape[1] + 1
    tables = CutChoices(
        np.full((n, 3, MAX_LEVELS, n_cuts, n_cuts), np.inf),
        np.zeros((n, 3, MAX_LEVELS, n_cuts), np.int64),
        np.zeros((n, 3, n_cuts), np.int64),
    )
    given = (work.chips_A, work.layers_L, work.which_P2[p], *orders[:3], zigzag, work.memory)
    _fill(*given, *tables)
    return tables


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(chips_A, habits_A, layers_L, aims, memory, states, pair, asked_RDF, loops_RT, sizes_RT, n_loops_R):
    s, state, aim = memory[0], states[0], aims[0]
    chip, habit, layer = chips_A[pair[0]], habits_A[pair[0]], layers_L[pair[1]]
    seed_stream(aim, chip, layer, state)
    n_unrollings = unrollings(chip, habit, aim, layer.dims_F, state)
    for r in range(len(loops_RT)):
        n_loops_R[r], _ = shuffle(chip, layer, n_unrollings, aim, state, s)
        asked_RDF[r] = state.asked_UDF[state.u]
        for t in range(n_loops_R[r]):
            loops_RT[r, t], sizes_RT[r, t] = s.loop_T[t], s.size_T[t]


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(chips_A, layers_L, pair, asked_RDF, loops_RT, sizes_RT, zigzag, memory, bits, most, moved):
    s, chip, layer = memory[0], chips_A[pair[0]], layers_L[pair[1]]
    n = loops_RT.shape[1]
    for r in range(len(loops_RT)):
        spread(chip, layer, asked_RDF[r], zigzag, s)
        for t in range(n):
            s.loop_T[t], s.size_T[t] = loops_RT[r, t], sizes_RT[r, t]
        sweep(n, s)
        number_places(n, s)
        for o in range(3):
            for t in range(n + 1):
                moved[r, o, t] = move_in(o, t, n, s)
            for e in range(chip.levels_O[o] - 1):
                room = chip.bits_V[chip.memory_OE[o, e]]
                for low in range(n + 1):
                    width, last = tile_bits(chip, layer, o, e, low, s), low
                    for t in range(low, n + 1):
                        bits[r, o, e, low, t] = exact_elements(layer, o, e + 1, t, zigzag, s) * width
                        if bits[r, o, e, low, t] <= room:
                            last = t
                    most[r, o, e, low] = last
