"""Compiled loops of the chip search: dominance of cores, survey of all chips, best of some chips, steps of a chip.

Legend: D core designs, L layers, K cores of a chip, C chains, N chips, R resources, S steps of a staircase. Energies
are whole numbers in floats (exact below 2^53), so half a unit of slack makes every comparison with a float bound safe.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.schedule._exact import PRUNED, SLACK, UNSOLVED, cheapest, fastest
from archip.hardware.schedule._label_dp import NEVER, energy_bound, new_pool, of_two_chains, solve_all, time_bound

__all__ = ["COUNTS", "best_of", "insert_step", "step_at", "survey", "undominated", "walk"]

GROUP = 0.02  # of the energy: steps are taken in groups where the room below them is less
FINEST = 256  # of the cycles: finer boxes are not divided further
WIDER = 2.0  # how much more room the other boxes of a group may have than the first
# What `survey` counts, then what the searches count.
COUNTS = ("within_totals", "area", "chain", "load", "energy")
LAGRANGE, SOLVED, OPEN = 0, 1, 2


@njit(cache=True, nogil=True)
def undominated(cycles_DL, energy_DL, area_D, use_DR):
    """Which cores no earlier one meets or beats in area, uses and every layer; rows are in an order of these."""
    n, n_layers = cycles_DL.shape
    kept = np.empty(n, np.int64)
    n_kept = 0
    for i in range(n):
        is_beaten = False
        for place in range(n_kept):
            j = kept[place]
            if area_D[j] > area_D[i] or (use_DR[j] > use_DR[i]).any():
                continue
            is_beaten = True
            for layer in range(n_layers):
                if cycles_DL[j, layer] > cycles_DL[i, layer] or energy_DL[j, layer] > energy_DL[i, layer]:
                    is_beaten = False
                    break
            if is_beaten:
                break
        if not is_beaten:
            kept[n_kept] = i
            n_kept += 1
    return kept[:n_kept]


@njit(cache=True, nogil=True)
def survey(
    first,
    n_cores,
    cycles_DL,
    energy_DL,
    area_D,
    use_DR,
    totals_R,
    first_C,
    weights_WK,
    area,
    limit,
    budget,
    out,
    counts,
):
    """Every chip of `n_cores` cores of which `first` is the first in the order of the table, against the cheap bounds.

    Args:
        weights_WK: positive weights of the cores, each row adding up to 1, for the bound by load.
        area, limit, budget: most um^2, cycles and energy.
        out: int64 [N, n_cores + 3], filled with cores, area, bound on cycles and bound on energy of the survivors.
        counts: added to, in the order of COUNTS.

    Returns:
        Survivors; -1 where `out` is too small.
    """
    n_designs, n_layers = cycles_DL.shape
    n_weights = len(weights_WK)
    chip = np.zeros(n_cores, np.int64)
    chip[0] = first
    # Minima over the cores chosen so far, by depth.
    least_t = np.full((n_cores + 1, n_layers), NEVER, np.int64)
    least_e = np.full((n_cores + 1, n_layers), np.inf)
    load = np.full((n_cores + 1, n_weights, n_layers), np.inf)
    used = np.zeros((n_cores + 1, len(totals_R)), np.int64)
    areas = np.zeros(n_cores + 1, np.int64)
    n, depth = 0, 0
    while depth >= 0:
        core = chip[depth]
        if core == n_designs or (depth == 0 and core != first):
            depth -= 1
            if depth >= 0:
                chip[depth] += 1
            continue
        used[depth + 1] = used[depth] + use_DR[core]
        if (used[depth + 1] > totals_R).any():
            chip[depth] += 1
            continue
        areas[depth + 1] = areas[depth] + area_D[core]
        if depth + 1 < n_cores:
            for layer in range(n_layers):
                least_t[depth + 1, layer] = min(least_t[depth, layer], cycles_DL[core, layer])
                least_e[depth + 1, layer] = min(least_e[depth, layer], energy_DL[core, layer])
                for w in range(n_weights):
                    weighted = weights_WK[w, depth] * cycles_DL[core, layer]
                    load[depth + 1, w, layer] = min(load[depth, w, layer], weighted)
            depth += 1
            chip[depth] = chip[depth - 1]
            continue
        counts[0] += 1
        if areas[n_cores] > area:
            counts[1] += 1
            chip[depth] += 1
            continue
        longest, at_least, spent = 0, 0.0, 0.0
        for c in range(len(first_C) - 1):
            total = 0
            for layer in range(first_C[c], first_C[c + 1]):
                total += min(least_t[depth, layer], cycles_DL[core, layer])
            longest = max(longest, total)
        if longest > limit:
            counts[2] += 1
            chip[depth] += 1
            continue
        for w in range(n_weights):
            total_load = 0.0
            for layer in range(n_layers):
                total_load += min(load[depth, w, layer], weights_WK[w, depth] * cycles_DL[core, layer])
            at_least = max(at_least, total_load)
        at_least = np.ceil(at_least * (1 - 1e-12) - 1e-6)
        if at_least > limit:
            counts[3] += 1
            chip[depth] += 1
            continue
        for layer in range(n_layers):
            spent += min(least_e[depth, layer], energy_DL[core, layer])
        if spent > budget:
            counts[4] += 1
            chip[depth] += 1
            continue
        if n == len(out):
            return -1
        out[n, :n_cores] = chip
        out[n, n_cores] = areas[n_cores]
        out[n, n_cores + 1] = max(longest, int(at_least))
        out[n, n_cores + 2] = int(spent)
        n += 1
        chip[depth] += 1
    return n


@njit(cache=True, nogil=True)
def _of_chip(cycles_DL, energy_DL, chip):
    """Cycles and energies [K, L] of a chip's cores; -1 in `chip` is an absent core."""
    n_cores = 0
    for core in chip:
        n_cores += core >= 0
    cycles_KL, energy_KL = np.empty((n_cores, cycles_DL.shape[1]), np.int64), np.empty((n_cores, cycles_DL.shape[1]))
    for k in range(n_cores):
        cycles_KL[k] = cycles_DL[chip[k]]
        energy_KL[k] = energy_DL[chip[k]]
    return cycles_KL, energy_KL


@njit(cache=True, nogil=True)
def best_of(
    begin,
    end,
    order,
    chips_NK,
    bounds_N3,
    cycles_DL,
    energy_DL,
    first_C,
    limit,
    budget,
    for_time,
    best,
    core_L,
    start_L,
    counts,
):
    """Go through chips `order[begin:end]`, which rise in their bound on energy (on time if `for_time`).

    Args:
        bounds_N3: area, bound on cycles, bound on energy.
        best: [cycles, energy, area, chip], chip -1 where none is known; updated with `core_L` and `start_L`. Of equal
            energy the least cycles, then the least area; `for_time`: the least cycles only.
        counts: [LAGRANGE, SOLVED, OPEN, least bound of the open ones].

    Returns:
        The first chip that was not looked at; `len(order)` where no later one can be better.
    """
    n_chains = len(first_C) - 1
    for place in range(begin, end):
        n = order[place]
        area, span_bound, energy_bound_ = bounds_N3[n]
        within, most = limit, budget
        if best[3] >= 0:
            if for_time:
                within = best[0] - 1
                if span_bound > within:
                    return len(order)
            else:
                most = float(best[1])
                if energy_bound_ > best[1]:
                    return len(order)
                if energy_bound_ == best[1]:  # only a shorter one, or a smaller one as short, is of use
                    within = best[0] - 1 if area >= best[2] else best[0]
        if span_bound > within:
            counts[LAGRANGE] += 1
            continue
        cycles_KL, energy_KL = _of_chip(cycles_DL, energy_DL, chips_NK[n])
        n_sums = n_chains + len(cycles_KL)
        energy_m, time_m = np.zeros(n_sums), np.full(n_sums, 1.0 / n_sums)
        trial_L, begin_L = core_L.copy(), start_L.copy()
        if for_time:
            what, span, energy, low = fastest(
                cycles_KL, energy_KL, first_C, within, most, energy_m, time_m, trial_L, begin_L
            )
        elif len(cycles_KL) > 1 and time_bound(cycles_KL, first_C, within + SLACK, time_m) > within + SLACK:
            what, span, energy, low = PRUNED, 0, np.inf, np.inf
        else:
            what, span, energy, low = cheapest(
                cycles_KL, energy_KL, first_C, within, most, energy_m, time_m, trial_L, begin_L
            )
        counts[LAGRANGE if what == PRUNED else OPEN if what == UNSOLVED else SOLVED] += 1
        if what == UNSOLVED:
            counts[3] = min(counts[3], int(np.ceil(low - SLACK)))
        if energy < np.inf:
            found = (span, int(energy), area)
            known = (best[0], best[1], best[2])
            if best[3] < 0 or for_time or (found[1], found[0], found[2]) < (known[1], known[0], known[2]):
                best[0], best[1], best[2], best[3] = span, int(energy), area, n
                core_L[:], start_L[:] = trial_L, begin_L
    return end


@njit(cache=True, nogil=True)
def insert_step(stair_S2, n_steps, span, energy):
    """Put a point that no step meets or beats into a staircase (cycles rising, energy falling); returns its length."""
    low, high = 0, n_steps
    while low < high:
        middle = (low + high) // 2
        if stair_S2[middle, 0] < span:
            low = middle + 1
        else:
            high = middle
    last = low
    while last < n_steps and stair_S2[last, 1] >= energy:
        last += 1
    shift = 1 - (last - low)
    if shift > 0:
        for s in range(n_steps, low, -1):
            stair_S2[s] = stair_S2[s - 1]
    elif shift < 0:
        for s in range(last, n_steps):
            stair_S2[s + shift] = stair_S2[s]
    stair_S2[low, 0], stair_S2[low, 1] = span, energy
    return n_steps + shift


@njit(cache=True, nogil=True)
def step_at(stair_S2, n_steps, span):
    """The last step that takes at most `span` cycles; -1 if none does."""
    low, high = 0, n_steps
    while low < high:
        middle = (low + high) // 2
        if stair_S2[middle, 0] <= span:
            low = middle + 1
        else:
            high = middle
    return low - 1


@njit(cache=True, nogil=True)
def walk(
    members,
    chips_NK,
    bounds_N3,
    cycles_DL,
    energy_DL,
    first_C,
    limit,
    budget,
    stair_S2,
    n_steps,
    points,
    core_PL,
    counts,
):
    """All points of chips `members` below a staircase, which is updated.

    Args:
        bounds_N3: area, bound on cycles, bound on energy.
        stair_S2: (cycles, energy) of what is known of chips that are no larger.
        points: int64 [P, 3], filled with chip, cycles and energy; core_PL: with the core of each layer.
        counts: [corner, LAGRANGE, SOLVED, OPEN chips, solutions], added to.

    Returns:
        (members done, points, steps): fewer members than given where `points` or `stair_S2` had no more room.
    """
    n_points, n_layers = 0, cycles_DL.shape[1]
    start_L = np.empty(n_layers, np.int64)
    core_L = np.empty(n_layers, np.int64)
    for place in range(len(members)):
        n = members[place]
        if n_points + 4096 > len(points) or n_steps + 4096 > len(stair_S2):
            return place, n_points, n_steps
        _, shortest, least = bounds_N3[n]
        step = step_at(stair_S2, n_steps, shortest)
        if step >= 0 and stair_S2[step, 1] <= least:
            counts[0] += 1
            continue
        cycles_KL, energy_KL = _of_chip(cycles_DL, energy_DL, chips_NK[n])
        n_points, n_steps, kind, n_solved = _walk_one(
            n, cycles_KL, energy_KL, shortest, float(least), first_C, limit, budget, stair_S2, n_steps, points, core_PL,
            n_points, core_L, start_L
        )  # fmt: skip
        counts[1 + kind] += 1
        counts[4] += n_solved
    return len(members), n_points, n_steps


@njit(cache=True, nogil=True)
def _walk_one(
    n,
    cycles_KL,
    energy_KL,
    shortest,
    least,
    first_C,
    limit,
    budget,
    stair_S2,
    n_steps,
    points,
    core_PL,
    n_points,
    core_L,
    start_L,
):
    """The steps of one chip from right to left: least energy below the staircase, then with fewer cycles, and so on."""
    n_sums = len(first_C) - 1 + len(cycles_KL)
    energy_m, time_m = np.zeros(n_sums), np.full(n_sums, 1.0 / n_sums)
    line_at, line = 0, -np.inf  # energy >= line + energy_m.sum() (line_at - cycles)
    kind, n_solved = LAGRANGE, 0
    if len(cycles_KL) > 1:
        shortest = max(shortest, int(np.ceil(time_bound(cycles_KL, first_C, 1e18, time_m) - 1e-3)))
    is_pair = len(cycles_KL) == 2 and len(first_C) <= 3
    empty_to, empty_limit = 0, -1  # up to here there is nothing in the box that ends at `empty_limit`
    while limit >= shortest:
        step = step_at(stair_S2, n_steps, limit)
        most = min(budget, float(stair_S2[step, 1] - 1)) if step >= 0 else budget
        if max(least, line + energy_m.sum() * (line_at - limit)) > most + SLACK:
            if step < 0:
                break
            limit = stair_S2[step, 0] - 1
            continue
        if is_pair:
            line = energy_bound(cycles_KL, energy_KL, first_C, limit, most + SLACK, energy_m)
            line_at = limit
            if line > most + SLACK:
                if step < 0:
                    break
                limit = stair_S2[step, 0] - 1
                continue
            if most - line < GROUP * most:
                done, n_found, limit = _walk_group(
                    n, cycles_KL, energy_KL, shortest, first_C, limit, most, line, budget, stair_S2, n_steps, step,
                    points[n_points:], core_PL[n_points:], energy_m, time_m
                )  # fmt: skip
                n_solved += 1
                kind = SOLVED if kind != OPEN else OPEN
                for place in range(n_found):
                    at = n_points + place
                    n_steps = insert_step(stair_S2, n_steps, points[at, 1], points[at, 2])
                n_points += n_found
                if done:
                    break
                continue
            # Too much room: look for a point halfway to the left, which makes this box a narrow one.
            left = max(shortest, stair_S2[step, 0] if step >= 0 else 0)
            if empty_limit == limit:
                left = max(left, empty_to + 1)
            half = (left + limit) // 2
            if (limit - half) * FINEST > limit:
                what, span, energy, low = cheapest(
                    cycles_KL, energy_KL, first_C, half, most, energy_m.copy(), time_m, core_L, start_L
                )
                n_solved += what != PRUNED
                if energy < np.inf:
                    n_steps = insert_step(stair_S2, n_steps, span, int(energy))
                    points[n_points, 0], points[n_points, 1], points[n_points, 2] = n, span, int(energy)
                    core_PL[n_points] = core_L
                    n_points += 1
                    empty_limit = -1
                    kind = OPEN if what == UNSOLVED or kind == OPEN else SOLVED
                    continue
                if what != UNSOLVED:
                    empty_to, empty_limit = half, limit
                    continue
        what, span, energy, low = cheapest(
            cycles_KL, energy_KL, first_C, limit, most, energy_m, time_m, core_L, start_L
        )
        line_at, line = limit, -np.inf
        if what == PRUNED and len(cycles_KL) > 1:
            line = low
        elif what != PRUNED:
            n_solved += 1
            kind = OPEN if what == UNSOLVED or kind == OPEN else SOLVED
        if energy < np.inf:
            n_steps = insert_step(stair_S2, n_steps, span, int(energy))
            points[n_points, 0], points[n_points, 1], points[n_points, 2] = n, span, int(energy)
            core_PL[n_points] = core_L
            n_points += 1
            limit = span - 1
        elif step < 0:
            break
        else:
            limit = stair_S2[step, 0] - 1
        if len(cycles_KL) == 1:
            break
    return n_points, n_steps, kind, n_solved


@njit(cache=True, nogil=True)
def _walk_group(
    n,
    cycles_KL,
    energy_KL,
    shortest,
    first_C,
    limit,
    most,
    line,
    budget,
    stair_S2,
    n_steps,
    step,
    points,
    core_PL,
    energy_m,
    time_m,
):
    """All points in the boxes from `limit` to the left for which one set of multipliers does.

    A box is what lies below a step: at most `limit` cycles and `most` energy. The line is a lower bound of the energy;
    as long as the boxes' roofs are hardly higher above it than the first one's, one sweep serves them all.
    """
    slope, height, m = energy_m.sum(), most - line, of_two_chains(energy_m)
    slopes = np.array([slope, slope - m[0], slope - m[1], m[2] + m[3]])
    lowered = np.full(4, most + SLACK)
    box_limit, roof, left = limit, most, 0
    while True:
        left = stair_S2[step, 0] if step >= 0 else 0  # of the boxes taken so far
        if step < 0 or left <= shortest:
            break
        box_limit, step = left - 1, step - 1
        box_roof = min(budget, float(stair_S2[step, 1] - 1)) if step >= 0 else budget
        if box_roof - (line + slope * (limit - box_limit)) > WIDER * height:
            break
        roof = max(roof, box_roof)
        for i in range(4):
            lowered[i] = max(lowered[i], box_roof + SLACK - slopes[i] * (limit - box_limit))
    room = 1 << 16
    while True:
        count = solve_all(
            cycles_KL,
            energy_KL,
            first_C[1],
            limit,
            lowered,
            roof + SLACK,
            energy_m,
            time_m,
            new_pool(room),
            points,
            core_PL,
        )
        if count >= 0:
            break
        room *= 8
    n_found = 0
    for place in range(count):
        span, energy = points[place, 0], points[place, 1]
        step = step_at(stair_S2, n_steps, span)
        if span >= left and (step < 0 or stair_S2[step, 1] > energy):
            points[n_found, 2], points[n_found, 1], points[n_found, 0] = energy, span, n
            core_PL[n_found] = core_PL[place]
            n_found += 1
    return left <= shortest, n_found, left - 1


@njit(cache=True, nogil=True)
def merge(stair_S2, n_steps, points):
    """Put the points (chip, cycles, energy) that no step meets or beats into a staircase; returns its length."""
    for place in range(len(points)):
        span, energy = points[place, 1], points[place, 2]
        step = step_at(stair_S2, n_steps, span)
        if step < 0 or stair_S2[step, 1] > energy:
            n_steps = insert_step(stair_S2, n_steps, span, energy)
    return n_steps


@njit(cache=True, nogil=True)
def lasting(points_N3):
    """Which of the (area, cycles, energy), sorted in this order, no earlier one meets or beats."""
    stair_S2 = np.empty((len(points_N3) + 1, 2), np.int64)
    stays = np.zeros(len(points_N3), np.bool_)
    n_steps = 0
    for n in range(len(points_N3)):
        _, span, energy = points_N3[n]
        step = step_at(stair_S2, n_steps, span)
        if step < 0 or stair_S2[step, 1] > energy:
            stays[n] = True
            n_steps = insert_step(stair_S2, n_steps, span, energy)
    return stays


@njit(cache=True, nogil=True)
def widest_gap(stair_S2, n_steps, bounds_N3):
    """The least share q such that each chip's bounds are met, within 1 + q in cycles and in energy, by some step."""
    widest = 0.0
    for n in range(len(bounds_N3)):
        _, span, energy = bounds_N3[n]
        nearest = np.inf
        for step in range(n_steps):
            nearest = min(nearest, max(stair_S2[step, 0] / max(span, 1), stair_S2[step, 1] / max(energy, 1)) - 1)
        widest = max(widest, nearest)
    return widest
