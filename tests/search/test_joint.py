"""The joint front against brute force: every network, every set of cores, every assignment of layers to cores."""

import re
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.pareto import hypervolume, non_dominated_mask
from archip.core.registry import validate
from archip.hardware.chip.space import ChipSpec
from archip.hardware.chip.table import cost_table
from archip.hardware.schedule._label_dp import NEVER
from archip.ir.workload import workload
from archip.search.joint import joint_front
from archip.search.joint_front import load_joint, volume
from archip.search.joint_table import profiles_of
from archip.spaces.nb101 import NB101
from archip.spaces.nb201 import NB201
from archip.spaces.resnet9 import ResNet9
from archip.spaces.tabular import Tabular
from archip.spaces.transnas_macro import TransNASMacro

NETS = ResNet9(stem=(2, 4), filters=(2, 4), skips=(0, 1, 2), blocks=2)
HEAD = """title: toy
source: none
official: none
file: toy.csv
genes: [{column: fn0}, {column: fn1}, {column: sk1}, {column: fn2}, {column: sk2}]
metrics: {test.accuracy: {column: acc, unit: "%"}}
searches: {toy: {full: test.accuracy, test: [test.accuracy]}}
"""
NETWORKS = """networks:
  space: resnet9
  options: {stem: [2, 4], filters: [2, 4], skips: [0, 1, 2], blocks: 2}
  inputs: {toy: "1x8x8:3"}
"""
GENES = re.compile("genes: .*")
SPACES = (
    {"pes": {"total": 128, "step": 32}, "bandwidth": {"total": "6 GB/s", "step": "2 GB/s"}},
    {"pes": {"total": 40, "step": 8}, "dataflows": ["eyeriss", "shidiannao"], "mapping": "fastest"},
    {"pes": {"total": 192, "step": 64}, "dataflows": ["nvdla", "eyeriss"], "min_cores": 2},
    {"pes": {"total": 96, "step": 32}, "cores": 1},
)


def toy(folder, rng, n_networks):
    """A table of some networks with accuracies that often tie."""
    genes = list(product((2, 4), (2, 4), (0, 1, 2), (2, 4), (0, 1, 2)))
    some = [genes[i] for i in rng.choice(len(genes), n_networks, replace=False)]
    rows = [",".join(map(str, (*g, a))) for g, a in zip(some, rng.integers(50, 55, n_networks), strict=True)]
    (folder / "toy.csv").write_text("\n".join(["fn0,fn1,sk1,fn2,sk2,acc", *rows]))
    path = folder / f"toy{rng.integers(1 << 40)}.yaml"
    path.write_text(HEAD + NETWORKS)
    return Tabular(str(path))


def brute_force(space, spec, nets=NETS, shape=(1, 8, 8)):
    """Set of (accuracy, cycles, energy, area) that nothing beats; each network priced by itself."""
    points = []
    for genes in space.enumerate():
        accuracy = space.rows.metric("test")[space.row(genes)]
        table = cost_table({"n": workload(nets.graph(genes, shape, 3))}, spec)
        n_layers = len(table.layers)
        for n_cores in range(spec.min_cores, spec.cores + 1):
            which = np.array(list(product(range(n_cores), repeat=n_layers)))
            for chip in combinations_with_replacement(range(len(table.designs)), n_cores):
                if (table.use_DR[list(chip)].sum(axis=0) > table.totals_R).any():
                    continue
                cores = np.array(chip)[which]
                cycles = table.cycles_DL[cores, np.arange(n_layers)]
                energy = table.energy_DL[cores, np.arange(n_layers)].sum(axis=1)
                can = (cycles < NEVER).all(axis=1)
                area = table.area_D[list(chip)].sum()
                some = np.unique(np.column_stack([cycles.sum(axis=1), energy])[can], axis=0)
                some = some[non_dominated_mask(some.astype(float))]
                points += [(accuracy, int(t), int(e), int(area)) for t, e in some]
    array = np.array(sorted(set(points)))
    return array[non_dominated_mask(array * [-1, 1, 1, 1])]


def told(front):
    return np.column_stack([front.score_N, front.cycles_N, front.energy_N, front.area_N])


@pytest.mark.parametrize("number", range(len(SPACES)))
@pytest.mark.parametrize("seed", range(2))
def test_the_front_is_what_brute_force_finds(tmp_path, number, seed):
    space = toy(tmp_path, np.random.default_rng([number, seed]), 8)
    spec = validate(ChipSpec, SPACES[number])
    front = joint_front(space, "toy", spec)
    expected = brute_force(space, spec)
    assert len(expected) > 10
    assert {tuple(p) for p in told(front)} == {tuple(p) for p in expected}
    assert front.about["unproven"] == 0


CELLS = NB101(channels=4, stacks=2, cells=1)
MODULES = TransNASMacro(channels=2, blocks=1)


def cells(folder, rng, n_networks):
    """A table of small NAS-Bench-101 cells, some of them written in several ways."""
    rows = []
    while len(rows) < n_networks:
        genes = CELLS.sample(rng)
        n = genes["vertices"]
        if n <= 4:
            bits = "".join(str(genes[f"edge_{a}_{b}"]) for a, b in combinations(range(n), 2))
            operators = [genes[f"op_{v}"] for v in range(1, n - 1)]
            accuracy = 50 + 3 * sum("conv" in operator for operator in operators) + rng.integers(4)
            rows.append(f"{n},{bits},{'-'.join(operators)},{accuracy}")
    (folder / "toy.csv").write_text("\n".join(["n,bits,ops,acc", *dict.fromkeys(rows)]))
    names = "[conv3x3, conv1x1, maxpool3x3]"
    keys = f"graph: {{vertices: n, edges: bits, operators: ops, names: {names}}}\nduplicates: mean"
    networks = "{space: nb101, options: {channels: 4, stacks: 2, cells: 1}, inputs: {toy: '1x8x8:3'}}"
    path = folder / f"cells{rng.integers(1 << 40)}.yaml"
    path.write_text(GENES.sub(keys, HEAD) + f"networks: {networks}")
    return Tabular(str(path))


def modules(folder, rng, n_networks, rest="inputs: {toy: '1x8x8:3'}"):
    """Rows of one task among those of two; the other's are better."""
    every = [
        genes
        for genes in MODULES.enumerate()
        if list(genes.values()).count("normal") == 2 and "none" in genes["module5"]
    ]
    codes = {"none": 0, "normal": 1, "double": 2, "halve": 3, "double_halve": 4}
    rows = ["task,arch,acc"]
    for i in rng.choice(len(every), n_networks, replace=False):
        arch = "".join(str(codes[kind]) for kind in every[i].values())
        rows += [f"mine,{arch},{rng.integers(50, 60)}", f"other,{arch},{rng.integers(60, 70)}"]
    (folder / "toy.csv").write_text("\n".join(rows))
    values = ", ".join(f"'{code}': {kind}" for kind, code in codes.items())
    keys = f"genes: [{{column: arch, name: module, split: '', values: {{{values}}}}}]\nwhere: {{task: mine}}"
    networks = f"{{space: transnas_macro, options: {{channels: 2, blocks: 1}}, {rest}}}"
    path = folder / f"modules{rng.integers(1 << 40)}.yaml"
    path.write_text(GENES.sub(keys, HEAD) + f"networks: {networks}")
    return Tabular(str(path))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("table", "nets", "n_networks"), [(cells, CELLS, 14), (modules, MODULES, 3)])
def test_tables_of_other_spaces(tmp_path, table, nets, n_networks, seed):
    """Layers that several profiles share, and profiles with equal layers in other numbers."""
    rng = np.random.default_rng([11, seed])
    space, spec = table(tmp_path, rng, n_networks), validate(ChipSpec, SPACES[0])
    front = joint_front(space, "toy", spec)
    expected = brute_force(space, spec, nets)
    assert len(expected) > 10
    assert len(np.unique(expected[:, 0])) > (table is cells)
    assert {tuple(p) for p in told(front)} == {tuple(p) for p in expected}


JIGSAW = "inputs: {toy: '9x8x8:3', test: '1x8x8:3'}, options_of: {toy: {decoder: jigsaw}}"


def test_a_search_may_have_networks_of_its_own(tmp_path):
    """Options of one search, here nine tiles in one network; the other searches keep the options of all."""
    rng, spec = np.random.default_rng(5), validate(ChipSpec, SPACES[0])
    space = modules(tmp_path, rng, 2, JIGSAW)
    nets = TransNASMacro(channels=2, blocks=1, decoder="jigsaw")
    expected = brute_force(space, spec, nets, (9, 8, 8))
    assert {tuple(p) for p in told(joint_front(space, "toy", spec))} == {tuple(p) for p in expected}
    expected = brute_force(space, spec, MODULES)
    assert {tuple(p) for p in told(joint_front(space, "test", spec))} == {tuple(p) for p in expected}


def test_options_of_a_search_without_an_input_are_refused(tmp_path):
    with pytest.raises(UserError, match="'tou' has no input"):
        modules(tmp_path, np.random.default_rng(0), 2, "inputs: {toy: '1x8x8:3'}, options_of: {tou: {}}").rows  # noqa: B018


def test_a_point_is_what_its_network_costs_on_its_chip(tmp_path):
    """The witnesses: some assignment of the layers of this row to these cores has these costs."""
    space, spec = toy(tmp_path, np.random.default_rng(7), 6), validate(ChipSpec, SPACES[0])
    front = joint_front(space, "toy", spec)
    for n in np.random.default_rng(0).choice(len(front), 40):
        point = front.point(int(n))
        assert space.rows.metric("test")[point.row] == point.score
        work = workload(NETS.graph(space.genotype(point.row), (1, 8, 8), 3))
        table = cost_table({"n": work}, spec)
        chip = [table.designs.index(core) for core in point.cores]
        assert table.area_D[chip].sum() == front.area_N[n]
        which = np.array(chip)[np.array(list(product(range(len(chip)), repeat=len(table.layers))))]
        cycles, energy = (t[which, np.arange(which.shape[1])].sum(axis=1) for t in (table.cycles_DL, table.energy_DL))
        assert ((cycles == point.latency_cycles) & (energy == front.energy_N[n])).any()


def test_a_tolerance_covers_every_point_of_the_exact_front(tmp_path):
    space, spec = toy(tmp_path, np.random.default_rng(3), 8), validate(ChipSpec, SPACES[0])
    exact, near = told(joint_front(space, "toy", spec)), told(joint_front(space, "toy", spec, 0.05))
    assert len(near) < len(exact)
    room = np.array([1, 1, 1.05, 1])
    for point in exact * [-1, 1, 1, 1]:
        assert (near * [-1, 1, 1, 1] <= point * room).all(axis=1).any()


def test_the_best_network_within_limits(tmp_path):
    space, spec = toy(tmp_path, np.random.default_rng(5), 8), validate(ChipSpec, SPACES[0])
    front, every = joint_front(space, "toy", spec), brute_force(space, spec)
    for share in (0.05, 0.2, 0.5):
        bounds = np.quantile(every[:, 1:], share, axis=0)
        limits = {
            "latency_cycles": bounds[0],
            "energy_j": bounds[1] * front.energy_unit_j,
            "area_mm2": bounds[2] / 1e6,
        }
        kept = every[(every[:, 1:] <= bounds).all(axis=1)]
        best = front.best(limits)
        assert (best.score if best else None) == (kept[:, 0].max() if len(kept) else None)
    assert front.best({"latency_s": 1e-12}) is None
    with pytest.raises(UserError, match="unknown metric"):
        front.best({"speed": 1.0})


def test_volume_is_the_hypervolume():
    rng = np.random.default_rng(0)
    for n in (0, 1, 5, 40):
        points = rng.integers(1, 12, (n, 4)).astype(float)  # many ties
        reference = np.array([0.0, 10.0, 10.0, 10.0])
        expected = hypervolume(points * [-1, 1, 1, 1], reference)
        assert volume(points, reference) == pytest.approx(expected)


def test_a_front_is_saved_and_read(tmp_path):
    front = joint_front(toy(tmp_path, np.random.default_rng(1), 4), "toy", validate(ChipSpec, SPACES[3]))
    front.save(tmp_path / "folder" / "toy.npz")
    again = load_joint(tmp_path / "folder" / "toy.npz")
    assert (told(again) == told(front)).all()
    assert again.point(0) == front.point(0)
    (tmp_path / "other.npz").write_text("nothing")
    with pytest.raises(UserError, match="no joint front"):
        load_joint(tmp_path / "other.npz")


def test_networks_of_one_key_have_the_same_layers():
    """What NB201 says of itself: only the numbers of its convolutions count."""
    rng, nets = np.random.default_rng(0), NB201(channels=2, cells=1)
    seen = {}
    for _ in range(60):
        genes = nets.sample(rng)
        work = workload(nets.graph(genes, (3, 8, 8), 10))
        rows = [i for i, kind in enumerate(work.kinds) if kind != "vector"]
        layers = sorted(map(str, zip(work.dims_LD[rows].tolist(), work.stride_L2[rows].tolist(), strict=True)))
        assert seen.setdefault(nets.layers_key(genes), layers) == layers
    assert len(seen) > 10
    assert all(a != b for a, b in combinations(seen.values(), 2))


def test_profiles_keep_the_most_accurate_network(tmp_path):
    space = toy(tmp_path, np.random.default_rng(2), 12)
    profiles = profiles_of(space, "toy")
    score = space.rows.metric("test")
    assert sorted(profiles.profile_of) == list(range(12))
    for n, row in enumerate(profiles.row_N):
        members = [r for r, p in profiles.profile_of.items() if p == n]
        assert score[row] == max(score[members]) == profiles.score_N[n]
    assert (np.diff(profiles.score_N) <= 0).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (NETWORKS, "", "does not say how its rows become networks"),
        ('toy: "1x8x8:3"', 'other: "1x8x8:3"', "no input is declared"),
        ("1x8x8:3", "1x8x8", "is no input"),
        ("space: resnet9", "space: resnet99", "resnet9"),
    ],
)
def test_what_a_table_lacks_is_said(tmp_path, old, new, message):
    space = toy(tmp_path, np.random.default_rng(0), 4)
    text = (HEAD + NETWORKS).replace(old, new)
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        joint_front(Tabular(str(tmp_path / "bad.yaml"), str(tmp_path)), "toy")
    assert space.size == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cores": 3}, "one or two"),
        ({"cost_model": "loopnest"}, "cost_model"),
        ({"graph": "dag"}, "graph"),
        ({"dram": "8 GB/s"}, "dram"),
        ({"mapping": "free"}, "mapping"),
    ],
)
def test_chips_that_joint_fronts_do_not_know(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        joint_front(toy(tmp_path, np.random.default_rng(0), 4), "toy", validate(ChipSpec, options))
