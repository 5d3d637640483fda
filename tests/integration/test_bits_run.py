"""A run that searches networks and bits together, from the problem file to quantised files and the report."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
import archip

PROBLEM = {
    "name": "bits",
    "tasks": {
        "waves": {
            "data": {"synthetic": {"n_samples": 120, "n_classes": 3, "size": 16, "axes": "NCL"}},
            "net": {"conv1d": {"depths": [1, 2], "widths": [4, 8]}},
        }
    },
    "target": {"mcu": {"flash": "68 KiB", "sram": "64 KiB"}},
    "compress": {"weight_bits": [2, 4, 8]},
    "evaluator": {"supernet": {"epochs": 10}},
    "budget": {"candidates": 24, "batch": 8},
    "finish": {"keep": 2, "epochs": 2},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return archip.run(PROBLEM, tmp_path_factory.mktemp("run"))


def test_records_have_bits_of_each_layer(result):
    genes = [record.candidate.compress["waves"] for record in result.records]
    assert {value for gene in genes for value in gene.values()} == {2, 4, 8}
    assert all(gene["activation_bits"] == 8 and "classifier.weight_bits" in gene for gene in genes)
    flash = {r.candidate.id: r.metrics["flash_bytes"] for r in result.records}
    assert len(set(flash.values())) > 8


def test_the_answer_is_measured_at_its_bits_and_exported(result):
    task = result.summary["tasks"]["waves"]
    told = task["quantized"]
    assert told["bits"]["activation_bits"] == 8
    assert told["test"] == task["value"]
    assert (result.folder / "artifacts" / "waves" / told["file"]).exists()
    assert abs(told["onnx_test"] - told["test"]) <= 0.02
    assert result.summary["artifacts"]["waves"]["qdq_onnx"].endswith("waves.qdq.onnx")
    assert "at its bits" in (result.folder / "report.html").read_text()


def test_the_same_command_goes_on_to_the_same_answer(result):
    again = archip.run(PROBLEM, result.folder)
    assert again.summary["candidate"] == result.summary["candidate"]


@pytest.mark.parametrize("strategy", ["linas", "local_search", "nested"])
def test_other_strategies_search_bits_as_well(strategy, tmp_path):
    problem = {**PROBLEM, "baselines": [], "finish": {"keep": 1, "epochs": 0}}
    options = {"population": 8} if strategy == "linas" else {}
    if strategy == "nested":
        problem |= {"target": {"chip": {"cores": 1, "pes": {"total": 128, "step": 64},
                                        "bandwidth": {"total": "8 GB/s", "step": "4 GB/s"}}}}  # fmt: skip
    found = archip.run({**problem, "strategy": {strategy: options}}, tmp_path)
    assert len(found.records) == 24
    assert json.loads((tmp_path / "summary.json").read_text())["tasks"]["waves"]["quantized"]["file"]
