"""Joint bench: co-search methods on a table and a space of chips whose exact front is known.

A candidate is a network of the table on a chip. What it costs follows from prices of layers and is free, though
counted; an *evaluation* is a look at the accuracy of a network that was not looked at before, which is what training
would be. Networks whose chip breaks a limit are not looked at. Schedules are exact: the least energy within the limit
on latency, the least latency where there is none.

Legend: K seeds, Q evaluations, D core designs, L distinct layers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from archip.core import registry
from archip.core.candidate import Candidate
from archip.core.objectives import Goals
from archip.core.problem import Plug
from archip.core.record import Record, Status
from archip.core.rng import generator
from archip.hardware.chip.space import ChipSpec
from archip.hardware.schedule._label_dp import NEVER
from archip.search._joint_kernels import assign, chips_of
from archip.search.joint import lasting_cores, merged, swept
from archip.search.joint_front import volume
from archip.search.joint_table import Prices, Profiles, prices_of, profiles_of
from archip.spaces.chip import Chip, Core
from archip.spaces.product import ProductSpace
from archip.spaces.tabular import Tabular

__all__ = ["JointBench", "Trace", "search_joint"]

TASK = "table"
_MOST_NODES = 1 << 22
_METRICS = ("latency_cycles", "energy_j", "area_mm2")


class _Costs(NamedTuple):
    """What one profile costs: its layers on every core design, and the areas."""

    cycles_DL: np.ndarray
    energy_DL: np.ndarray
    count_L: np.ndarray
    area_D: np.ndarray


@dataclass(frozen=True, eq=False)
class JointBench:
    """A table, chips and goals: objectives and limits on ``latency_cycles``, ``energy_j`` and ``area_mm2``."""

    table: Tabular
    search: str
    spec: ChipSpec
    goals: Goals

    def with_goals(self, goals: Goals) -> JointBench:
        """The same table and chips with other goals; what is known of the networks is shared."""
        other = replace(self, goals=goals)
        vars(other).update(profiles=self.profiles, prices=self.prices, _layers=self._layers)
        return other

    @cached_property
    def profiles(self) -> Profiles:
        return profiles_of(self.table, self.search)

    @cached_property
    def prices(self) -> Prices:
        return prices_of(self.profiles.layers, self.spec)

    @cached_property
    def score_M(self) -> np.ndarray:
        """The metric that counts, by row of the table."""
        return self.table.rows.metric(self.table.rows.search(self.search)[1].test[0])

    @cached_property
    def chips(self) -> Chip:
        spec = self.spec
        return Chip(spec.cores, spec.min_cores, spec.dataflows, spec.pes, spec.bandwidth, spec.clock)

    @cached_property
    def space(self) -> ProductSpace:
        parts = {f"net.{TASK}": self.table, "hw": self.chips}
        return ProductSpace(parts, self.best_chip, lambda some: [self.costs(c) for c in some])

    @cached_property
    def limit(self) -> int | None:
        """Most cycles; None without a limit."""
        return min((int(x.bound) for x in self.goals.limits if x.metric == "latency_cycles"), default=None)

    def row(self, candidate: Candidate) -> int:
        return self.table.row(candidate.net[TASK])  # pyright: ignore[reportArgumentType]

    def designs(self, candidate: Candidate) -> tuple[int, int]:
        """Numbers of the chip's core designs in the spec; -1 absent."""
        cores = self.chips.design(candidate.hw)  # pyright: ignore[reportArgumentType]
        found = [self._place[core.dataflow, core.pes, core.bandwidth] for core in cores]
        return found[0], found[1] if len(found) > 1 else -1

    @cached_property
    def _place(self) -> dict[tuple[str, int, int], int]:
        return {(d.dataflow, d.pes, d.bandwidth): i for i, d in enumerate(self.spec.designs)}

    @cached_property
    def _known(self) -> dict[Any, Any]:
        """The best chips, by profile, limits and what is least."""
        return {}

    @cached_property
    def _layers(self) -> dict[Any, Any]:
        """What does not depend on goals: costs by profile, and by the layers that there are the cores that matter."""
        return {}

    def of_profile(self, profile: int) -> _Costs:
        if profile not in self._layers:
            count_L = self.profiles.counts_NL[profile]
            on, prices = count_L > 0, self.prices
            cycles_DL, energy_DL = (
                np.ascontiguousarray(prices.cycles_DL[:, on]),
                np.ascontiguousarray(prices.energy_DL[:, on]),
            )
            self._layers[profile] = _Costs(cycles_DL, energy_DL, count_L[on], prices.area_D(count_L))
        return self._layers[profile]

    def costs(self, candidate: Candidate) -> dict[str, float]:
        """Latency, energy and area; nothing where a layer runs on no core of the chip."""
        return self._costs(self.profiles.profile_of[self.row(candidate)], *self.designs(candidate))

    def _costs(self, profile: int, a: int, b: int) -> dict[str, float]:
        of = self.of_profile(profile)
        limit = 0 if self.limit is None else self.limit
        span, energy, _ = assign(
            a, b, of.cycles_DL, of.energy_DL, of.count_L, limit, _MOST_NODES, np.empty_like(of.count_L)
        )
        if span >= NEVER:
            return {}
        area = of.area_D[a] + (of.area_D[b] if b >= 0 else 0)
        values = (float(span), float(energy) * self.prices.energy_unit_j, float(area) / 1e6)
        return dict(zip(_METRICS, values, strict=True))

    def best_chip(self, networks: Candidate, goals: Goals, least: str) -> Candidate:
        """The networks with their best chip within the limits, exactly; else with one that comes near."""
        key = (self.profiles.profile_of[self.row(networks)], str(goals.limits), least)
        if key not in self._known:
            self._known[key] = self._designed(key[0], least)
        return Candidate(networks.net, self._known[key], networks.compress)

    def _designed(self, profile: int, least: str) -> dict[str, Any]:
        of, spec, use_DR = self.of_profile(profile), self.spec, self.prices.use_DR
        key = (self.profiles.counts_NL[profile] > 0).tobytes()  # the numbers of layers do not matter here
        if key not in self._layers:
            self._layers[key] = lasting_cores(of.cycles_DL, of.energy_DL, of.area_D, use_DR)
        cores = self._layers[key]
        chips = chips_of(
            of.cycles_DL[cores], of.energy_DL[cores], of.area_D[cores], use_DR[cores], spec.totals_R, of.count_L,
            spec.min_cores, spec.cores,
        )  # fmt: skip
        column = {"area": 2, "latency": 3, "energy": 4}[least]
        metric = {"area": "area_mm2", "latency": "latency_cycles", "energy": "energy_j"}[least]
        best: tuple[tuple[float, float], np.ndarray] | None = None
        unit = {"area": 1e-6, "latency": 1.0, "energy": self.prices.energy_unit_j}[least]
        least_N = self._violations(chips)
        for n in np.lexsort((*chips.T[2:], chips[:, column], least_N)).tolist():  # the most promising first
            chip = chips[n]
            if best is not None and (least_N[n], chip[column] * unit) >= best[0]:
                if least_N[n] > best[0][0] or best[0][0] == 0.0:
                    break
                continue
            found = self._costs(profile, int(cores[chip[0]]), int(cores[chip[1]]) if chip[1] >= 0 else -1)
            rank = (self.goals.violation(found), found[metric])
            if best is None or rank < best[0]:
                best = (rank, chip)
        assert best is not None, "a space of chips has one that runs the layers"
        designs = [self.spec.designs[cores[i]] for i in best[1][:2] if i >= 0]
        return self.chips.genotype([Core(d.dataflow, d.pes, d.bandwidth) for d in designs])

    def _violations(self, chips_N5: np.ndarray) -> np.ndarray:
        """Least violation of each chip, by its area, least cycles and least energy."""
        units = (1.0, self.prices.energy_unit_j)
        values = dict(zip(_METRICS, (*(chips_N5[:, 3:] * units).T, chips_N5[:, 2] / 1e6), strict=True))
        total_N = np.zeros(len(chips_N5))
        for limit in self.goals.limits:
            if limit.metric in values:
                total_N += np.maximum(0.0, (values[limit.metric] - limit.bound) / limit.bound)
        return total_N

    def volume(self, visited: dict[int, tuple[float, set[tuple[int, int]]]], reference_4: np.ndarray) -> float:
        """Volume that visited (profile → accuracy of its best network, its chips) dominate, with all schedules."""
        known, found = np.zeros((0, 3), np.int64), [np.zeros((0, 4))]
        for profile, (score, pairs) in sorted(visited.items(), key=lambda item: -item[1][0]):
            of = self.of_profile(profile)
            chips = _bounded(of, np.array(sorted(pairs)))
            points = swept(chips, of.cycles_DL, of.energy_DL, of.count_L, known, 0.0, np.zeros(4, np.int64))
            known = merged(known, points[:, [2, 0, 1]])
            found.append(np.column_stack([np.full(len(points), score), points[:, :3]]))
        return volume(np.concatenate(found), reference_4)


def _bounded(of: _Costs, pairs_N2: np.ndarray) -> np.ndarray:
    """[N, 5] chips with area, least cycles, least energy, as `chips_of` has them; without those that cannot run."""
    a, b = pairs_N2.T
    has_b = (b >= 0)[:, None]
    cycles = np.where(has_b, np.minimum(of.cycles_DL[a], of.cycles_DL[b]), of.cycles_DL[a])
    price_DL = np.where(of.cycles_DL < NEVER, of.energy_DL, np.iinfo(np.int64).max)
    energy = np.where(has_b, np.minimum(price_DL[a], price_DL[b]), price_DL[a])
    can = (cycles < NEVER).all(axis=1)
    area = of.area_D[a] + np.where(b >= 0, of.area_D[b], 0)
    columns = (a[can], b[can], area[can], cycles[can] @ of.count_L, energy[can] @ of.count_L)
    return np.column_stack(columns)


@dataclass
class Trace:
    """One search.

    Attributes:
        best_Q: the best accuracy within the limits after each evaluation; NaN before there is one.
        n_candidates_Q: candidates priced up to each evaluation.
        volumes: evaluations → volume, at those that were asked for.
        n_candidates: priced in all. seconds: of the processor, in all; strategy_s: within the strategy.
    """

    best_Q: list[float] = field(default_factory=list)
    n_candidates_Q: list[int] = field(default_factory=list)
    volumes: dict[int, float] = field(default_factory=dict)
    n_candidates: int = 0
    seconds: float = 0.0
    strategy_s: float = 0.0


def search_joint(
    bench: JointBench,
    plug: Plug,
    seed: int,
    budget: int,
    most_candidates: int,
    batch: int = 11,
    volumes_at: Sequence[int] = (),
    reference_4: np.ndarray | None = None,
) -> Trace:
    """One search of one strategy, until `budget` networks were looked at or `most_candidates` priced."""
    strategy = registry.create("strategies", plug.name, plug.options)
    strategy.start(bench.space, bench.goals)
    trace, began = Trace(), time.process_time()
    looked: dict[int, float] = {}
    visited: dict[int, tuple[float, set[tuple[int, int]]]] = {}
    best, ask_number = np.nan, 0
    while len(looked) < budget and trace.n_candidates < most_candidates:
        entered = time.process_time()
        asked = strategy.ask(min(batch, budget - len(looked)), generator(seed, "ask", ask_number))
        trace.strategy_s += time.process_time() - entered
        records = []
        for candidate in asked:
            row, metrics = bench.row(candidate), bench.costs(candidate)
            trace.n_candidates += 1
            if not metrics or bench.goals.violation(metrics) > 0:
                status = Status.INFEASIBLE if metrics else Status.FAILED
                records.append(Record(candidate, metrics, status, "" if metrics else "a layer runs on no core"))
                continue
            score = float(bench.score_M[row])
            best = float(np.fmax(best, score))
            is_new, looked[row] = row not in looked, score
            profile = bench.profiles.profile_of[row]
            most, pairs = visited.get(profile, (score, set()))
            pairs.add(bench.designs(candidate))
            visited[profile] = (max(most, score), pairs)
            if is_new:
                trace.best_Q.append(best)
                trace.n_candidates_Q.append(trace.n_candidates)
            elif trace.best_Q:
                trace.best_Q[-1] = best
            if reference_4 is not None and is_new and len(looked) in volumes_at:
                trace.volumes[len(looked)] = bench.volume(visited, reference_4)
            records.append(Record(candidate, metrics | {"quality": score}))
        if not asked:
            break
        entered = time.process_time()
        strategy.tell(records)
        trace.strategy_s += time.process_time() - entered
        ask_number += 1
    trace.seconds = time.process_time() - began
    return trace
