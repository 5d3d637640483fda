"""Compiled loops of joint fronts: one chain of layers on every chip of one or two cores, against what is known.

A chain takes the sum of its layers' cycles. So a chip's trade of cycles against energy is a bounded knapsack: a layer
that is faster on one core and cheaper on the other may be moved, `count` times, for `dt` cycles and a saving of `de`.

Legend: D core designs, L distinct layers, N chips, P points, S steps of a staircase, I items. Energies are whole
numbers; bounds are floats, compared with half a unit of slack.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.chip._kernels import insert_step, step_at
from archip.hardware.schedule._label_dp import NEVER

__all__ = ["assign", "chips_of", "stair_volume", "sweep", "unbeaten"]

ABSENT = -1
_SLACK = 0.5


@njit(cache=True, nogil=True)
def unbeaten(counts_NL, scores_N):
    """Which rows, in falling order of score, have no row before them with at most as many of every layer."""
    n, n_layers = counts_NL.shape
    kept = np.empty(n, np.int64)
    n_kept = 0
    for i in range(n):
        is_beaten = False
        for place in range(n_kept):
            j = kept[place]
            is_beaten = True
            for layer in range(n_layers):
                if counts_NL[j, layer] > counts_NL[i, layer]:
                    is_beaten = False
                    break
            if is_beaten:
                break
        if not is_beaten:
            kept[n_kept] = i
            n_kept += 1
    return kept[:n_kept]


@njit(cache=True, nogil=True)
def chips_of(cycles_DL, energy_DL, area_D, use_DR, totals_R, count_L, min_cores, max_cores):
    """All chips within the totals that can run the chain: [N, 5] cores, area, least cycles, least energy."""
    n_designs, n_layers = cycles_DL.shape
    room = n_designs + n_designs * (n_designs + 1) // 2
    out = np.empty((room, 5), np.int64)
    n = 0
    for a in range(n_designs):
        for b in range(-1 if min_cores < 2 else a, n_designs):
            if ABSENT < b < a or (b > ABSENT and max_cores < 2):
                continue
            fits = True
            for r in range(len(totals_R)):
                if use_DR[a, r] + (use_DR[b, r] if b >= 0 else 0) > totals_R[r]:
                    fits = False
            if not fits:
                continue
            span, energy = np.int64(0), np.int64(0)
            for layer in range(n_layers):
                t, e = cycles_DL[a, layer], energy_DL[a, layer]
                if b >= 0 and cycles_DL[b, layer] < NEVER:
                    e = min(e, energy_DL[b, layer]) if t < NEVER else energy_DL[b, layer]
                    t = min(t, cycles_DL[b, layer])
                if t >= NEVER:
                    fits = False
                    break
                span += count_L[layer] * t
                energy += count_L[layer] * e
            if fits:
                out[n, 0], out[n, 1], out[n, 3], out[n, 4] = a, b, span, energy
                out[n, 2] = area_D[a] + (area_D[b] if b >= 0 else 0)
                n += 1
    return out[:n].copy()


@njit(cache=True, nogil=True)
def _items(a, b, cycles_DL, energy_DL, count_L, dt, de, room, which):
    """The layers that may be moved, best saving for a cycle first: (items, cycles and energy where all are fastest).

    `which` gets the layer, `dt` and `de` what one move costs and saves, `room` how many there are.
    """
    n = 0
    span, energy = np.int64(0), np.int64(0)
    for layer in range(cycles_DL.shape[1]):
        count = count_L[layer]
        ta, ea = cycles_DL[a, layer], energy_DL[a, layer]
        if b < 0:
            span += count * ta
            energy += count * ea
            continue
        tb, eb = cycles_DL[b, layer], energy_DL[b, layer]
        if ta >= NEVER or (tb < NEVER and (tb < ta or (tb == ta and eb < ea))):
            ta, ea, tb, eb = tb, eb, ta, ea
        span += count * ta
        energy += count * ea
        if tb < NEVER and eb < ea:
            place = n
            while place > 0 and (ea - eb) * float(dt[place - 1]) > de[place - 1] * float(tb - ta):
                dt[place], de[place], room[place], which[place] = (
                    dt[place - 1], de[place - 1], room[place - 1], which[place - 1]
                )  # fmt: skip
                place -= 1
            dt[place], de[place], room[place], which[place] = tb - ta, ea - eb, count, layer
            n += 1
    return n, span, energy


@njit(cache=True, nogil=True)
def _relaxed(first, n, dt, de, room, left):
    """Most that can be saved in `left` cycles by items from `first` on, if the last one may be moved in part."""
    saved = 0.0
    for i in range(first, n):
        need = dt[i] * room[i]
        if need >= left:
            return saved + de[i] * (left / dt[i])
        saved += float(de[i]) * room[i]
        left -= need
    return saved


@njit(cache=True, nogil=True)
def _most_saved(n, dt, de, room, slack, least, most_nodes, moves, best_moves):
    """Most that can be saved within `slack` cycles, if it is more than `least`: (saved or -1, cycles, is_exact)."""
    saved = np.zeros(n + 1, np.int64)
    left = np.zeros(n + 1, np.int64)
    left[0] = slack
    best, best_cycles, nodes = np.int64(least), np.int64(-1), 0
    depth, entering = 0, True
    while depth >= 0:
        if depth == n:
            if saved[n] > best:
                best, best_cycles = saved[n], slack - left[n]
                best_moves[:n] = moves[:n]
            depth, entering = depth - 1, False
            continue
        nodes += 1
        if nodes > most_nodes:
            return (best if best_cycles >= 0 else np.int64(-1)), best_cycles, False
        moves[depth] = min(room[depth], left[depth] // dt[depth]) if entering else moves[depth] - 1
        k = moves[depth]
        if k >= 0:
            saved[depth + 1] = saved[depth] + k * de[depth]
            left[depth + 1] = left[depth] - k * dt[depth]
            # The best item goes first, so fewer moves of it never save more: the first failure ends this depth.
            if saved[depth + 1] + _relaxed(depth + 1, n, dt, de, room, left[depth + 1]) > best + _SLACK:
                depth, entering = depth + 1, True
                continue
        depth, entering = depth - 1, False
    return (best if best_cycles >= 0 else np.int64(-1)), best_cycles, True


@njit(cache=True, nogil=True)
def assign(a, b, cycles_DL, energy_DL, count_L, limit, most_nodes, moved_L):
    """Least energy of a chain on cores a and b within `limit` cycles, the fastest where nothing keeps it.

    `moved_L` gets how many layers of each kind leave the core on which they are fastest.

    Returns:
        (cycles, energy, whether that is proven).
    """
    n_layers = cycles_DL.shape[1]
    dt, de = np.empty(n_layers, np.int64), np.empty(n_layers, np.int64)
    room, which = np.empty(n_layers, np.int64), np.empty(n_layers, np.int64)
    n, span, energy = _items(a, b, cycles_DL, energy_DL, count_L, dt, de, room, which)
    moved_L[:] = 0
    if span >= limit:
        return span, energy, True
    moves, best = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    saved, cycles, is_exact = _most_saved(n, dt, de, room, limit - span, 0, most_nodes, moves, best)
    if saved < 0:
        return span, energy, is_exact
    for i in range(n):
        moved_L[which[i]] = best[i]
    return span + cycles, energy - saved, is_exact


@njit(cache=True, nogil=True)
def sweep(begin, chips_N5, cycles_DL, energy_DL, count_L, known_P3, n_known, stair_S2, n_steps, share, most_nodes,
          points_P4, counts):  # fmt: skip
    """Chips `begin` and on, in the order of their areas, for points that no smaller chip meets or beats.

    Args:
        known_P3: points (area, cycles, energy) of more accurate networks, by area; `n_known` are in the staircase.
        share: 1 + tolerance: a point counts only if it has less than the known energy divided by this.
        points_P4: filled with chip, cycles, energy, area.
        counts: [corner, relaxation, solved, unproven], added to.

    Returns:
        (chips done, known points used, steps, points): fewer chips than given where the room was used up.
    """
    n_layers = cycles_DL.shape[1]
    dt, de = np.empty(n_layers, np.int64), np.empty(n_layers, np.int64)
    room, which = np.empty(n_layers, np.int64), np.empty(n_layers, np.int64)
    moves, best_moves = np.zeros(n_layers + 1, np.int64), np.zeros(n_layers + 1, np.int64)
    n_points = 0
    for chip in range(begin, len(chips_N5)):
        a, b, area, shortest, least = chips_N5[chip]
        while n_known < len(known_P3) and known_P3[n_known, 0] <= area:
            if n_steps + 2 > len(stair_S2):
                return chip, n_known, n_steps, n_points
            step = step_at(stair_S2, n_steps, known_P3[n_known, 1])
            if step < 0 or stair_S2[step, 1] > known_P3[n_known, 2]:
                n_steps = insert_step(stair_S2, n_steps, known_P3[n_known, 1], known_P3[n_known, 2])
            n_known += 1
        if n_points + 8192 > len(points_P4) or n_steps + 8192 > len(stair_S2):
            return chip, n_known, n_steps, n_points
        step = step_at(stair_S2, n_steps, shortest)
        if step >= 0 and stair_S2[step, 1] <= share * least:
            counts[0] += 1
            continue
        n, span, energy = _items(a, b, cycles_DL, energy_DL, count_L, dt, de, room, which)
        slack = np.int64(0)
        for i in range(n):
            slack += dt[i] * room[i]
        what, jump = 1, 1
        while slack >= 0:
            if n_points == len(points_P4) or n_steps + 2 > len(stair_S2):
                return chip, n_known, n_steps, n_points  # what was found of this chip stays, it goes on next time
            # The box that ends at span + slack: less energy than the step below it, in no more cycles.
            step = step_at(stair_S2, n_steps, span + slack)
            if step >= 0:
                far = max(0, step - jump + 1)
                roof = stair_S2[far, 1] / share  # of the leftmost of the next `jump` boxes
                if energy - _relaxed(0, n, dt, de, room, slack) > roof - _SLACK / 2:
                    slack = stair_S2[far, 0] - 1 - span
                    jump *= 2
                    continue
                if jump > 1:
                    jump //= 2
                    continue
                # energy - saved < roof
                needed = energy - np.int64(np.ceil(roof)) if share > 1.0 else energy - stair_S2[step, 1]
            else:
                needed = np.int64(-1)
            what = 2
            saved, cycles, is_exact = _most_saved(
                n, dt, de, room, slack, max(needed, -1), most_nodes, moves, best_moves
            )
            counts[3] += not is_exact
            if saved >= 0:
                slack = cycles - 1
                points_P4[n_points, 0], points_P4[n_points, 1] = chip, span + cycles
                points_P4[n_points, 2], points_P4[n_points, 3] = energy - saved, area
                n_points += 1
                n_steps = insert_step(stair_S2, n_steps, span + cycles, energy - saved)
            elif step < 0:
                break
            else:
                slack = stair_S2[step, 0] - 1 - span
        counts[what] += 1
    return len(chips_N5), n_known, n_steps, n_points


@njit(cache=True, nogil=True)
def stair_volume(points_P3, reference_3):
    """Volume below `reference_3` that points dominate; points sorted by their first column, all within."""
    stair_S2 = np.empty((len(points_P3) + 2, 2), np.float64)
    n_steps, volume, area, last = 0, 0.0, 0.0, 0.0
    for p in range(len(points_P3)):
        volume += area * (points_P3[p, 0] - last)
        last = points_P3[p, 0]
        x, y = points_P3[p, 1], points_P3[p, 2]
        step = step_at(stair_S2, n_steps, x)
        if step >= 0 and stair_S2[step, 1] <= y:
            continue
        left, top, at = x, (reference_3[2] if step < 0 else stair_S2[step, 1]), step + 1
        while top > y:
            right = stair_S2[at, 0] if at < n_steps else reference_3[1]
            area += (right - left) * (top - y)
            if at == n_steps:
                break
            left, top, at = right, stair_S2[at, 1], at + 1
        n_steps = insert_step(stair_S2, n_steps, x, y)
    return volume + area * (reference_3[0] - last)
