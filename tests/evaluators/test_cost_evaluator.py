"""The cost evaluator: against layer costs added up by hand, brute-force schedules, and one candidate at a time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from archip.core import registry
from archip.core.candidate import Candidate, canonical_json
from archip.core.errors import CandidateError, UserError
from archip.core.knobs import IntRange, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.protocols import RunContext, Task
from archip.core.record import Status
from archip.evaluators import cost
from archip.evaluators.cost import plan
from archip.hardware.cost import layer_costs
from archip.hardware.schedule._jobs import list_schedule, make_jobs
from archip.ir.graph import GraphBuilder
from archip.ir.workload import workload
from archip.spaces.product import ProductSpace


@dataclass(frozen=True)
class Convolutions(KnobSpace):
    """Vector rows first and last, and two convolutions in between; width 9 cannot be built."""

    axes: ClassVar[str] = "NCHW"
    task: ClassVar[str] = "classification"
    kernel: int = 3

    @property
    def knobs(self):
        return {"width": IntRange(4, 9)}

    def graph(self, genotype, input_shape, n_outputs):
        if genotype["width"] == 9:
            raise CandidateError("nine is too wide")
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), "NCHW")
        x = g.add("avg_pool", x, name="shrink", kernel=(2, 2))
        x = g.add("conv", x, name="one", out_channels=genotype["width"], kernel=(self.kernel,) * 2, padding=(1, 1))
        x = g.add("relu", x, name="one.relu")
        x = g.add("max_pool", x, name="one.pool", kernel=(2, 2))
        x = g.add("conv", x, name="two", out_channels=16, kernel=(3, 3), padding=(1, 1), bias=False)
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


DATA = {
    "a": SimpleNamespace(input_shape=(3, 32, 32), n_outputs=10),
    "b": SimpleNamespace(input_shape=(1, 16, 16), n_outputs=4),
}
CHIP = {"cores": 2, "pes": {"total": 256, "step": 32}, "bandwidth": {"total": "16 GB/s", "step": "4 GB/s"}}


def make_run(*limits: Limit, chip=CHIP, tasks="ab") -> RunContext:
    target = None if chip is None else registry.create("spaces", "chip", chip)
    made = tuple(Task(t, Convolutions(), lambda t=t: DATA[t], "accuracy", 0.5) for t in tasks)
    return RunContext(made, target, Goals((Objective("quality", 1),), limits), 0, Path())


def space_of(run: RunContext) -> ProductSpace:
    hardware = {} if run.target is None else {"hw": run.target}
    return ProductSpace({f"net.{task.name}": task.space for task in run.tasks} | hardware)


def candidates(run: RunContext, n: int, seed: int = 0) -> list[Candidate]:
    """Candidates that can be built."""
    rng, space = np.random.default_rng(seed), space_of(run)
    drawn = (space.sample(rng) for _ in itertools.count())
    return list(itertools.islice((c for c in drawn if all(g["width"] < 9 for g in c.net.values())), n))


def stage_of(run: RunContext, **options):
    (stage,) = registry.create("evaluators", "cost", options).stages(run)
    return stage


def test_without_a_target_only_sizes_are_counted():
    run = make_run(chip=None, tasks="a")
    stage = stage_of(run)
    (outcome,) = stage.evaluate([Candidate({"a": {"width": 8}})])
    assert stage.reads == ("net.a", "compress.a")
    # 3 -> 8 channels, 3 x 3, on 16 x 16; 8 -> 16 channels, 3 x 3, on 8 x 8; 16 -> 10 outputs.
    assert outcome.metrics == {
        "params": 3 * 8 * 9 + 8 + 8 * 16 * 9 + 16 * 10 + 10,
        "macs": 3 * 8 * 9 * 256 + 8 * 16 * 9 * 64 + 160,
    }


def test_one_core_adds_up_the_layers():
    run = make_run(chip={**CHIP, "cores": 1})
    for candidate in candidates(run, 5):
        (outcome,) = stage_of(run).evaluate([candidate])
        accelerators = run.target.accelerators(candidate.hw)
        graphs = [t.space.graph(candidate.net[t.name], *vars(DATA[t.name]).values()) for t in run.tasks]
        works = [workload(graph) for graph in graphs]
        costs = [layer_costs(work, accelerators) for work in works]
        assert outcome.metrics["latency_cycles"] == sum(c.cycles_AL.sum() for c in costs)
        assert outcome.metrics["energy_j"] == pytest.approx(sum(c.energy_AL.sum() for c in costs))
        assert outcome.metrics["area_mm2"] == accelerators[0].area_mm2
        assert outcome.metrics["latency_s"] == outcome.metrics["latency_cycles"] / 1e9
        assert outcome.metrics["macs"] == sum(w.macs for w in works)


def test_two_cores_against_every_assignment():
    """Least energy within the limit, over all assignments of units (a layer and what follows it) to two cores."""
    near_optimal = 0
    for i, candidate in enumerate(candidates(make_run(), 12, seed=3)):
        unlimited = plan(candidate, make_run())
        if len(unlimited.accelerators) < 2:
            continue
        limit = int(1.1 * unlimited.schedule.makespan)
        run = make_run(Limit("latency_cycles", limit))
        (outcome,) = stage_of(run).evaluate([candidate])
        assert outcome.metrics["latency_cycles"] <= limit, i
        near_optimal += outcome.metrics["energy_j"] <= 1.02 * least_energy(unlimited, limit)
        assert outcome.metrics["energy_j"] >= least_energy(unlimited, limit) * (1 - 1e-9)
        assert outcome.metrics["energy_j"] <= unlimited.metrics["energy_j"] * (1 + 1e-9)
    assert near_optimal >= 5


def least_energy(design, limit) -> float:
    cycles_AU = np.add.reduceat(design.costs.cycles_AL, design.first_U, axis=1)
    energy_AU = np.add.reduceat(design.costs.energy_AL, design.first_U, axis=1)
    chain_U = design.network_L[design.first_U]
    jobs = make_jobs(cycles_AU, energy_AU, chain_U)
    units, best = np.arange(len(chain_U)), np.inf
    for cores in itertools.product(range(2), repeat=len(chain_U)):
        span = list_schedule(jobs, np.array(cores), 1 << 60, np.zeros_like(units))
        if span <= limit:
            best = min(best, energy_AU[np.array(cores), units].sum())
    return best


def test_a_limit_on_energy_alone_is_kept_where_it_can_be():
    """Half-way between the energy of the shortest schedule and the least one, which no latency limit asks for."""
    kept = 0
    for candidate in candidates(make_run(), 12, seed=3):
        fast = plan(candidate, make_run())
        least = np.add.reduceat(fast.costs.energy_AL, fast.first_U, axis=1).min(axis=0).sum()
        limit = (fast.metrics["energy_j"] + least) / 2
        if limit > least * (1 + 1e-6):
            metrics = stage_of(make_run(Limit("energy_j", limit))).evaluate([candidate])[0].metrics
            assert metrics["energy_j"] <= limit < fast.metrics["energy_j"]
            assert metrics["latency_cycles"] >= fast.metrics["latency_cycles"]
            kept += 1
    assert kept >= 3


def test_units_are_layers_with_the_vector_rows_that_follow():
    design = plan(candidates(make_run(), 1)[0], make_run())
    firsts = [design.workload.names[i] for i in design.first_U]
    assert firsts == ["shrink", "two", "classifier"] * 2  # "shrink" stays with the first convolution


def test_the_plan_is_what_the_metrics_say():
    run = make_run(Limit("energy_j", 1.0))
    for candidate in candidates(run, 10):
        (outcome,) = stage_of(run).evaluate([candidate])
        design = plan(candidate, run)
        rows = np.arange(len(design.workload))
        assert design.metrics.items() <= dict(outcome.metrics).items()
        assert (design.start_L + design.cycles_L).max() == outcome.metrics["latency_cycles"]
        assert design.costs.energy_AL[design.core_L, rows].sum() == pytest.approx(outcome.metrics["energy_j"])
        for groups in (design.network_L, design.core_L):  # rows follow one another, in a network and on a core
            for group in np.unique(groups):
                chosen = rows[groups == group]
                chosen = chosen[np.lexsort((design.start_L[chosen] + design.cycles_L[chosen], design.start_L[chosen]))]
                ends = design.start_L[chosen] + design.cycles_L[chosen]
                assert (design.start_L[chosen][1:] >= ends[:-1]).all()


def test_a_batch_equals_one_by_one_and_failures_stay_alone():
    run = make_run()
    batch = candidates(run, 6)
    broken = Candidate(batch[0].net | {"b": {"width": 9}}, batch[0].hw)
    outcomes = stage_of(run).evaluate([*batch[:3], broken, *batch[3:]])
    assert (outcomes[3].status, outcomes[3].reason, outcomes[3].metrics) == (Status.FAILED, "nine is too wide", {})
    singles = [stage_of(run).evaluate([c])[0] for c in batch]
    assert [o.metrics for o in outcomes if o.status is Status.OK] == [o.metrics for o in singles]


def test_a_layer_that_runs_nowhere_is_a_reason(monkeypatch):
    def nowhere(work, accelerators):
        costs = layer_costs(work, accelerators)
        cycles_AL, reason_AL = costs.cycles_AL.copy(), costs.reason_AL.copy()
        cycles_AL[:, 4], reason_AL[:, 4] = -1, "too small"
        return replace(costs, cycles_AL=cycles_AL, reason_AL=reason_AL)

    monkeypatch.setattr(cost, "layer_costs", nowhere)
    run = make_run(chip={**CHIP, "cores": 1})
    (outcome,) = stage_of(run).evaluate(candidates(run, 1))
    assert outcome.status is Status.FAILED
    assert outcome.reason == "layer two runs on no core (core 0: too small)"


def test_a_core_that_cannot_run_a_layer_does_not_get_it(monkeypatch):
    def not_on_core_0(work, accelerators):
        costs = layer_costs(work, accelerators)
        cycles_AL, energy_AL = costs.cycles_AL.copy(), costs.energy_AL.copy()
        cycles_AL[0, 4], energy_AL[0, 4] = -1, np.nan
        return replace(costs, cycles_AL=cycles_AL, energy_AL=energy_AL)

    monkeypatch.setattr(cost, "layer_costs", not_on_core_0)
    run = make_run()
    (pair,) = [c for c in candidates(run, 30) if len(run.target.design(c.hw)) == 2][:1]
    design = plan(pair, run)
    assert design.core_L[4] == 1
    assert np.isfinite(design.metrics["energy_j"])


@pytest.mark.parametrize(
    ("limits", "cycles"),
    [
        ([], None),
        ([Limit("latency_cycles", 8e5)], 800_000),
        ([Limit("latency_s", 20e-6)], 20_000),
        ([Limit("latency_s", 3e-7)], 300),
        ([Limit("latency_s", 1e-3), Limit("latency_cycles", 12.9)], 12),
        ([Limit("energy_j", 1e-3)], None),
    ],
)
def test_the_latency_limit_in_cycles(limits, cycles):
    run = make_run(*limits)
    assert stage_of(run).limit == cycles
    if limits and cycles:  # whoever uses the limit in full has not broken it
        assert run.goals.violation({"latency_s": cycles / 1e9, "latency_cycles": float(cycles)}) == 0


def test_the_key_holds_whatever_else_changes_the_result():
    base = stage_of(make_run())
    others = [
        stage_of(make_run(Limit("latency_cycles", 1e5))),
        stage_of(make_run(chip={**CHIP, "clock": "500 MHz"})),
        stage_of(make_run(chip={**CHIP, "technology": "45nm"})),
        stage_of(make_run(), schedule="list_scheduling"),
        stage_of(replace(make_run(), tasks=tuple(replace(t, space=Convolutions(kernel=5)) for t in make_run().tasks))),
        stage_of(replace(make_run(), tasks=tuple(replace(t, load=lambda: DATA["a"]) for t in make_run().tasks))),
    ]
    keys = [canonical_json(stage.key) for stage in (base, *others)]
    assert len(set(keys)) == len(keys)
    assert base.reads == ("net.a", "net.b", "hw", "compress.a", "compress.b")
    # What does not change the result does not change the key: another budget of the chip, another seed.
    assert canonical_json(stage_of(make_run(chip={**CHIP, "cores": 1})).key) == keys[0]


def test_fewer_bits_cost_less_energy():
    run = make_run()
    (candidate,) = candidates(run, 1)
    narrow = replace(candidate, compress={"a": {"weight_bits": 4, "activation_bits": 4}})
    wide, less = stage_of(run).evaluate([candidate, narrow])
    assert less.metrics["energy_j"] < wide.metrics["energy_j"]
    assert less.metrics["latency_cycles"] <= wide.metrics["latency_cycles"]


def test_each_network_is_built_once(monkeypatch):
    built = []
    monkeypatch.setattr(cost, "workload", lambda graph, **bits: built.append(1) or workload(graph, **bits))
    run = make_run()
    batch = candidates(run, 20)
    stage_of(run).evaluate(batch)
    assert len(built) == len({(name, g["width"]) for c in batch for name, g in c.net.items()}) < 20


def test_an_unknown_schedule_is_refused():
    with pytest.raises(UserError, match="did you mean 'hap'") as caught:
        registry.create("evaluators", "cost", {"schedule": "happ"})
    assert caught.value.where == "cost.schedule"


def test_a_method_of_the_folder_that_does_not_put_layers_on_cores_is_refused(monkeypatch):
    monkeypatch.setattr(cost.registry, "find", lambda kind, name: str)
    monkeypatch.setattr(cost, "policies", lambda: ["hap"])
    with pytest.raises(UserError, match=r"'cosma' does not put layers on cores \(one of: hap\)"):
        cost.Cost("cosma")
