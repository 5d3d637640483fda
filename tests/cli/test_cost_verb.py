"""``archip cost``: figures, forms of output, and bad input."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from torch import nn

from archip.cli.main import run

TABLE = """network,layer,op,N,K,C,OY,OX,FY,FX,stride,padding,groups,MACs,count
a,conv1,conv,1,16,3,8,8,3,3,1,1,1,27648,1
a,fc,gemm,1,10,64,1,1,1,1,1,0,1,640,2
b,other,conv,1,8,8,4,4,1,1,1,0,1,1024,1
"""


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        run(["cost", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "layers.csv"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize("template", ["nvdla", "shidiannao", "eyeriss"])
def test_totals_are_the_sums_of_the_layers_and_no_layer_beats_the_array(capsys, table, template):
    code, out, err = call(
        capsys, table, "--network", "a", "--on", template, "--pes", 64, "--clock", "500 MHz", "--json"
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
        json.loads(call(capsys, *arguments, "--on", "nvdla", "--json")[1])["total"]
        for arguments in (["net.onnx"], ["nets:net", "--input", "0=1x3x16x16"])
    ]
    assert totals[0] == totals[1]
    assert totals[0]["macs"] == 3 * 8 * 9 * 64 + 8 * 16 * 9 * 36


def test_csv_has_a_row_a_layer(capsys, table, tmp_path):
    assert call(capsys, table, "--on", "nvdla", "--csv", tmp_path / "out.csv")[0] == 0
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
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(capsys, table, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.csv").write_text(TABLE.replace("16,3,8", "16,many,8"))
    (tmp_path / "truncated.onnx").write_bytes(b"\x08\x0a\x12\xff")
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    for word in words:
        assert word in err
