"""``archip cost``: figures, forms of output, and bad input."""

from __future__ import annotations

import csv
import json
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from _command import call
from torch import nn

TABLE = """network,layer,op,N,K,C,OY,OX,FY,FX,stride,padding,groups,MACs,count
a,conv1,conv,1,16,3,8,8,3,3,1,1,1,27648,1
a,fc,gemm,1,10,64,1,1,1,1,1,0,1,640,2
b,other,conv,1,8,8,4,4,1,1,1,0,1,1024,1
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "layers.csv"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize("template", ["nvdla", "shidiannao", "eyeriss"])
def test_totals_are_the_sums_of_the_layers_and_no_layer_beats_the_array(capsys, table, template):
    code, out, err = call(
        capsys, "cost", table, "--network", "a", "--on", template, "--pes", 64, "--clock", "500 MHz", "--json"
    )
    assert code == 0, err
    result = json.loads(out)
    assert [row["layer"] for row in result["layers"]] == ["conv1", "fc", "fc.2"]
    total = result["total"]
    assert total["macs"] == 27648 + 2 * 640
    for key in ("cycles", "energy_j", "params"):
        assert total[key] == pytest.approx(sum(row[key] for row in result["layers"]))
    assert total["latency_s"] == pytest.approx(total["cycles"] / 500e6)
    assert all(row["cycles"] >= row["macs"] / 64 for row in result["layers"])


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch's exporter about itself
def test_an_onnx_file_and_the_module_it_came_from_cost_the_same(capsys, tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "def net():\n    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU())\n"
    )
    monkeypatch.chdir(tmp_path)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU()).eval()
    torch.onnx.export(net, (torch.zeros(1, 3, 16, 16),), tmp_path / "net.onnx", dynamo=True, verbose=False)
    capsys.readouterr()
    totals = [
        json.loads(call(capsys, "cost", *arguments, "--on", "nvdla", "--json")[1])["total"]
        for arguments in (["net.onnx"], ["nets:net", "--input", "0=1x3x16x16"])
    ]
    assert totals[0] == totals[1]
    assert totals[0]["macs"] == 3 * 8 * 9 * 64 + 8 * 16 * 9 * 36


def test_csv_has_a_row_a_layer(capsys, table, tmp_path):
    assert call(capsys, "cost", table, "--on", "nvdla", "--csv", tmp_path / "out.csv")[0] == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["layer"] for row in rows] == ["conv1", "fc", "fc.2", "other"]
    assert all(int(row["cycles"]) > 0 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.onnx", "--on", "nvdla"], ["none.onnx"]),
        (["layers.csv", "--on", "nvdal"], ["nvdal", "nvdla"]),
        (["layers.csv", "--on", "nvdla", "--bandwidth", "16 GHz"], ["--bandwidth", "16 GHz"]),
        (["layers.csv", "--on", "nvdla", "--network", "c"], ["'c'"]),
        (["broken.csv", "--on", "nvdla"], ["broken.csv", "row 2"]),
        (["truncated.onnx", "--on", "nvdla"], ["truncated.onnx"]),
        (["nowhere.nets:net", "--on", "nvdla", "--input", "0=1x3"], ["nowhere"]),
        (["torch.nn:ReLU", "--on", "nvdla"], ["--input"]),
        (["layers.csv", "--on", "nvdla", "--input", "x=ax3"], ["--input"]),
        (["layers.csv", "--on", "nvdla", "--density", "1.5"], ["--density", "'1.5'"]),
        (["layers.csv", "--on", "nvdla", "--density", "conv=0.5"], ["--density", "'conv1'"]),
        (["layers.csv", "--on", "nvdla", "--mapper", "exhaust"], ["--mapper", "'exhaustive'"]),
        (["layers.csv", "--on", "nvdla", "--mappings", 9], ["--mappings", "exhaustive", "torch_random"]),
        (["layers.csv", "--on", "nvdla", "--mapper", "random_mapper", "--device", "cpu"], ["--device", "torch_random"]),
        (["layers.csv", "--on", "nvdla", "--device", "cuda:99"], ["--device: there is no device cuda:99", "NVIDIA"]),
        (["layers.csv", "--on", "nvdla", "--device", "gpu"], ["--device", "'gpu'", "cuda"]),
        (["layers.csv", "--on", "nvdla", "--plot", "costs.pdf"], ["--plot", ".pdf", ".png"]),
        (["layers.csv", "--on", "nvdla", "--plot", "nowhere/costs.png"], ["nowhere/costs.png", "no folder"]),
        (["layers.csv", "--on", "nvdla", "--plot", "nowhere/costs.html"], ["nowhere/costs.html", "no folder"]),
        (["layers.csv", "--on", "nvdla", "--csv", "nowhere/costs.csv"], ["nowhere/costs.csv", "no folder"]),
        (["layers.csv", "--on", "nvdla", "--csv", "."], ["is a folder"]),
        (["layers.csv", "--model", "maestro", "--density", "0.5"], ["--density", "loopnest"]),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(capsys, table, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.csv").write_text(TABLE.replace("16,3,8", "16,many,8"))
    (tmp_path / "truncated.onnx").write_bytes(b"\x08\x0a\x12\xff")
    code, out, err = call(capsys, "cost", *arguments)
    assert code == 2
    assert out == ""
    for word in words:
        assert word in err


def test_zeros_are_skipped_where_the_accelerator_does(capsys, tmp_path):
    """2 of 4 along C: fewer cycles on the accelerator that skips, the same on the other, which saves energy alone."""
    table = tmp_path / "layers.csv"
    table.write_text("layer,op,N,K,C,OY,OX,FY,FX,stride,padding,groups\nwide,conv,1,256,256,14,14,3,3,1,1,1\n")
    text = (Path(__file__).parents[2] / "examples" / "my_accelerator.yaml").read_text()
    (tmp_path / "dense.yaml").write_text(text)
    (tmp_path / "sparse.yaml").write_text(text + "skipping: '2:4'\n")
    given = {}
    for chip, density in product(("dense", "sparse"), ([], ["--density", "0.5"], ["--density", "wide=0.25"])):
        code, out, err = call(capsys, "cost", table, "--on", tmp_path / f"{chip}.yaml", *density, "--json")
        assert code == 0, err
        given[chip, "".join(density[1:])] = json.loads(out)["total"]
    dense, half, quarter = (given["dense", told] for told in ("", "0.5", "wide=0.25"))
    assert dense["cycles"] == half["cycles"] == quarter["cycles"] == given["sparse", ""]["cycles"]
    assert dense["energy_j"] > half["energy_j"] > quarter["energy_j"]
    assert given["sparse", "0.5"]["cycles"] < 0.6 * dense["cycles"]


def test_mappings_can_be_drawn_and_costed_in_torch(capsys, table):
    """Random mappings are no better than the best of the dataflow by much, and more of them are not worse."""
    cycles = []
    for options in ([], ["--device", "cpu", "--mappings", 50], ["--device", "cpu", "--mappings", 4000]):
        code, out, err = call(capsys, "cost", table, "--network", "a", "--on", "nvdla", "--pes", 64, *options, "--json")
        assert code == 0, err
        cycles.append(json.loads(out)["total"]["cycles"])
    best, few, many = cycles
    assert many < few
    assert 0.9 * best < many < 2 * best


def test_the_plot_can_be_a_picture(capsys, table, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    path = tmp_path / "costs.png"
    assert call(capsys, "cost", table, "--on", "nvdla", "--plot", path)[0] == 0
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as if it were not installed
    code, _, err = call(capsys, "cost", table, "--on", "nvdla", "--plot", tmp_path / "other.png")
    assert code == 2
    assert "archip[plot]" in err
    assert not (tmp_path / "other.png").exists()
