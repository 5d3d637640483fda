"""``archip cost`` with other tools' models, with plots, and with operators that it cannot cost."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import onnx
import pytest
from _command import call
from onnx import TensorProto, helper

from archip.cli.main import run

TABLE = """network,layer,op,N,K,C,OY,OX,FY,FX,stride,padding,groups,MACs,count
a,conv1,conv,1,16,3,8,8,3,3,1,1,1,27648,1
a,fc,gemm,1,10,64,1,1,1,1,1,0,1,640,2
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "layers.csv"
    path.write_text(TABLE)
    return path


MAESTRO = ["--model", "maestro", "--dataflow", "kcp_ws", "--pes", 256, "--cluster", 64, "--noc", 64]
SYSTOLIC = ["--model", "systolic", "--dataflow", "ws", "--array", "32x32"]
KEYS = {
    "maestro": ("network", "layer", "dataflow", "cluster_size", "pes", "noc_bw", "offchip_bw"),
    "scalesim": ("network", "layer", "array_rows", "array_cols", "dataflow", "mode"),
}


@pytest.mark.golden
@pytest.mark.parametrize(("tool", "arguments", "rounded"), [("maestro", MAESTRO, 1e-5), ("scalesim", SYSTOLIC, 6e-5)])
def test_the_columns_are_those_of_the_tool(capsys, tmp_path, tool, arguments, rounded):
    folder = os.environ.get("ARCHIP_REFERENCE")
    if folder is None:
        pytest.skip("ARCHIP_REFERENCE names no folder of reference tables")
    assert call(capsys, "cost", Path(folder) / "layers.csv", *arguments, "--csv", tmp_path / "out.csv")[0] == 0
    ours = {
        tuple(row[k] for k in KEYS[tool]): row
        for row in csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    }
    with open(Path(folder) / f"{tool}.csv") as file:
        theirs = [row for row in csv.DictReader(file) if tuple(row[k] for k in KEYS[tool]) in ours]
    assert len(theirs) >= 40
    for row in theirs:
        mine = ours[tuple(row[k] for k in KEYS[tool])]
        for column in set(mine) - {"op", *KEYS[tool], "ifmap_dram_reads"}:
            assert float(mine[column]) == pytest.approx(float(row[column]), rel=rounded, abs=rounded), (column, row)


def test_totals_count_how_often_a_layer_occurs(capsys, table):
    for arguments, cycles in ((MAESTRO, "runtime_cycles"), (SYSTOLIC, "total_cycles")):
        result = json.loads(call(capsys, "cost", table, *arguments, "--json")[1])
        assert [row["layer"] for row in result["layers"]] == ["conv1", "fc"]
        assert result["total"]["macs"] == 27648 + 2 * 640
        assert result["total"]["cycles"] == result["layers"][0][cycles] + 2 * result["layers"][1][cycles]
        assert result["total"]["energy_j"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*SYSTOLIC, "--on", "nvdla"], ["--on", "loopnest"]),
        (["--on", "nvdla", "--dataflow", "ws"], ["--dataflow", "maestro"]),
        ([], ["--on", "nvdla"]),
        (["--model", "systolic", "--array", "32"], ["--array", "32x32"]),
        (["--model", "systolic", "--dataflow", "rs"], ["'rs'", "ws, os or is"]),
        (["--model", "maestro", "--dataflow", "kcp"], ["kcp"]),
        (["--model", "maestro", "--pes", 16], ["--cluster"]),
        (["--on", "nvdla", "--plot", "costs.pdf"], ["--plot", ".html"]),
    ],
)
def test_options_that_do_not_fit_are_refused(capsys, table, arguments, words):
    code, out, err = call(capsys, "cost", table, *arguments)
    assert (code, out) == (2, "")
    for word in words:
        assert word in err


def test_what_cannot_be_costed_is_named_and_left_out(capsys, tmp_path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 8))
    nodes = [helper.make_node("Relu", ["x"], ["a"], name="first"), helper.make_node("Shrink", ["a"], ["y"], name="odd")]
    graph = helper.make_graph(nodes, "g", [x], [helper.make_empty_tensor_value_info("y")])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "n.onnx")
    code, out, _ = call(capsys, "cost", tmp_path / "n.onnx", "--on", "nvdla", "--json")
    assert code == 0
    (entry,) = json.loads(out)["unsupported"]
    assert (entry["node"], entry["operator"]) == ("odd", "Shrink")
    assert "not costed: odd (Shrink)" in call(capsys, "cost", tmp_path / "n.onnx", "--on", "nvdla")[1]


def test_an_open_shape_is_asked_for_by_option_and_taken(capsys, tmp_path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n",))
    made = [helper.make_empty_tensor_value_info("y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], made)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "n.onnx")
    code, out, err = call(capsys, "cost", tmp_path / "n.onnx", "--on", "nvdla")
    assert (code, out) == (2, "")
    assert "--input NAME=" in err
    for given in ("x=64", "n=64"):
        assert call(capsys, "cost", tmp_path / "n.onnx", "--on", "nvdla", "--input", given)[0] == 0


def test_the_plot_is_one_page_with_every_layer(capsys, table, tmp_path):
    assert call(capsys, "cost", table, "--on", "nvdla", "--plot", tmp_path / "costs.html")[0] == 0
    page = (tmp_path / "costs.html").read_text()
    assert '"conv1"' in page
    assert '"fc.2"' in page
    assert 'src="http' not in page  # needs no network


def test_shipped_accelerators_are_listed_shown_and_used(capsys, table):
    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            run(list(arguments))
        return capsys.readouterr().out

    assert "tpu_like" in json.loads(said("list", "accelerators", "--json"))
    assert "sources:" in said("show", "tpu_like")
    first, second = (
        json.loads(call(capsys, "cost", table, "--on", name, "--json")[1])["total"]["cycles"]
        for name in ("tpu_like", "scalar_mcu")
    )
    assert second >= 27648 + 2 * 640 > first  # one multiplier against 1,024
    code, _, err = call(capsys, "cost", table, "--on", "tpu_lik")
    assert code == 2
    assert "tpu_like" in err
    code, _, err = call(capsys, "cost", table, "--on", "tpu_like", "--pes", 64)
    assert code == 2
    assert "--pes" in err
