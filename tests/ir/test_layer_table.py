import os
from pathlib import Path

import pytest

from archip.core.errors import UserError
from archip.ir.layer_table import from_table

HEADER = "network,layer,op,N,K,C,OY,OX,FY,FX,stride,padding,groups,MACs,count\n"
CONV = "net,a,conv,1,64,3,16,16,3,3,2,1,1,442368,1\n"
DEPTHWISE = "net,b,dwconv,1,64,64,16,16,3,3,1,1,64,147456,2\n"
GEMM = "other,c,gemm,1,10,64,1,1,1,1,1,0,1,640,1\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "layers.csv"

    def write(text: str) -> Path:
        path.write_text(text)
        return path

    return write


def test_rows_by_hand(table):
    w = from_table(table(HEADER + CONV + DEPTHWISE + GEMM))
    assert w.names == ("a", "b", "b.2", "c")
    assert w.kinds == ("conv", "conv", "conv", "gemm")
    depthwise = [1, 64, 1, 1, 16, 16, 3, 3]
    assert w.dims_LD.tolist() == [[1, 1, 64, 3, 16, 16, 3, 3], depthwise, depthwise, [1, 1, 10, 64, 1, 1, 1, 1]]
    assert w.macs_L.tolist() == [442368, 147456, 147456, 640]
    assert w.predecessors == ((), (0,), (1,), ())
    assert w.moved_LO[0].tolist() == [64 * 27, 3 * 31 * 31, 64 * 256]
    assert from_table(table(HEADER + CONV + GEMM), network="other").names == ("c",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "no rows"),
        (HEADER.replace(",OX", "") + CONV, "column OX is missing"),
        (HEADER + CONV.replace("conv,1", "cnov,1"), r"row 2, column op: unknown operator 'cnov'.*'conv'"),
        (HEADER + CONV + GEMM.replace("64", "6.4"), r"row 3, column C: '6\.4' is not a whole number"),
        (HEADER + CONV.replace("conv,1,64", "conv,1,0"), r"row 2, column K: 0 is out of range"),
        (HEADER + CONV.replace(",1,442368", ",2,442368"), "row 2, column groups: K 64 and C 3 do not divide into 2"),
        (HEADER + CONV.replace("442368", "442369"), r"row 2, column MACs: 442369 does not fit.*442368"),
        (HEADER + "net,a,conv,1,64\n", "row 2, column C: '' is not a whole number"),
        (HEADER + CONV.replace("442368,1\n", f"442368,{2**39}\n"), r"column count: layers occur 5\.49756e\+11 times"),
        (HEADER + f"net,a,gemm,1,{2**39},{2**39},1,1,1,1,1,0,1,,1\n", "row 2: the layer is too large to be counted"),
    ],
)
def test_what_is_wrong_names_row_and_column(table, text, message):
    with pytest.raises(UserError, match=message):
        from_table(table(text))


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(UserError, match=r"gone\.csv.*cannot be read"):
        from_table(tmp_path / "gone.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bytes\.csv"):
        from_table(tmp_path / "bytes.csv")


def test_an_unknown_network_is_named(table):
    with pytest.raises(UserError, match=r"'nett'.*'net'"):
        from_table(table(HEADER + CONV), network="nett")


@pytest.mark.golden
@pytest.mark.parametrize(
    ("network", "macs"),
    [("alexnet", 714_188_480), ("resnet18", 1_814_073_344), ("mobilenetv2", 300_774_272),
     ("resnet9_w16", 24_036_608), ("resnet9_w128", 1_513_498_624)],
)  # fmt: skip
def test_totals_of_the_reference_table(network, macs):
    folder = os.environ.get("ARCHIP_REFERENCE")
    if not folder:
        pytest.skip("ARCHIP_REFERENCE names no folder with the reference tables")
    assert from_table(Path(folder) / "layers.csv", network).macs == macs
