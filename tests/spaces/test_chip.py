"""The chip space: absent cores, totals, order of cores, counting against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from archip.core import registry
from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.core.protocols import Space
from archip.spaces.chip import Chip


def chip(**options) -> Chip:
    return registry.create("spaces", "chip", options)


def small(cores=2, **options) -> Chip:
    defaults = {"pes": {"total": 128, "step": 32}, "bandwidth": {"total": "24 GB/s", "step": "8 GB/s"}}
    return chip(cores=cores, dataflows=["nvdla", "eyeriss"], **{**defaults, **options})


def by_brute_force(space: Chip) -> set[str]:
    """Every assignment of genes, cores sorted, totals kept."""
    pes, bandwidth = (space.knobs[f"core0.{gene}"].values for gene in ("pes", "bandwidth"))
    every = [None, *itertools.product(space.dataflows, pes, bandwidth)]
    found = set()
    for choice in itertools.product(every, repeat=space.cores):
        present = sorted(core for core in choice if core)
        fits = sum(c[1] for c in present) <= max(pes) and sum(c[2] for c in present) <= max(bandwidth)
        if len(present) >= space.min_cores and fits:
            found.add(str(present))
    return found


@pytest.mark.parametrize(("cores", "min_cores"), [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)])
def test_enumerates_and_counts_every_design_once(cores, min_cores):
    space = small(cores, min_cores=min_cores)
    rng = np.random.default_rng(0)
    assert all(min_cores <= len(space.design(space.sample(rng))) <= cores for _ in range(50))
    designs = [str([tuple(c) for c in space.design(g)]) for g in space.enumerate()]
    assert set(designs) == by_brute_force(space)
    assert len(designs) == len(set(designs)) == space.size


def test_least_shares_that_are_not_multiples_of_the_step():
    space = small(3, pes={"total": 130, "step": 30, "min": 20}, bandwidth={"total": "3 GB/s", "step": "1 GB/s"})
    genotypes = list(space.enumerate())
    assert len(genotypes) == space.size
    assert {c.pes for g in genotypes for c in space.design(g)} == {20, 50, 80, 110}
    # Two cores: 2 x 20 + 3 steps of 30 fit 130 exactly; three: 3 x 20 + 2 steps.
    assert max(sum(c.pes for c in space.design(g)) for g in genotypes if len(space.design(g)) == 2) == 130
    assert max(sum(c.pes for c in space.design(g)) for g in genotypes if len(space.design(g)) == 3) == 120


def test_the_published_space_has_a_million_pairs():
    # 3,072 single cores; (9 C(128, 2) C(8, 2) + 3 x 64 x 4) / 2 pairs (equal pairs: half of each total).
    assert chip().size == 3072 + (9 * 8128 * 28 + 768) // 2 == 1_027_584


def test_every_genotype_handed_out_is_canonical_and_permitted():
    for space in (small(1), small(3), chip(), chip(cores=4)):
        assert isinstance(space, Space)
        rng = np.random.default_rng(0)
        genotypes = [space.sample(rng) for _ in range(50)]
        genotypes += [space.mutate(g, rng) for g in genotypes]
        genotypes += [space.crossover(a, b, rng) for a, b in itertools.pairwise(genotypes)]
        genotypes += list(space.neighbours(genotypes[0]))
        for genotype in genotypes:
            assert canonical_json(space.canonical(genotype)) == canonical_json(genotype)
            cores = space.design(genotype)
            assert 1 <= len(cores) <= space.cores
            assert cores == sorted(cores)
            assert sum(c.pes for c in cores) <= 4096
            assert sum(c.bandwidth for c in cores) <= 64e9


def test_sampling_reaches_everything():
    space = small(2)
    rng = np.random.default_rng(1)
    seen = {canonical_json(space.sample(rng)) for _ in range(4000)}
    assert len(seen) == space.size


def test_splits_are_uniform():
    """Two cores over four steps of PEs: the six pairs with a sum of at most four, before sorting, equally often."""
    from archip.spaces.chip import _Share

    rng = np.random.default_rng(0)
    draws = [tuple(_Share(4, 1, 1).split(2, rng)) for _ in range(6000)]
    counts = {pair: draws.count(pair) for pair in set(draws)}
    assert set(counts) == {(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)}
    assert max(abs(n - 1000) for n in counts.values()) < 150  # five standard deviations


def test_order_of_cores_and_absent_cores_mean_nothing():
    space = small(3)
    a = {"core0.dataflow": "nvdla", "core0.pes": 64, "core0.bandwidth": 8 * 10**9, "core1.dataflow": "none",
         "core2.dataflow": "eyeriss", "core2.pes": 32, "core2.bandwidth": 16 * 10**9}  # fmt: skip
    b = {"core0.dataflow": "eyeriss", "core0.pes": 32, "core0.bandwidth": 16 * 10**9, "core1.dataflow": "nvdla",
         "core1.pes": 64, "core1.bandwidth": 8 * 10**9, "core2.dataflow": "none"}  # fmt: skip
    assert space.canonical(a) == b
    with_inactive = {**b, "core2.pes": 64}
    assert space.canonical(with_inactive) == b


def test_mutation_adds_and_removes_cores():
    space, rng = small(2), np.random.default_rng(0)
    genotype = space.sample(rng)
    seen = set()
    for _ in range(200):
        genotype = space.mutate(genotype, rng)
        seen.add(len(space.design(genotype)))
    assert seen == {1, 2}


def test_breaking_a_total_is_refused():
    space = small(1)
    with pytest.raises(UserError, match="not allowed"):
        space.canonical({"core0.dataflow": "nvdla", "core0.pes": 160, "core0.bandwidth": 8 * 10**9})
    full = {"dataflow": "nvdla", "pes": 128, "bandwidth": 8 * 10**9}
    genes = {f"core{i}.{gene}": value for i in range(2) for gene, value in full.items()}
    with pytest.raises(UserError, match="breaks a constraint"):
        small(2).canonical(genes)


@pytest.mark.parametrize(
    ("options", "where", "what"),
    [
        ({"dataflows": ["nvdal"]}, "chip.dataflows", "unknown dataflow 'nvdal'.*did you mean 'nvdla'"),
        ({"dataflows": ["nvdla", "nvdla"]}, "chip.dataflows", "empty or repeated"),
        ({"clock": "1 GB/s"}, "chip.clock", "quantity of bandwidth"),
        ({"clock": "0 GHz"}, "chip.clock", "no frequency"),
        ({"pes": {"total": 16, "step": 32}}, "chip.pes", "no core fits"),
        ({"pes": {"total": 16, "stepp": 32}}, "chip.pes.stepp", "unknown option 'stepp'.*did you mean 'step'"),
        ({"pes": {"total": 0}}, "chip.pes.total", "greater than or equal to 1"),
        ({"bandwidth": {"total": "64 GHz"}}, "chip.bandwidth.total", "quantity of frequency"),
        ({"bandwidth": {"total": "64 GB/s", "step": "0 GB/s"}}, "chip.bandwidth", "no core fits"),
        ({"min_cores": 3}, "chip.min_cores", "3 cores at least and 2 at most"),
        ({"pes": {"total": 32, "step": 32}, "min_cores": 2}, "chip.pes", "no core fits"),
        ({"cores": 9}, "chip.cores", "less than or equal to 4"),
    ],
)
def test_mistakes_name_their_place(options, where, what):
    with pytest.raises(UserError, match=what) as caught:
        chip(**options)
    assert caught.value.where == where


def test_accelerators_follow_the_genes():
    space = small(2, clock="500 MHz")
    genotype = space.sample(np.random.default_rng(0))
    assert len(space.accelerators(genotype)) == len(space.design(genotype))
    for accelerator in space.accelerators(genotype):
        assert accelerator.clock_hz == 500e6
    assert space.accelerators(genotype)[0] is space.accelerators(genotype)[0]  # made once
