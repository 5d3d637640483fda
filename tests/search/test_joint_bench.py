from itertools import combinations_with_replacement, product
from pathlib import Path

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Limit, Objective
from archip.core.problem import Plug
from archip.core.registry import validate
from archip.hardware.chip.space import ChipSpec
from archip.hardware.chip.table import cost_table
from archip.ir.workload import workload
from archip.search.joint import joint_front
from archip.search.joint_bench import TASK, JointBench, search_joint
from archip.search.joint_front import volume
from archip.spaces.resnet9 import ResNet9
from archip.spaces.tabular import Tabular

NETS = ResNet9(stem=(2, 4), filters=(2, 4), skips=(0, 1), blocks=2)
SPEC = validate(
    ChipSpec,
    {
        "pes": {"total": 96, "step": 32},
        "bandwidth": {"total": "4 GB/s", "step": "2 GB/s"},
        "dataflows": ["eyeriss", "shidiannao"],
    },
)
TABLE = """title: toy
source: none
official: none
file: toy.csv
genes: [{column: fn0}, {column: fn1}, {column: sk1}, {column: fn2}, {column: sk2}]
metrics: {test.accuracy: {column: acc, unit: "%"}}
searches: {toy: {full: test.accuracy, test: [test.accuracy]}}
networks:
  space: resnet9
  options: {stem: [2, 4], filters: [2, 4], skips: [0, 1], blocks: 2}
  inputs: {"*": "1x8x8:3"}
"""
QUALITY = Objective("quality", 1)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Tabular:
    folder: Path = tmp_path_factory.mktemp("joint")
    accuracies = np.random.default_rng(0).permutation(32) + 50
    genes = product((2, 4), (2, 4), (0, 1), (2, 4), (0, 1))
    rows = [",".join(map(str, (*g, a))) for g, a in zip(genes, accuracies, strict=True)]
    (folder / "toy.csv").write_text("\n".join(["fn0,fn1,sk1,fn2,sk2,acc", *rows]))
    (folder / "toy.yaml").write_text(TABLE)
    return Tabular(str(folder / "toy.yaml"))


def bench(table: Tabular, *limits: Limit) -> JointBench:
    return JointBench(table, "toy", SPEC, Goals((QUALITY,), limits))


def schedules(table: Tabular, genes: dict) -> dict:
    """Chip → cycles and energies of every assignment, and area; priced for this network alone."""
    costs = cost_table({"n": workload(NETS.graph(genes, (1, 8, 8), 3))}, SPEC)
    n_layers, found = len(costs.layers), {}
    for n in (1, 2):
        which = np.array(list(product(range(n), repeat=n_layers)))
        for chip in combinations_with_replacement(range(len(costs.designs)), n):
            if (costs.use_DR[list(chip)].sum(axis=0) <= costs.totals_R).all():
                cores = np.array(chip)[which]
                cycles = costs.cycles_DL[cores, np.arange(n_layers)].sum(axis=1)
                energy = costs.energy_DL[cores, np.arange(n_layers)].sum(axis=1) * costs.energy_unit_j
                found[frozenset((costs.designs[c], chip.count(c)) for c in chip)] = (
                    cycles, energy, costs.area_D[list(chip)].sum() / 1e6
                )  # fmt: skip
    return found


def named(here: JointBench, candidate: Candidate) -> frozenset:
    designs = [SPEC.designs[d] for d in here.designs(candidate) if d >= 0]
    return frozenset((d, designs.count(d)) for d in designs)


def test_costs_are_those_of_the_best_schedule(table):
    genes = table.genotype(21)
    every = schedules(table, genes)
    spans = [cycles.min() for cycles, _, _ in every.values()]
    rng = np.random.default_rng(0)
    for share in (None, 0.3, 0.8):
        limit = None if share is None else float(np.floor(np.quantile(spans, share)))
        here = bench(table, *([] if limit is None else [Limit("latency_cycles", limit)]))
        for _ in range(25):
            candidate = Candidate({TASK: genes}, here.chips.sample(rng))
            cycles, energy, area = every[named(here, candidate)]
            within = cycles <= (cycles.min() if limit is None else max(limit, cycles.min()))
            got = here.costs(candidate)
            assert got["energy_j"] == pytest.approx(energy[within].min(), rel=1e-12)
            assert got["latency_cycles"] <= cycles[within].max()
            assert got["area_mm2"] == pytest.approx(area)


@pytest.mark.parametrize("least", ["energy", "latency", "area"])
def test_the_designer_finds_the_best_chip(table, least):
    genes = table.genotype(13)
    every = schedules(table, genes).values()
    latency = float(np.quantile([c.min() for c, _, _ in every], 0.6))
    energy = float(np.quantile([e.min() for _, e, _ in every], 0.8))
    limits = [Limit("energy_j", energy)] if least == "latency" else [Limit("latency_cycles", np.floor(latency))]
    here = bench(table, *limits)
    goals = here.goals
    got = here.costs(here.best_chip(Candidate({TASK: genes}), goals, least))
    assert goals.violation(got) == 0
    if least == "latency":
        expected = min(c[(c == c.min()) & (e <= energy)].min(initial=2**60) for c, e, _ in every)
        assert got["latency_cycles"] == expected
    elif least == "energy":
        assert got["energy_j"] == pytest.approx(min(e[c <= latency].min(initial=np.inf) for c, e, _ in every))
    else:
        assert got["area_mm2"] == pytest.approx(min(a for c, _, a in every if c.min() <= latency))


def test_where_no_chip_keeps_the_limits_the_designer_comes_near(table):
    here = bench(table, Limit("latency_cycles", 1.0), Limit("area_mm2", 1e-6))
    candidate = here.best_chip(Candidate({TASK: table.genotype(0)}), here.goals, "energy")
    assert here.goals.violation(here.costs(candidate)) > 0
    rng = np.random.default_rng(0)
    others = [Candidate({TASK: table.genotype(0)}, here.chips.sample(rng)) for _ in range(50)]
    assert here.goals.violation(here.costs(candidate)) <= min(here.goals.violation(here.costs(o)) for o in others)


def test_all_that_there_is_dominates_what_the_front_does(table):
    front = joint_front(table, "toy", SPEC)
    reference = np.array([0.4, *(np.quantile(c, 0.9) for c in (front.cycles_N, front.energy_N, front.area_N))])
    points = np.column_stack([front.score_N, front.cycles_N, front.energy_N, front.area_N])
    here = bench(table)
    pairs = {here.designs(Candidate({}, hw)) for hw in here.chips.enumerate()}
    every = {n: (float(here.profiles.score_N[n]), pairs) for n in range(len(here.profiles))}
    assert here.volume(every, reference) == pytest.approx(volume(points, reference))
    assert here.volume({0: every[0]}, reference) < volume(points, reference)
    assert here.volume({0: (every[0][0], set(list(pairs)[:3]))}, reference) <= here.volume({0: every[0]}, reference)


@pytest.mark.parametrize("name", ["random_search", "nested", "alternating"])
def test_a_search_never_beats_the_exact_answer_and_counts_networks(table, name):
    front = joint_front(table, "toy", SPEC)
    limits = {
        "latency_cycles": float(np.quantile(front.cycles_N, 0.4)),
        "area_mm2": float(np.median(front.area_N)) / 1e6,
    }
    here = bench(table, *(Limit(k, v) for k, v in limits.items()))
    best = front.best(limits)
    assert best is not None
    trace = search_joint(here, Plug(name), 0, budget=12, most_candidates=400, batch=4)
    assert len(trace.best_Q) <= 12
    assert (np.diff(trace.best_Q) >= 0).all()
    assert trace.best_Q[-1] <= best.score
    assert trace.n_candidates <= 403
    again = search_joint(here, Plug(name), 0, budget=12, most_candidates=400, batch=4)
    assert again.best_Q == trace.best_Q
    if name == "nested":  # 32 networks: with enough evaluations it must end at the optimum
        whole = search_joint(here, Plug("nested"), 1, budget=32, most_candidates=4000)
        assert whole.best_Q[-1] == best.score
