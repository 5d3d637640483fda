"""Look-up tables: entries added up by hand, and layers that the table lacks."""

from __future__ import annotations

import pytest

from archip.core import registry
from archip.core.errors import CandidateError, UserError
from archip.hardware.devices._device import Deployed
from archip.ir.graph import Graph, GraphBuilder

KEYS = {"cin": "c_in", "cout": "c_out", "hw": "height", "k": "kernel", "bits": "weight_bits"}
TABLE = """cin,cout,hw,k,bits,ms,mj
3,8,16,3,8,1.5,0.2
8,16,16,1,8,0.25,0.1
8,16,16,1,4,0.125,0.05
16,10,1,1,8,0.5,0.0
"""


def network(width: int = 16) -> Graph:
    g = GraphBuilder()
    x = g.input("image", (1, 3, 16, 16), "NCHW")
    x = g.add("conv", x, name="one", out_channels=8, kernel=(3, 3), padding=(1, 1))
    x = g.add("conv", g.add("relu", x, name="relu"), name="two", out_channels=width, kernel=(1, 1))
    return g.finish(g.add("linear", g.add("global_avg_pool", x, name="pool"), name="out", out_features=10))


@pytest.fixture
def make(tmp_path):
    def make(text: str = TABLE, **options):
        (tmp_path / "table.csv").write_text(text)
        given = {"path": str(tmp_path / "table.csv"), "keys": KEYS, "latency": "ms", "energy": "mj", **options}
        return registry.create("hardware/devices", "lut", given)

    return make


def test_entries_are_added_up(make):
    costs = make(constant_latency="2 ms").costs([Deployed(network()), Deployed(network())])
    assert costs["latency_s"] == pytest.approx(2 * (2 + 1.5 + 0.25 + 0.5) * 1e-3)
    assert costs["energy_j"] == pytest.approx(2 * 0.3e-3)
    narrow = make().costs([Deployed(network(), {"weight_bits": {"two": 4}})])
    assert narrow["latency_s"] == pytest.approx((1.5 + 0.125 + 0.5) * 1e-3)
    only = make(energy=None, latency_unit="1 us")
    assert only.metrics == {"latency_s"}
    assert only.costs([Deployed(network())]) == {"latency_s": pytest.approx(2.25e-6)}


def test_a_layer_that_the_table_lacks_is_named_with_the_nearest(make):
    with pytest.raises(CandidateError, match=r"layer two \(cin 8, cout 12.*table.csv; near: cin 8, cout 16"):
        make().costs([Deployed(network(12))])


def test_operators_without_loops_count_where_the_table_knows_them(make):
    text = "op,cout,us\nconv,8,1\nconv,16,2\nlinear,10,4\nrelu,1,8\nglobal_avg_pool,1,16\n"
    device = make(text, keys={"op": "op", "cout": "c_out"}, latency="us", energy=None, latency_unit="1 us")
    assert device.costs([Deployed(network())])["latency_s"] == pytest.approx(31e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latency": "msec"}, ["msec", "table.csv"]),
        ({"keys": {"cinn": "c_in"}}, ["cinn", "cin"]),
        ({"keys": {"cin": "inputs"}}, ["keys", "inputs"]),
        ({"keys": {"cin": "c_in", "cout": "c_out"}}, ["row 3", "a second time"]),
        ({"latency": None, "energy": None}, ["latency or energy"]),
        ({"latency_unit": "1 mJ"}, ["energy", "time"]),
    ],
)
def test_tables_that_cannot_be_used_are_refused(make, change, words):
    with pytest.raises(UserError) as error:
        make(**change)
    assert all(word in str(error.value) for word in words)
