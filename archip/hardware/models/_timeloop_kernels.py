"""Compiled inner loops of `timeloop.py`: accesses of every level and operand on a given mapping, in closed form.

A tile is a box with five axes: what an operand's loops inside a level sweep. A loop moves it along one axis, by its
*step*. Seen from a level, the temporal loops outside count like an odometer. Whenever loop i advances and the loops
within start anew, the tile moves by

    move_i = step_i - (step_0 + ... + step_(i-1))

each step along its axis: the tool visits the first two iterations of a loop, and lets the second stand for all later
ones. After a move of the innermost loop only the *slab* outside the tile before is new. So it is when another loop
advances by the same move; after any other move the whole tile is.

Positions and moves are kept as one number, `radix` of their axis for each element.
Legend: M mappings, L loops (innermost first), F fields of a loop, V levels (innermost first), O operands W I O, A axes,
U sub-units of a level, J moves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["CAP", "DIMENSION", "FILLS", "ITERATIONS", "LEVEL", "READS", "SPATIAL", "UPDATES", "count_accesses"]

DIMENSION, ITERATIONS, SPATIAL, LEVEL = range(4)  # fields of a loop
CAP, READS, FILLS, UPDATES = range(4)  # what is counted
# Axis along which a loop (B G K C OY OX FY FX) moves a tile of W, I and O; -1: it does not.
_AXIS = np.array([[-1, 0, 1, 2, -1, -1, 3, 4], [0, 1, -1, 2, 3, 4, 3, 4], [0, 1, 2, -1, 3, 4, -1, -1]])
_N_AXES = 5
_OY, _OX = 4, 5
_INPUT, _OUTPUT = 1, 2

_compiled = njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def count_accesses(loops_MLF, n_loops_M, stride_M, keeps_VO, mesh_V2, counts_M4VO):
    """Words of one instance of every level, for each mapping.

    Args:
        loops_MLF: int64 [M, L, 4], the loops of a mapping, those of the innermost level first.
        n_loops_M: int64 [M], how many of them there are.
        stride_M: int64 [M], of the convolution.
        keeps_VO: bool [V, O], which operands a level holds.
        mesh_V2: int64 [V, 2], columns and rows in which the sub-units of a level stand.
        counts_M4VO: float64 [M, 4, V, O], filled: words in use; read, filled from outside, updated from inside.
    """
    for m in range(len(loops_MLF)):
        loops_LF = loops_MLF[m, : n_loops_M[m]]
        for operand in range(3):
            axis_L, step_L = _axes_and_steps(loops_LF, operand, stride_M[m])
            _count(loops_LF, axis_L, step_L, keeps_VO[:, operand], mesh_V2, operand, counts_M4VO[m, :, :, operand])


@_compiled
def _axes_and_steps(loops_LF, operand, stride):
    """The axis of every loop (0 where it does not move the tile), and its step."""
    axis_L, step_L = np.zeros(len(loops_LF), np.int64), np.zeros(len(loops_LF), np.int64)
    inside = np.ones(_AXIS.shape[1], np.int64)
    for i in range(len(loops_LF)):
        dimension = loops_LF[i, DIMENSION]
        if _AXIS[operand, dimension] >= 0:
            axis_L[i], step_L[i] = _AXIS[operand, dimension], inside[dimension]
            if operand == _INPUT and dimension in (_OY, _OX):
                step_L[i] *= stride
        inside[dimension] *= loops_LF[i, ITERATIONS]
    return axis_L, step_L


@_compiled
def _count(loops_LF, axis_L, step_L, keeps_V, mesh_V2, operand, counts_4V):
    """Words of one operand.

    A level that does not keep it passes the accesses of the one inside on to the one outside, divided by its multicast;
    what neighbours pass on stays with the units that do. Partial sums are read back once less than they arrive, but
    filled as often as the level outside sends them.
    """
    n_levels = len(keeps_V)
    extent_VA, radix_A = _extents(loops_LF, n_levels, axis_L, step_L)
    instances_V = _instances(loops_LF, n_levels)
    total = _product(extent_VA[-1])
    # Elements that reach one unit from outside, those from neighbours; distinct tiles in a level's sub-units.
    taken_V, peer_V, distinct_V = np.zeros(n_levels), np.zeros(n_levels), np.ones(n_levels)
    content = np.float64(_iterations_inside(loops_LF))
    for level in range(n_levels):
        if level > 0:
            read, received, linked, n_units, distinct_V[level] = _transfers(
                loops_LF, axis_L, step_L, level, extent_VA[level - 1], radix_A, mesh_V2[level]
            )
            taken_V[level - 1] = received / n_units
            if keeps_V[level - 1]:
                content, peer_V[level - 1] = np.float64(read), linked / instances_V[level - 1]
            else:
                content *= n_units * (read / received)
        counts_4V[READS, level] = content
    outer = 1.0
    for level in range(n_levels - 1, -1, -1):
        content = counts_4V[READS, level] * keeps_V[level]
        partition = total / outer if operand == _OUTPUT else 0.0
        outer *= distinct_V[level]
        counts_4V[CAP, level] = _product(extent_VA[level]) * keeps_V[level]
        counts_4V[READS, level] = np.rint(content + peer_V[level] - partition) * keeps_V[level]
        counts_4V[UPDATES, level] = np.rint(content) * (operand == _OUTPUT)
        counts_4V[FILLS, level] = np.floor(taken_V[level] + peer_V[level]) * keeps_V[level]


@_compiled
def _extents(loops_LF, n_levels, axis_L, step_L):
    """Size of the tile of every level, [V, A], and the radix of every axis."""
    extent_VA = np.ones((n_levels, _N_AXES), np.int64)
    for i in range(len(loops_LF)):
        extent_VA[loops_LF[i, LEVEL] :, axis_L[i]] += step_L[i] * (loops_LF[i, ITERATIONS] - 1)
    radix_A = np.ones(_N_AXES, np.int64)
    for axis in range(1, _N_AXES):
        radix_A[axis] = radix_A[axis - 1] * 4 * extent_VA[-1, axis - 1]  # room for differences of moves
    return extent_VA, radix_A


@_compiled
def _instances(loops_LF, n_levels):
    """Instances of every level that are in use, [V]."""
    instances_V = np.ones(n_levels, np.int64)
    for i in range(len(loops_LF)):
        if loops_LF[i, SPATIAL]:
            instances_V[: loops_LF[i, LEVEL]] *= loops_LF[i, ITERATIONS]
    return instances_V


@_compiled
def _iterations_inside(loops_LF):
    """Multiplications of one unit."""
    n = 1
    for i in range(len(loops_LF)):
        n *= 1 if loops_LF[i, SPATIAL] else loops_LF[i, ITERATIONS]
    return n


@_compiled
def _product(values):
    n = 1
    for value in values:
        n *= value
    return n


@_compiled
def _transfers(loops_LF, axis_L, step_L, level, extent_A, radix_A, mesh_2):
    """What one instance of a level hands to the sub-units that hold tiles of size `extent_A`.

    Returns:
        (elements read, elements received by all sub-units, elements passed on between neighbours, sub-units, distinct
        tiles among them)
    """
    places_U = _places(loops_LF, axis_L, step_L, level, radix_A)
    n_units, n_distinct = len(places_U), _n_distinct(places_U)
    move_J, times_J, new_J, alike_J = _moves(loops_LF, axis_L, step_L, level, extent_A, radix_A)
    elements = (times_J * new_J).sum()
    read, received, linked = elements * n_distinct, elements * n_units, 0
    for j in range(len(move_J)):
        if alike_J[j] * new_J[j] > 0:
            alone_U = _without_neighbour(places_U, move_J[j], mesh_2)
            saved = n_distinct - _n_distinct(alone_U)
            if saved > 0:
                passed_on = alike_J[j] * new_J[j] * (n_units - len(alone_U))
                read -= alike_J[j] * new_J[j] * saved
                received -= passed_on
                linked += passed_on
    return read, received, linked, n_units, n_distinct


@_compiled
def _moves(loops_LF, axis_L, step_L, level, extent_A, radix_A):
    """The moves of the tile inside a level, one for each temporal loop from there on (and the first load, as a move).

    Returns:
        (move; how often it occurs; elements that are new after it; how often these have the place and the shape that
        the new elements of a neighbour may have had one move before), each [J]
    """
    move_J, times_J, new_J, alike_J = np.zeros((4, len(loops_LF) + 1), np.int64)
    outer, volume = _temporal_from(loops_LF, level), _product(extent_A)
    start, slab = 0, 0
    times_J[0], new_J[0] = 1, volume
    j, innermost = 1, 1
    for i in range(len(loops_LF)):
        n = loops_LF[i, ITERATIONS]
        if loops_LF[i, LEVEL] < level or loops_LF[i, SPATIAL] or n == 1:
            continue
        outer //= n
        step = step_L[i] * radix_A[axis_L[i]]
        move_J[j], times_J[j], new_J[j] = step - start, (n - 1) * outer, volume
        start += step
        if j == 1:
            innermost, slab = n, volume // extent_A[axis_L[i]] * min(step_L[i], extent_A[axis_L[i]])
        if move_J[j] == move_J[1]:
            new_J[j] = slab
            alike_J[j] = times_J[j] * innermost if j > 1 else 0  # it, and the innermost loop's moves that follow
        if slab == volume:
            alike_J[j] = times_J[j]
        j += 1
    return move_J[:j], times_J[:j], new_J[:j], alike_J[:j]


@_compiled
def _temporal_from(loops_LF, level):
    """Iterations of all temporal loops of this level and further out."""
    n = 1
    for i in range(len(loops_LF)):
        if loops_LF[i, LEVEL] >= level and not loops_LF[i, SPATIAL]:
            n *= loops_LF[i, ITERATIONS]
    return n


@_compiled
def _places(loops_LF, axis_L, step_L, level, radix_A):
    """Where the tiles of the sub-units of a level lie, [U], in the order in which the tool numbers them."""
    places_U = np.zeros(1, np.int64)
    for i in range(len(loops_LF) - 1, -1, -1):
        if loops_LF[i, LEVEL] == level and loops_LF[i, SPATIAL]:
            steps = np.arange(loops_LF[i, ITERATIONS]) * step_L[i] * radix_A[axis_L[i]]
            places_U = (places_U.reshape(-1, 1) + steps).ravel()
    return places_U


@_compiled
def _n_distinct(places_U):
    return len(np.unique(places_U))


@_compiled
def _without_neighbour(places_U, move, mesh_2):
    """Places of the units whose data no neighbour in the mesh had before this move."""
    columns, rows = mesh_2[0], mesh_2[1]
    alone_U = np.ones(len(places_U), np.bool_)
    for unit in range(len(places_U)):
        x, y = unit % columns, unit // columns
        for other_x, other_y in ((x, y - 1), (x, y + 1), (x - 1, y), (x + 1, y)):
            other = other_y * columns + other_x
            if 0 <= other_x < columns and 0 <= other_y < rows and other < len(places_U):
                alone_U[unit] &= places_U[other] - places_U[unit] != move
    return places_U[alone_U]
