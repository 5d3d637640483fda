"""Finish: which candidates are chosen, how finalists are ranked, and what becomes of trainings that fail."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from archip.core.candidate import Candidate
from archip.core.errors import ArchipError, CandidateError
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record
from archip.search.finish import Trained, choose, finish, measured, retrained

GOALS = Goals((Objective("quality", 1), Objective("energy_j", -1)), (Limit("quality", 0.5),))
TASK = SimpleNamespace(name="a", metric="accuracy", weight=1.0)


def record(net: int, quality: float, energy: float, hw: int = 0) -> Record:
    return Record(Candidate({"a": {"i": net}}, {"i": hw}), {"quality": quality, "energy_j": energy})


class FakeTrainer:
    """Network i reaches i / 10; network 9 diverges, and so does every second training of network 3."""

    options = SimpleNamespace(seeds=3)

    def train(self, task, genotype, repeat=0, bits=None):
        if genotype["i"] == 9 or (genotype["i"] == 3 and repeat == 1):
            raise CandidateError("loss is nan")
        score = genotype["i"] / 10 + repeat / 100
        return Trained(task, genotype, None, score, score, 1.0, 1, bits=bits or {})


def test_the_best_qualities_are_chosen_each_network_once():
    records = [record(1, 0.9, 5.0), record(1, 0.9, 4.0, hw=1), record(2, 0.8, 1.0), record(3, 0.95, 9.0)]
    chosen = choose(records, GOALS, 2)
    assert [r.candidate.net["a"]["i"] for r in chosen] == [3, 1]
    assert chosen[1].metrics["energy_j"] == 4.0


def test_a_network_at_other_bits_is_another_finalist():
    records = [
        Record(Candidate({"a": {"i": 5}}, compress={"a": {"weight_bits": bits}}), {"quality": q, "energy_j": 1.0})
        for bits, q in ((4, 0.8), (8, 0.9), (4, 0.7))
    ]
    chosen = choose(records, GOALS, 3)
    assert [r.metrics["quality"] for r in chosen] == [0.9, 0.8]
    found = finish(FakeTrainer(), [TASK], chosen, GOALS)
    assert [f.networks["a"].bits for f in found] == [{"weight_bits": 8}, {"weight_bits": 4}]


def test_finalists_are_ranked_by_what_was_measured_limits_first():
    chosen = [record(4, 0.99, 1.0), record(7, 0.6, 2.0), record(6, 0.7, 3.0)]
    ranked = finish(FakeTrainer(), [TASK], chosen, GOALS)
    assert [f.record.candidate.net["a"]["i"] for f in ranked] == [7, 6, 4]
    assert measured(ranked[0]) == {"quality": 0.7, "a.accuracy": 0.7, "energy_j": 2.0}


def test_a_training_that_diverges_is_left_out_and_if_all_do_the_reason_is_said():
    ranked = finish(FakeTrainer(), [TASK], [record(9, 0.9, 1.0), record(8, 0.8, 1.0)], GOALS)
    assert len(ranked) == 1
    with pytest.raises(ArchipError, match="loss is nan"):
        finish(FakeTrainer(), [TASK], [record(9, 0.9, 1.0)], GOALS)


def test_other_seeds_give_the_noise_of_training_and_may_fail():
    (finalist,) = finish(FakeTrainer(), [TASK], [record(3, 0.9, 1.0)], GOALS)
    assert retrained(FakeTrainer(), finalist) == {"a": [0.3, 0.32]}
