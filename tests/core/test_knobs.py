from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archip.core.candidate import canonical_json
from archip.core.errors import CandidateError, UserError
from archip.core.knobs import Choice, IntRange, Knob, KnobSpace

OPS = ("conv", "pool", "skip")


class Toy(KnobSpace):
    """A block of 1 or 2 layers: a width, an operation for each layer, a kernel for convolutions.

    Condition: layer 1 exists with depth 2 only, kernels belong to convolutions. Constraint: width x depth at most 40.
    Collapse: the order of two layers does not matter.
    """

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"depth": IntRange(1, 2), "width": IntRange(8, 32, 8)}
        for layer in range(2):
            knobs[f"op{layer}"] = Choice(OPS, ordered=False)
            knobs[f"kernel{layer}"] = Choice([3, 5, 7])
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        if name.endswith("1") and genes["depth"] == 1:
            return False
        return not name.startswith("kernel") or genes[f"op{name[-1]}"] == "conv"

    def permits(self, genes: Mapping[str, Any]) -> bool:
        return genes["width"] * genes["depth"] <= 40

    def collapse(self, genes: dict[str, Any]) -> dict[str, Any]:
        if genes["depth"] == 1:
            return genes
        layers = sorted((OPS.index(genes[f"op{i}"]), genes.get(f"kernel{i}", 0)) for i in range(2))
        for i, (op, kernel) in enumerate(layers):
            genes[f"op{i}"] = OPS[op]
            genes.pop(f"kernel{i}", None)
            if kernel:
                genes[f"kernel{i}"] = kernel
        return {name: genes[name] for name in self.knobs if name in genes}


class Single(KnobSpace):
    """One genotype only."""

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {"a": Choice(["x"]), "b": IntRange(3, 3)}


class Impossible(Single):
    def permits(self, genes: Mapping[str, Any]) -> bool:
        return False


SPACE = Toy()
LAYERS = [("conv", 3), ("conv", 5), ("conv", 7), ("pool", 0), ("skip", 0)]
SEEDS = st.integers(0, 2**32)


def brute_force() -> set[str]:
    """All genotypes, written down without the space's own rules."""
    found = []
    for width in (8, 16, 24, 32):
        found += [(width, (layer,)) for layer in LAYERS]
        if width * 2 <= 40:
            found += [(width, pair) for pair in itertools.combinations_with_replacement(LAYERS, 2)]
    texts = set()
    for width, layers in found:
        genes: dict[str, Any] = {"depth": len(layers), "width": width}
        for i, (op, kernel) in enumerate(layers):
            genes[f"op{i}"] = op
            if kernel:
                genes[f"kernel{i}"] = kernel
        texts.add(canonical_json(genes))
    return texts


ALL = brute_force()


def sample(seed: int) -> dict[str, Any]:
    return SPACE.sample(np.random.default_rng(seed))


def test_enumeration_is_complete_and_without_repeats():
    texts = [canonical_json(genes) for genes in SPACE.enumerate()]
    assert len(texts) == len(set(texts))
    assert set(texts) == ALL
    assert len(ALL) == 4 * 5 + 2 * 15


def test_size_is_an_upper_bound():
    assert SPACE.size == 2 * 4 * 3 * 3 * 3 * 3
    assert len(ALL) <= SPACE.size


@given(SEEDS)
def test_everything_handed_out_is_in_the_space(seed: int):
    rng = np.random.default_rng(seed)
    a, b = SPACE.sample(rng), SPACE.sample(rng)
    handed_out = [a, b, SPACE.mutate(a, rng), SPACE.crossover(a, b, rng), *SPACE.neighbours(a)]
    for genes in handed_out:
        assert canonical_json(genes) in ALL
        assert SPACE.canonical(genes) == genes
        assert list(genes) == [name for name in SPACE.knobs if name in genes]


@given(SEEDS)
def test_the_same_seed_gives_the_same(seed: int):
    def draw() -> list[dict[str, Any]]:
        rng = np.random.default_rng(seed)
        a, b = SPACE.sample(rng), SPACE.sample(rng)
        return [a, b, SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)]

    assert draw() == draw()


@given(SEEDS)
def test_mutation_changes_something_and_leaves_the_parent_alone(seed: int):
    parent = sample(seed)
    before = dict(parent)
    assert SPACE.mutate(parent, np.random.default_rng(seed)) != before
    assert parent == before


@given(SEEDS)
def test_crossover_takes_genes_of_the_parents(seed: int):
    rng = np.random.default_rng(seed)
    space = Plain()
    a, b = space.sample(rng), space.sample(rng)
    child = space.crossover(a, b, rng)
    assert all(child[n] in (a[n], b[n]) for n in space.knobs)


class Plain(KnobSpace):
    """Three knobs without conditions."""

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {"n": IntRange(0, 9), "kind": Choice(["a", "b", "c"], ordered=False), "size": Choice([1, 4, 16])}


def test_neighbours_by_hand():
    found = [canonical_json(g) for g in Plain().neighbours({"n": 0, "kind": "b", "size": 4})]
    expected = [
        {"n": 1, "kind": "b", "size": 4},
        {"n": 0, "kind": "a", "size": 4},
        {"n": 0, "kind": "c", "size": 4},
        {"n": 0, "kind": "b", "size": 1},
        {"n": 0, "kind": "b", "size": 16},
    ]
    assert found == [canonical_json(g) for g in expected]


def test_neighbours_are_all_different():
    for genes in SPACE.enumerate():
        texts = [canonical_json(g) for g in SPACE.neighbours(genes)]
        assert len(texts) == len(set(texts))


def test_neighbourhood_reaches_the_whole_space():
    reached, edge = set(), [next(SPACE.enumerate())]
    while edge:
        genes = edge.pop()
        if canonical_json(genes) not in reached:
            reached.add(canonical_json(genes))
            edge += SPACE.neighbours(genes)
    assert reached == ALL


def test_sampling_is_uniform_over_each_knob():
    rng = np.random.default_rng(0)
    counts = Counter(Plain().sample(rng)["n"] for _ in range(5000))
    assert len(counts) == 10
    assert max(abs(c - 500) for c in counts.values()) < 4 * (5000 * 0.1 * 0.9) ** 0.5


@given(SEEDS)
def test_canonical_of_any_spelling(seed: int):
    genes = {"depth": 2, "width": 16, "op0": "skip", "op1": "conv", "kernel1": 5}
    rng = np.random.default_rng(seed)
    shuffled = {str(name): genes[str(name)] for name in rng.permutation(list(genes))}
    expected = {"depth": 2, "width": 16, "op0": "conv", "kernel0": 5, "op1": "skip"}
    assert SPACE.canonical(shuffled | {"kernel0": 7}) == expected  # the kernel of a skip means nothing


def test_equal_numbers_have_one_spelling():
    text = canonical_json(Plain().canonical({"n": 1, "kind": "a", "size": 4}))
    assert canonical_json(Plain().canonical({"n": True, "kind": "a", "size": 4.0})) == text


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        ({"depth": 1, "width": 8}, "op0: gene is missing"),
        ({"depth": 1, "width": 9, "op0": "skip"}, r"width: 9 is not allowed \(one of \[8, 16, 24, 32\]"),
        ({"depth": 1, "width": 8, "op0": "skip", "widthx": 8}, "unknown gene 'widthx' .*did you mean 'width'"),
        ({"depth": 2, "width": 24, "op0": "skip", "op1": "skip"}, "breaks a constraint"),
    ],
)
def test_refused(genes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        SPACE.canonical(genes)


def test_a_space_of_one():
    space, rng = Single(), np.random.default_rng(0)
    only = {"a": "x", "b": 3}
    assert list(space.enumerate()) == [only]
    assert space.sample(rng) == space.mutate(only, rng) == space.crossover(only, only, rng) == only
    assert list(space.neighbours(only)) == []


def test_impossible_constraint():
    with pytest.raises(CandidateError, match="no genotype that keeps the constraints"):
        Impossible().sample(np.random.default_rng(0))
