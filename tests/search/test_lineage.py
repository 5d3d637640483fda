"""Lineage: births as they were, and measures by hand."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from archip.core import registry
from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Objective
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record
from archip.search.lineage import Birth, LineageFile, children, diversity, greediness, prefix_hits, traced
from archip.spaces.product import ProductSpace
from archip.testing.toy import ToyKnobs


@pytest.fixture
def space():
    return traced(ProductSpace({"net.a": ToyKnobs(4)}))


def searched(space, name, options, n=60):
    strategy = registry.create("strategies", name, options)
    strategy.start(space, Goals((Objective("quality", 1),)))
    records = []
    for number in range(n):
        (candidate,) = strategy.ask(1, np.random.default_rng([7, number]))
        quality = float(sum(v for v in candidate.net["a"].values() if isinstance(v, int | float)))
        records.append(Record(candidate, {"quality": quality}, number=number))
        strategy.tell(records[-1:])
    return records


def test_a_traced_space_is_the_space(space):
    assert isinstance(space, KnobbedSpace)
    plain = searched(ProductSpace({"net.a": ToyKnobs(4)}), "regularized_evolution", {"population": 8})
    assert [r.candidate.id for r in searched(space, "regularized_evolution", {"population": 8})] == [
        r.candidate.id for r in plain
    ]


def test_evolution_mutates_the_living_and_nsga2_has_two_parents(space):
    records = searched(space, "regularized_evolution", {"population": 8})
    for number, record in enumerate(records):
        birth = space.birth(record.candidate)
        living = {r.candidate.id for r in records[max(0, number - 8) : number]}
        assert birth.how in (("sample",) if number < 8 else ("mutate", "sample"))
        assert set(birth.parents) <= living
    assert sum(space.birth(r.candidate).how == "mutate" for r in records) > 30
    other = traced(ProductSpace({"net.a": ToyKnobs(4)}))
    known: set[str] = set()
    for record in searched(other, "nsga2", {"population": 8}):
        assert set(other.birth(record.candidate).parents) <= known
        known.add(record.candidate.id)
    assert other.birth(Candidate({"a": {}})).how == "other"  # nobody bred it


def test_the_file_has_a_row_for_each_record(space, tmp_path):
    records = searched(space, "regularized_evolution", {"population": 8}, 20)
    births = [space.birth(r.candidate) for r in records]
    file = LineageFile(tmp_path / "lineage.csv", space)
    file.told(records[:5])
    file.told(records[5:])
    rows = list(csv.DictReader((tmp_path / "lineage.csv").read_text().splitlines()))
    assert [row["candidate"] for row in rows] == [r.candidate.id for r in records]
    assert [row["parents"].split() for row in rows] == [list(birth.parents) for birth in births]
    assert [float(row["quality"]) for row in rows] == [r.metrics["quality"] for r in records]


def test_measures_by_hand():
    codes = np.array([[0, 0], [0, 1], [0, 1], [2, 2]])
    # pairs of the first three: differ in (second), (second), none: 2 of 6 genes; of the last: 4
    assert diversity(codes, 3) == pytest.approx([2 / 6, 4 / 6])
    assert prefix_hits(codes, 10) == pytest.approx([0, 0.5, 1, 0])
    assert prefix_hits(np.array([[0, 0], [1, 1], [0, 0]]), 2) == pytest.approx([0, 0, 0])  # pushed out meanwhile
    births = [Birth("sample"), Birth("mutate", ("a",)), Birth("crossover", ("a", "b"))]
    assert children(births) == {"a": 2, "b": 1}
    a, b, c, d = (Candidate({"t": i}) for i in range(4))
    records = [Record(x, {"quality": q}) for x, q in ((a, 0.5), (b, 0.7), (c, 0.6), (d, 0.1))]
    bred = {b.id: Birth("mutate", (a.id,)), c.id: Birth("mutate", (a.id,)), d.id: Birth("mutate", (b.id,))}
    assert greediness(records, bred) == pytest.approx(2 / 3)
    assert greediness(records, bred, batch=4) == 0  # nothing was known when they were asked for
