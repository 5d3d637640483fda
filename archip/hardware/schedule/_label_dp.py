"""Two chains on two cores, exactly: labels over the number of begun layers, pruned by two relaxations.

A label stands for the layers begun so far: one chain is busy until `late` on the core `held`, the other one (with the
other core) is free at `early`. The chain that is free first begins its next layer on the other core at once, or on the
held core as soon as that is free, or waits until `late` and lets the other chain move first. Every schedule in which
no layer can begin earlier is made of such moves, so nothing is lost. A label goes if another one of the same layers,
later chain and held core is at least as good in `early`, `late` and energy, or if a relaxation shows that it cannot be
finished within limit and budget.

Relaxation: the layers of a chain, and the layers on a core, take at most `limit` cycles together. With a multiplier
m >= 0 for each of these sums, the sum over layers of min over cores of e + (m_chain + m_core) t, less limit x the sum
of the multipliers, is at most the least energy. With e = 0 it bounds the makespan.

Axes: L layers (chain 0 first), K cores, C chains. Energies are floats; whole ones up to 2^53 stay exact. A core that
cannot run a layer has NEVER cycles.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["NEVER", "Pool", "energy_bound", "new_pool", "of_two_chains", "solve", "solve_all", "time_bound"]

NEVER = 1 << 40  # cycles of a layer that the core cannot run; more than any limit
_STEPS = 60  # of the subgradient methods
_TIGHT_CYCLES = 1e-3  # rounding of the bound on the makespan

Pool = tuple[np.ndarray, np.ndarray, np.ndarray]


@njit(cache=True, nogil=True)
def new_pool(n_labels):
    """Room for labels: energy [n]; early, late and start of the last layer [n, 3]; parent, next of its node, move."""
    return np.empty(n_labels), np.empty((n_labels, 3), np.int64), np.empty((n_labels, 3), np.int32)


@njit(cache=True, nogil=True)
def energy_bound(cycles_KL, energy_KL, first_C, limit, enough, multipliers):
    """A lower bound on the energy within `limit` by subgradient steps, stopped once it exceeds `enough`.

    `multipliers` [C + K] (chains, then cores) are where it begins and the best when it ends. Source: Polyak 1969 for
    the step, (target - value) / |g|^2, here shortened by half after four steps without progress.
    """
    n_cores, n_chains = len(cycles_KL), len(first_C) - 1
    m, g = multipliers.copy(), np.empty(n_chains + n_cores)
    best, shorten, n_idle = -np.inf, 1.0, 0
    for _ in range(_STEPS):
        value = _relaxed_energy(cycles_KL, energy_KL, first_C, limit, m, g)
        if value > best:
            n_idle = 0 if value > best + 1e-4 * abs(enough - best) else n_idle + 1
            best = value
            multipliers[:] = m
        else:
            n_idle += 1
        if n_idle >= 4:
            shorten, n_idle = shorten / 2, 0
            m[:] = multipliers
            value = _relaxed_energy(cycles_KL, energy_KL, first_C, limit, m, g)
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
def _relaxed_energy(cycles_KL, energy_KL, first_C, limit, m, g):
    """Value of the relaxation at multipliers `m`; fills its subgradient `g`."""
    n_cores, n_chains = len(cycles_KL), len(first_C) - 1
    g[:] = -float(limit)
    value = -limit * m.sum()
    for c in range(n_chains):
        for layer in range(first_C[c], first_C[c + 1]):
            core, least = 0, np.inf
            for k in range(n_cores):
                price = energy_KL[k, layer] + (m[c] + m[n_chains + k]) * cycles_KL[k, layer]
                if price < least:
                    core, least = k, price
            value += least
            g[c] += cycles_KL[core, layer]
            g[n_chains + core] += cycles_KL[core, layer]
    return value


@njit(cache=True, nogil=True)
def time_bound(cycles_KL, first_C, enough, multipliers):
    """A lower bound on the makespan by subgradient steps, stopped once it exceeds `enough`.

    `multipliers` [C + K], which add up to 1, are where it begins and the best when it ends. The steps aim at a level
    above the best value; the level comes down by half after two steps without progress.
    """
    n_cores, n_chains = len(cycles_KL), len(first_C) - 1
    m, g = multipliers.copy(), np.empty(n_chains + n_cores)
    best, above, n_idle = -np.inf, np.inf, 0
    for _ in range(_STEPS):
        value = _relaxed_time(cycles_KL, first_C, m, g)
        above = min(above, g.max() - value)  # the longest sum of this assignment is at least the bound sought
        if value > best:
            n_idle = 0 if value > best + 0.1 * above else n_idle + 1
            best = value
            multipliers[:] = m
        else:
            n_idle += 1
        if best > enough or above < 1e-4 * best:
            break
        if n_idle >= 2:
            above, n_idle = above / 2, 0
            m[:] = multipliers
            value = _relaxed_time(cycles_KL, first_C, m, g)
        norm = _project(m, g)
        if norm == 0.0:
            break
        step = (best + above - value) / norm
        for i in range(len(g)):
            m[i] = max(0.0, m[i] + step * g[i])
        m /= m.sum()
    return best


@njit(cache=True, nogil=True)
def _project(m, g):
    """Make `g` a direction that keeps the sum of `m` and leaves no multiplier below 0; returns |g|^2."""
    mean, n = g.mean(), len(g)
    for _ in range(len(g)):
        n_free, total = 0, 0.0
        for i in range(len(g)):
            if m[i] > 0.0 or g[i] > mean:
                n_free += 1
                total += g[i]
        mean = total / n_free
        if n_free == n:
            break
        n = n_free
    norm = 0.0
    for i in range(len(g)):
        g[i] = g[i] - mean if m[i] > 0.0 or g[i] > mean else 0.0
        norm += g[i] * g[i]
    return norm


@njit(cache=True, nogil=True)
def _relaxed_time(cycles_KL, first_C, m, g):
    """Sum of the layers' least weighted cycles at weights `m`; fills its subgradient `g`."""
    n_cores, n_chains = len(cycles_KL), len(first_C) - 1
    g[:] = 0.0
    value = 0.0
    for c in range(n_chains):
        for layer in range(first_C[c], first_C[c + 1]):
            core, least = 0, np.inf
            for k in range(n_cores):
                price = (m[c] + m[n_chains + k]) * cycles_KL[k, layer]
                if price < least or (price == least and cycles_KL[k, layer] < cycles_KL[core, layer]):
                    core, least = k, price
            value += least
            g[c] += cycles_KL[core, layer]
            g[n_chains + core] += cycles_KL[core, layer]
    return value


@njit(cache=True, nogil=True)
def solve(cycles_KL, energy_KL, n_first, limit, budget, for_time, beam, energy_m, time_m, pool, core_L, start_L):
    """The schedule of least energy within `limit` cycles, of equal ones the shortest; or the other way round.

    Args:
        cycles_KL, energy_KL: of two cores.
        n_first: layers of the first chain; the others are the second, which may be empty.
        limit: most cycles.
        budget: most energy.
        for_time: the shortest schedule within budget, of equal ones that of least energy.
        beam: labels kept for each number of begun layers, later chain and held core; 0 keeps all that matter.
        energy_m, time_m: [4] multipliers of `energy_bound` and `time_bound`, [3] where there is one chain.
        pool: of `new_pool`.
        core_L, start_L: filled with the answer if there is one.

    Returns:
        (status, makespan, energy, exact): status 1 found, 0 none, -1 the pool is too small; exact is False where the
        beam left out labels.
    """
    status, end, exact = _sweep(
        cycles_KL, energy_KL, n_first, limit, np.full(4, budget), budget, for_time, beam, energy_m, time_m, pool
    )
    energies, times, links = pool
    best = _best_end(energies, times, links, end, for_time)
    if status < 0 or best < 0:
        return status, 0, 0.0, exact
    _trace(links, best, np.array([n_first, cycles_KL.shape[1]]), times, core_L, start_L)
    return 1, times[best, 1], energies[best], exact


@njit(cache=True, nogil=True)
def solve_all(cycles_KL, energy_KL, n_first, limit, lowered, budget, energy_m, time_m, pool, points, core_PL):
    """All (makespan, energy) below a line that no other schedule meets or beats.

    Args:
        limit, budget: most cycles and energy of any of them.
        lowered: [4] what the energy bound of a label, taken at `limit`, must not exceed; by first chain done? + 2 x
            second chain done?. A point (t, e) is found if e - (multipliers of the cores and of the chains not done) x
            (limit - t) is within all four, for then the bounds of its labels are.
        points: [P, 2] filled with cycles and energy, cycles falling; core_PL: with the core of each layer.

    Returns:
        Number of points; -1 where pool or `points` are too small.
    """
    status, end, _ = _sweep(cycles_KL, energy_KL, n_first, limit, lowered, budget, False, 0, energy_m, time_m, pool)
    energies, times, links = pool
    count, label = 0, end
    while label >= 0:
        count += 1
        label = links[label, 1]
    if status < 0 or count > len(points):
        return -1
    order, steps = np.empty(count + 1, np.int32), np.empty((count + 1, 2), np.int64)
    label = end
    for place in range(count):
        order[place] = label
        label = links[label, 1]
    count = _undominated(energies, times, order, count, steps)
    start_L = np.empty(cycles_KL.shape[1], np.int64)
    n = 0
    for place in range(count):
        label = order[place]
        if place + 1 < count and energies[order[place + 1]] == energies[label]:
            continue  # the next one is shorter
        points[n, 0], points[n, 1] = times[label, 1], int(energies[label])
        _trace(links, label, np.array([n_first, cycles_KL.shape[1]]), times, core_PL[n], start_L)
        n += 1
    return n


@njit(cache=True, nogil=True)
def of_two_chains(multipliers):
    """Multipliers of two chains, then two cores; of one chain, the second is empty and its multiplier 0."""
    if len(multipliers) == 4:
        return multipliers
    return np.array([multipliers[0], 0.0, multipliers[1], multipliers[2]])


@njit(cache=True, nogil=True)
def _sweep(cycles_KL, energy_KL, n_first, limit, lowered, budget, for_time, beam, energy_m, time_m, pool):
    """Make all labels: (status, list of the labels at the end, exact); see `solve` and `solve_all`."""
    n_layers = cycles_KL.shape[1]
    n_second = n_layers - n_first
    energies, times, links = pool
    energy_m, time_m = of_two_chains(energy_m), of_two_chains(time_m)
    rest_e, rest_t, rest_c = _rests(cycles_KL, energy_KL, n_first, energy_m, time_m)
    bounds = (limit, lowered, budget, energy_m, time_m, rest_e, rest_t, rest_c, n_first, n_second)
    head = np.full((2, 4 * (n_first + 1)), -1, np.int32)
    n = _push(pool, 0, bounds, head[0], 0, 0, 0, 0, 0, 0, 0.0, -1, -1, 0)
    order = np.empty(64, np.int32)
    steps = np.empty((64, 2), np.int64)
    exact = True
    for begun in range(n_layers):
        now, then = head[begun % 2], head[(begun + 1) % 2]
        then[:] = -1
        for i in range(max(0, begun - n_second), min(n_first, begun) + 1):
            j = begun - i
            for later in range(2):
                for held in range(2):
                    label = now[4 * i + 2 * later + held]
                    if label < 0:
                        continue
                    count = 0
                    while label >= 0:
                        if count == len(order):
                            order = np.concatenate((order, np.empty_like(order)))
                            steps = np.empty((len(order), 2), np.int64)
                        order[count] = label
                        count += 1
                        label = links[label, 1]
                    count = _undominated(energies, times, order, count, steps)
                    if 0 < beam < count:
                        count = _best(energies, times, order, count, beam, bounds, i, j, later, held, for_time)
                        exact = False
                    if n + 4 * count > len(energies):
                        return -1, -1, False
                    for place in range(count):
                        n = _expand(pool, n, bounds, then, cycles_KL, energy_KL, i, j, later, held, order[place])
    return 0, head[n_layers % 2, 4 * n_first], exact


@njit(cache=True, nogil=True)
def _rests(cycles_KL, energy_KL, n_first, energy_m, time_m):
    """Of the layers from each place to the end of their chain: relaxed energy, relaxed cycles, least cycles; [C, n]."""
    n_layers = cycles_KL.shape[1]
    n_most = max(n_first, n_layers - n_first) + 1
    rest_e, rest_t = np.zeros((2, n_most)), np.zeros((2, n_most))
    rest_c = np.zeros((2, n_most), np.int64)
    for c in range(2):
        begin, end = (0, n_first) if c == 0 else (n_first, n_layers)
        for layer in range(end - 1, begin - 1, -1):
            place = layer - begin
            a, b = cycles_KL[0, layer], cycles_KL[1, layer]
            e_a = energy_KL[0, layer] + (energy_m[c] + energy_m[2]) * a
            e_b = energy_KL[1, layer] + (energy_m[c] + energy_m[3]) * b
            rest_e[c, place] = rest_e[c, place + 1] + min(e_a, e_b)
            rest_t[c, place] = rest_t[c, place + 1] + min((time_m[c] + time_m[2]) * a, (time_m[c] + time_m[3]) * b)
            rest_c[c, place] = rest_c[c, place + 1] + min(a, b)
    return rest_e, rest_t, rest_c


@njit(cache=True, nogil=True)
def _lower(bounds, i, j, later, held, early, late, energy):
    """(energy bound, excess of the bound on cycles over the limit) of a label."""
    limit, _, _, energy_m, time_m, rest_e, rest_t, _, n_first, n_second = bounds
    wide, narrow = float(limit - early), float(limit - late)
    by_energy = energy + rest_e[0, i] + rest_e[1, j] - energy_m[2 + held] * narrow - energy_m[3 - held] * wide
    by_time = rest_t[0, i] + rest_t[1, j] - time_m[2 + held] * narrow - time_m[3 - held] * wide
    if i < n_first:
        left = narrow if later == 0 else wide
        by_energy -= energy_m[0] * left
        by_time -= time_m[0] * left
    if j < n_second:
        left = narrow if later == 1 else wide
        by_energy -= energy_m[1] * left
        by_time -= time_m[1] * left
    return by_energy, by_time


@njit(cache=True, nogil=True)
def _push(pool, n, bounds, heads, i, j, later, held, early, late, energy, parent, move, start):
    """Add a label unless it cannot be finished; returns the number of labels."""
    limit, lowered, budget, _, _, _, _, rest_c, n_first, n_second = bounds
    first_done, second_done = i == n_first, j == n_second
    if first_done or second_done:  # a plain chain: forms that mean the same become one
        alone = 1 if first_done else 0
        if first_done and second_done:
            early, held, later = late, 0, 0
        elif later == alone:
            early, held = late, 0
    ready_0, ready_1 = (late, early) if later == 0 else (early, late)
    if late > limit or ready_0 + rest_c[0, i] > limit or ready_1 + rest_c[1, j] > limit:
        return n
    by_energy, by_time = _lower(bounds, i, j, later, held, early, late, energy)
    if energy > budget or by_energy > lowered[first_done + 2 * second_done] or by_time > _TIGHT_CYCLES:
        return n
    energies, times, links = pool
    place = 4 * i + 2 * later + held
    energies[n] = energy
    times[n, 0], times[n, 1], times[n, 2] = early, late, start
    links[n, 0], links[n, 1], links[n, 2] = parent, heads[place], move
    heads[place] = n
    return n + 1


@njit(cache=True, nogil=True)
def _expand(pool, n, bounds, heads, cycles_KL, energy_KL, i, j, later, held, label):
    """Push what may follow a label; a move is 2 x chain + core."""
    energies, times, _ = pool
    n_first, n_second = bounds[8], bounds[9]
    energy, early, late = energies[label], times[label, 0], times[label, 1]
    soon, other = 1 - later, 1 - held
    if (i < n_first) if soon == 0 else (j < n_second):  # the chain that is free first
        layer = i if soon == 0 else n_first + j
        i_then, j_then = (i + 1, j) if soon == 0 else (i, j + 1)
        end = early + cycles_KL[other, layer]
        spent = energy + energy_KL[other, layer]
        if end <= late:
            n = _push(pool, n, bounds, heads, i_then, j_then, later, held, end, late, spent, label, 2 * soon + other,
                      early)  # fmt: skip
        else:
            n = _push(pool, n, bounds, heads, i_then, j_then, soon, other, late, end, spent, label, 2 * soon + other,
                      early)  # fmt: skip
        end = late + cycles_KL[held, layer]
        spent = energy + energy_KL[held, layer]
        n = _push(pool, n, bounds, heads, i_then, j_then, soon, held, late, end, spent, label, 2 * soon + held, late)
    if (i < n_first) if later == 0 else (j < n_second):  # the other one moves first
        layer = i if later == 0 else n_first + j
        i_then, j_then = (i + 1, j) if later == 0 else (i, j + 1)
        for core in range(2):
            end = late + cycles_KL[core, layer]
            spent = energy + energy_KL[core, layer]
            n = _push(pool, n, bounds, heads, i_then, j_then, later, core, late, end, spent, label, 2 * later + core,
                      late)  # fmt: skip
    return n


@njit(cache=True, nogil=True)
def _undominated(energies, times, order, count, steps):
    """Keep the labels that no other one meets or beats in energy, early and late; returns how many, in `order`.

    In the order of energy, `steps` holds the (early, late) that no cheaper label beats: early rising, late falling.
    """
    if count == 1:
        return 1
    _sort_by_energy(energies, order, count)
    n_kept, n_steps = 0, 0
    for place in range(count):
        label = order[place]
        early, late = times[label, 0], times[label, 1]
        low, high = 0, n_steps  # the first step with a later `early`
        while low < high:
            middle = (low + high) // 2
            if steps[middle, 0] <= early:
                low = middle + 1
            else:
                high = middle
        if low > 0 and steps[low - 1, 1] <= late:
            continue
        first = low - 1 if low > 0 and steps[low - 1, 0] == early else low
        last = first
        while last < n_steps and steps[last, 1] >= late:
            last += 1
        if last == first:
            for s in range(n_steps, first, -1):
                steps[s, 0], steps[s, 1] = steps[s - 1, 0], steps[s - 1, 1]
        elif last > first + 1:
            for s in range(last, n_steps):
                steps[first + 1 + s - last, 0], steps[first + 1 + s - last, 1] = steps[s, 0], steps[s, 1]
        n_steps += 1 - (last - first)
        steps[first, 0], steps[first, 1] = early, late
        order[n_kept] = label
        n_kept += 1
    return n_kept


@njit(cache=True, nogil=True)
def _sort_by_energy(energies, order, count):
    if count > 24:
        sorted_ = np.argsort(energies[order[:count]], kind="mergesort")
        order[:count] = order[:count][sorted_]
        return
    for place in range(1, count):
        label = order[place]
        at = place
        while at > 0 and energies[order[at - 1]] > energies[label]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = label


@njit(cache=True, nogil=True)
def _best(energies, times, order, count, beam, bounds, i, j, later, held, for_time):
    """Keep the `beam` labels of least bound; returns their number."""
    keys = np.empty(count)
    for place in range(count):
        label = order[place]
        by_energy, by_time = _lower(bounds, i, j, later, held, times[label, 0], times[label, 1], energies[label])
        keys[place] = by_time if for_time else by_energy
    order[:beam] = order[:count][np.argsort(keys)[:beam]]
    return beam


@njit(cache=True, nogil=True)
def _best_end(energies, times, links, label, for_time):
    """The best of the labels at which all layers are done; -1 if there is none."""
    best = -1
    while label >= 0:
        if best < 0:
            best = label
        else:
            saves = energies[label] - energies[best]
            gains = times[label, 1] - times[best, 1]
            if (gains < 0 or (gains == 0 and saves < 0)) if for_time else (saves < 0 or (saves == 0 and gains < 0)):
                best = label
        label = links[label, 1]
    return best


@njit(cache=True, nogil=True)
def _trace(links, label, left, times, core_L, start_L):
    """Write the schedule that led to a label; `left` [C] is the end of each chain."""
    while links[label, 0] >= 0:
        chain, core = divmod(links[label, 2], 2)
        left[chain] -= 1
        core_L[left[chain]], start_L[left[chain]] = core, times[label, 2]
        label = links[label, 0]
