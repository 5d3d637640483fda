"""A whole run on workers ends with what a run in one process ends with."""

from __future__ import annotations

import pytest

import archip


def told(result):
    """All that should not depend on who evaluated."""
    records = [(r.number, r.candidate.id, dict(r.metrics), str(r.status)) for r in result.records]
    finalists = [(f["id"], f["quality"], f["test"]) for f in result.summary["finalists"]]
    return records, finalists, [r.candidate.id for r in result.front], result.summary["comparison"]


@pytest.fixture(scope="module")
def small():
    return {
        "name": "small",
        "tasks": {"shapes": {"data": {"synthetic": {}}, "net": "resnet9"}},
        "target": {"chip": {"cores": 2, "pes": {"total": 512, "step": 64}}},
        "limits": {"latency": "1 ms", "energy": "1 mJ", "area": "10 mm2"},
        "strategy": {"nsga2": {"population": 8}},
        "evaluator": {"supernet": {"epochs": 1}},
        "budget": {"candidates": 16, "batch": 8},
        "finish": {"keep": 2, "epochs": 1, "seeds": 2},
        "baselines": [],
    }


@pytest.fixture(scope="module")
def alone(small, tmp_path_factory):
    return told(archip.run(small, tmp_path_factory.mktemp("alone")))


@pytest.mark.parametrize("workers", [2, {"processes": {"n": 4}}])
def test_local_processes_end_as_one_process_does(small, alone, tmp_path, workers):
    assert told(archip.run(small, tmp_path, workers=workers)) == alone


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_two_ray_nodes_end_as_one_process_does(small, alone, tmp_path, ray_cluster):
    assert told(archip.run(small, tmp_path, workers=ray_cluster.address)) == alone
