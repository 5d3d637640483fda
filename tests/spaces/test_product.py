"""The product of spaces: candidates of all parts, against sets written out."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.knobs import Choice, IntRange, KnobSpace
from archip.core.protocols import CandidateSpace
from archip.spaces.product import ProductSpace


class Net(KnobSpace):
    @property
    def knobs(self):
        return {"width": IntRange(1, 4), "depth": IntRange(1, 3), "skip": Choice(["no", "yes"])}


class Hw(KnobSpace):
    @property
    def knobs(self):
        return {"pes": IntRange(8, 40, 8)}


@pytest.fixture
def space() -> ProductSpace:
    return ProductSpace({"net.a": Net(), "net.b": Net(), "hw": Hw()})


def test_it_is_a_candidate_space_of_all_parts(space):
    assert isinstance(space, CandidateSpace)
    candidate = space.sample(np.random.default_rng(0))
    assert set(candidate.net) == {"a", "b"}
    assert candidate.hw["pes"] % 8 == 0
    assert space.canonical(candidate) == candidate
    assert space.size == 24 * 24 * 5


def test_without_hardware_there_is_no_hw_part():
    assert ProductSpace({"net.a": Net()}).sample(np.random.default_rng(0)).hw is None


def test_enumerates_everything_once():
    space = ProductSpace({"net.a": Net(), "hw": Hw()})
    ids = [c.id for c in space.enumerate()]
    assert len(ids) == len(set(ids)) == space.size == 120


def test_mutation_changes_one_part_in_proportion_to_its_genes(space):
    rng = np.random.default_rng(0)
    changed = Counter()
    for _ in range(2000):
        candidate = space.sample(rng)
        child = space.mutate(candidate, rng)
        (part,) = [name for name in space.parts if child.parts[name] != candidate.parts[name]]
        changed[part] += 1
    assert changed["net.a"] / 2000 == pytest.approx(3 / 7, abs=0.05)
    assert changed["hw"] / 2000 == pytest.approx(1 / 7, abs=0.04)


def test_crossover_takes_parts_whole_or_crossed(space):
    rng = np.random.default_rng(0)
    a, b = space.sample(rng), space.sample(rng)
    kinds = Counter()
    for _ in range(300):
        child = space.crossover(a, b, rng)
        for name in space.parts:
            genes, one, other = child.parts[name], a.parts[name], b.parts[name]
            assert all(genes[gene] in (one[gene], other[gene]) for gene in genes)
        kinds[child.id] += 1
    assert a.id in kinds
    assert b.id in kinds
    assert len(kinds) > 10


def test_neighbours_differ_in_one_part(space):
    candidate = space.sample(np.random.default_rng(3))
    neighbours = list(space.neighbours(candidate))
    per_part = [len(list(s.neighbours(candidate.parts[n]))) for n, s in space.parts.items()]
    assert len(neighbours) == sum(per_part)
    for neighbour in neighbours:
        assert sum(neighbour.parts[n] != candidate.parts[n] for n in space.parts) == 1


def test_a_part_outside_its_space_is_refused(space):
    candidate = space.sample(np.random.default_rng(0))
    with pytest.raises(UserError, match="not allowed"):
        space.canonical(type(candidate)(candidate.net, {"pes": 9}))
