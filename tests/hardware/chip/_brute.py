"""Chips by brute force: every set of cores within the totals, every assignment, every order; no code of archip.

Slow and plain on purpose: it knows no dominance of cores, no bound and no relaxation.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from archip.hardware.chip.space import CoreDesign
from archip.hardware.chip.table import CostTable
from archip.hardware.schedule._label_dp import NEVER


def random_table(rng: np.random.Generator, n_designs: int, sizes: list[int], min_cores: int, cores: int) -> CostTable:
    """Designs with small whole numbers, so that ties abound; some layers do not run on some cores."""
    n_layers = sum(sizes)
    most = int(rng.choice([4, 12, 100]))
    cycles_DL = rng.integers(1, most + 1, (n_designs, n_layers))
    cannot_DL = rng.random((n_designs, n_layers)) < 0.1
    cannot_DL[0] = False
    use_DR = rng.integers(1, 6, (n_designs, 2))
    return CostTable(
        designs=tuple(CoreDesign(f"d{i}", *use_DR[i].tolist()) for i in range(n_designs)),
        use_DR=use_DR,
        totals_R=rng.integers(5, 11, 2),
        min_cores=min_cores,
        cores=cores,
        cycles_DL=np.where(cannot_DL, NEVER, cycles_DL),
        energy_DL=np.where(cannot_DL, 0, rng.integers(1, most + 1, (n_designs, n_layers))),
        area_D=rng.integers(1, 8, n_designs),
        first_C=np.cumsum([0, *sizes]),
        layers=tuple(f"l{i}" for i in range(n_layers)),
    )


def chips(table: CostTable) -> list[tuple[int, ...]]:
    """Every chip of the space."""
    found = []
    for n in range(table.min_cores, table.cores + 1):
        for cores in combinations_with_replacement(range(len(table.designs)), n):
            if (table.use_DR[list(cores)].sum(axis=0) <= table.totals_R).all():
                found.append(cores)
    return found


def outcomes(cycles_KL: list[list[int]], energy_KL: list[list[int]], first: list[int]) -> set[tuple[int, int]]:
    """(makespan, energy) of every assignment in every order, each layer begun as early as its chain and core allow."""
    n_cores, n_chains = len(cycles_KL), len(first) - 1
    ends, seen = set(), set()
    stack = [(tuple(first[:-1]), (0,) * n_chains, (0,) * n_cores, 0)]
    while stack:
        state = stack.pop()
        if state in seen:
            continue
        seen.add(state)
        at, ready, free, energy = state
        if all(at[c] == first[c + 1] for c in range(n_chains)):
            ends.add((max(free), energy))
            continue
        for c in range(n_chains):
            if at[c] < first[c + 1]:
                for k in range(n_cores):
                    if cycles_KL[k][at[c]] < NEVER:
                        end = max(ready[c], free[k]) + cycles_KL[k][at[c]]
                        spent = energy + energy_KL[k][at[c]]
                        stack.append(
                            (replaced(at, c, at[c] + 1), replaced(ready, c, end), replaced(free, k, end), spent)
                        )
    return ends


def replaced(values: tuple[int, ...], i: int, value: int) -> tuple[int, ...]:
    return (*values[:i], value, *values[i + 1 :])


def all_points(table: CostTable) -> set[tuple[int, int, int]]:
    """(cycles, energy, area) of every schedule of every chip."""
    points = set()
    for cores in chips(table):
        rows = list(cores)
        ends = outcomes(table.cycles_DL[rows].tolist(), table.energy_DL[rows].tolist(), table.first_C.tolist())
        area = int(table.area_D[rows].sum())
        points |= {(span, energy, area) for span, energy in ends}
    return points


def front(points: set[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
    """Those that no other one meets or beats."""
    return {p for p in points if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)}
