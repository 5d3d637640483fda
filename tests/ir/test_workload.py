import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archip.core.errors import CandidateError
from archip.ir.graph import Graph, GraphBuilder
from archip.ir.workload import DIMS, Workload, workload


def _graph() -> Graph:
    """A convolution, a depthwise one, a view, a linear layer and a product of its result with itself."""
    g = GraphBuilder()
    x = g.input("x", (1, 3, 8, 10), "NCHW")
    a = g.add("conv", x, name="a", out_channels=4, kernel=(3, 5), stride=(1, 2), padding=(1, 2))
    d = g.add("conv", a, name="d", out_channels=4, kernel=(3, 3), padding=1, groups=4, bias=False)
    s = g.add("add", a, d, name="s")
    f = g.add("reshape", s, name="f", shape=(1, 20, 8))
    y = g.add("linear", f, name="l", out_features=6)
    t = g.add("transpose", y, name="t", perm=(0, 2, 1))
    return g.finish(g.add("matmul", y, t, name="m"))


def test_rows_by_hand():
    w = workload(_graph())
    assert w.names == ("a", "d", "s", "l", "t", "m")
    assert w.kinds == ("conv", "conv", "vector", "gemm", "vector", "gemm")
    assert w.ops == ("conv", "conv", "add", "linear", "transpose", "matmul")
    assert DIMS == ("B", "G", "K", "C", "OY", "OX", "FY", "FX")
    assert w.dims_LD.tolist() == [
        [1, 1, 4, 3, 8, 5, 3, 5],
        [1, 4, 1, 1, 8, 5, 3, 3],
        [1] * 8,
        [1, 1, 6, 8, 20, 1, 1, 1],
        [1] * 8,
        [1, 1, 20, 6, 20, 1, 1, 1],
    ]
    assert w.stride_L2[:2].tolist() == [[1, 2], [1, 1]]
    assert w.padding_L2[:2].tolist() == [[1, 2], [1, 1]]
    assert w.macs_L.tolist() == [4 * 3 * 40 * 15, 4 * 40 * 9, 0, 6 * 8 * 20, 0, 20 * 6 * 20]
    assert w.params_L.tolist() == [4 * 3 * 15 + 4, 4 * 9, 0, 6 * 8 + 6, 0, 0]
    assert w.moved_LO.tolist() == [
        [180, 240, 160], [36, 160, 160], [0, 320, 160], [48, 160, 120], [0, 120, 120], [120, 120, 400]
    ]  # fmt: skip
    assert w.predecessors == ((), (0,), (0, 1), (2,), (3,), (3, 4))
    assert (w.macs, w.params) == (7200 + 1440 + 960 + 2400, 184 + 36 + 54)


def test_one_axis_lies_along_x():
    g = GraphBuilder()
    x = g.input("x", (1, 3, 20), "NCL")
    w = workload(g.finish(g.add("conv", x, name="a", out_channels=4, kernel=(5,), stride=2, padding=2, dilation=3)))
    assert w.dims_LD.tolist() == [[1, 1, 4, 3, 1, 6, 1, 5]]
    assert (w.stride_L2.tolist(), w.padding_L2.tolist(), w.dilation_L2.tolist()) == ([[1, 2]], [[0, 2]], [[1, 3]])


def test_of_an_embedding_only_the_rows_asked_for_are_read():
    g = GraphBuilder()
    x = g.input("x", (1, 7), "NL")
    w = workload(g.finish(g.add("embedding", x, name="e", n=1000, dim=16)))
    assert (w.params, w.moved_LO.tolist()) == (16000, [[112, 7, 112]])


def test_tied_weights_count_once():
    g = GraphBuilder()
    x = g.input("x", (1, 8), "NC")
    a = g.add("linear", x, name="a", out_features=8)
    b = g.add("linear", a, name="b", out_features=8, tied=(("weight", "a.weight"),))
    w = workload(g.finish(b))
    assert w.params_L.tolist() == [72, 8]
    assert w.macs_L.tolist() == [64, 64]


def test_bits_come_from_the_caller_by_row_or_from_the_model():
    g = GraphBuilder()
    x = g.input("x", (1, 8), "NC")
    a = g.add("linear", x, name="a", out_features=8)
    b = g.add("linear", a, name="b", out_features=8, weight_bits=2)
    graph = g.finish(b)
    assert workload(graph).bits_LO.tolist() == [[8, 8, 8], [2, 8, 8]]
    assert workload(graph, 16, 4).bits_LO.tolist() == [[16, 4, 4], [2, 4, 4]]
    assert workload(graph, {"a": 5, "b": 6}).bits_LO.tolist() == [[5, 8, 8], [6, 8, 8]]
    assert workload(graph, density={"b": 0.25}).density_LO.tolist() == [[1, 1, 1], [0.25, 1, 1]]
    assert workload(graph, density=0.5).density_LO[:, 0].tolist() == [0.5, 0.5]
    with pytest.raises(CandidateError, match="'c'"):
        workload(graph, weight_bits={"c": 4})


def test_concat_and_select_undo_each_other():
    one = workload(_graph())
    two = Workload.concat([one, one])
    assert (len(two), two.macs) == (12, 2 * one.macs)
    assert two.predecessors[6:] == ((), (6,), (6, 7), (8,), (9,), (9, 10))
    back = two.select(range(6, 12))
    assert back.predecessors == one.predecessors
    assert back.names == one.names
    np.testing.assert_array_equal(back.dims_LD, one.dims_LD)


@given(st.permutations(range(6)))
def test_selected_rows_keep_their_predecessors(order):
    w = workload(_graph())
    picked = w.select(order[:4])
    for i, row in enumerate(order[:4]):
        assert picked.names[i] == w.names[row]
        assert {picked.names[p] for p in picked.predecessors[i]} == {
            w.names[p] for p in w.predecessors[row] if p in order[:4]
        }


def test_unique_rows_cost_the_same_whatever_their_names():
    one = workload(_graph())
    w = Workload.concat([one, one, workload(_graph(), 4)])
    first, kind = w.unique()
    assert len(first) == 12
    assert [w.names[first[k]] for k in kind] == list(w.names)
    np.testing.assert_array_equal(w.dims_LD[first[kind]], w.dims_LD)
    np.testing.assert_array_equal(w.bits_LO[first[kind]], w.bits_LO)


def test_a_graph_without_work_has_no_rows():
    g = GraphBuilder()
    w = workload(g.finish(g.add("flatten", g.input("x", (1, 2, 3), "NCL"), name="f")))
    assert (len(w), w.macs, w.params) == (0, 0, 0)


def test_an_unknown_operator_is_a_reason():
    g = GraphBuilder()
    with pytest.raises(CandidateError, match="'a': unknown operator 'warp'"):
        workload(g.finish(g.add("warp", g.input("x", (1, 3), "NC"), name="a")))
