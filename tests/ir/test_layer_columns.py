import numpy as np
import pytest

from archip.core.errors import UserError
from archip.ir.graph import GraphBuilder
from archip.ir.layer_table import LayerTable
from archip.ir.workload import workload


def test_missing_columns_are_neutral():
    table = LayerTable.of({"K": [4, 6], "C": 3, "OY": 5})
    assert len(table) == 2
    assert table.macs.tolist() == [60, 90]
    assert table.IX.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"K": 4}, "column C is missing"),
        ({"K": [4, 0], "C": 1}, "row 2, column K: 0 is out of range"),
        ({"K": 4, "C": 1, "padding": -1}, "row 1, column padding: -1 is out of range"),
        ({"K": 4, "C": 6, "groups": 4}, "row 1, column groups: K 4 and C 6 do not divide into 4"),
    ],
)
def test_bad_columns(columns, message):
    with pytest.raises(UserError, match=message):
        LayerTable.of(columns)


def test_read_csv(tmp_path):
    file = tmp_path / "layers.csv"
    file.write_text("network,layer,K,C,OY,OX,FY,FX,stride\na,b,8,4,6,7,3,3,2\n")
    table = LayerTable.read_csv(file)
    assert (int(table.IY[0]), int(table.IX[0]), int(table.macs[0])) == (13, 15, 8 * 4 * 6 * 7 * 9)
    file.write_text("K,C\n8,many\n")
    with pytest.raises(UserError, match="not a whole number"):
        LayerTable.read_csv(file)
    with pytest.raises(UserError, match="No such file"):
        LayerTable.read_csv(tmp_path / "none.csv")


def test_of_workload_counts_the_same_macs():
    b = GraphBuilder()
    x = b.input("image", (1, 3, 16, 16), "NCHW")
    x = b.add("conv", x, name="a", out_channels=8, kernel=(3, 3), stride=(2, 2), padding=(1, 1))
    x = b.add("relu", x, name="r")
    x = b.add("conv", x, name="dw", out_channels=8, kernel=(3, 3), padding=(1, 1), groups=8)
    x = b.add("flatten", x, name="f")
    x = b.add("linear", x, name="fc", out_features=10)
    loads = workload(b.finish(x))
    table = LayerTable.of_workload(loads)
    assert table.depthwise.tolist() == [False, True, False]
    assert table.stride.tolist() == [2, 1, 1]
    assert table.macs.sum() == loads.macs


def test_select_takes_rows():
    table = LayerTable.of({"K": [1, 2, 3], "C": 1})
    assert table.select(np.array([2, 0])).K.tolist() == [3, 1]
