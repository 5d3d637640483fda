"""Small cases by hand, closed forms, the tool's own numbers, and what `corrected` promises."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models import maestro
from archip.hardware.models.maestro import DATAFLOWS, Maestro
from archip.ir.layer_table import LayerTable

sys.path.insert(0, str(Path(__file__).parent))
import _maestro_by_rule

WIDE = {"pes": 64, "cluster": 8, "noc_bandwidth": 16}


def one(layer, dataflow="kcp_ws", corrected=False, **config):
    table = maestro.costs(layer, dataflow, corrected=corrected, **(WIDE | config))
    return {name: column[0].item() for name, column in table.items()}


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_kcp_ws_pointwise_by_hand():
    # 2x2 outputs, K = C = 2, on two clusters of two PEs. Every output costs 1 + ceil(2*2/4) = 2 cycles in a cluster.
    # First step: 2 inputs, 2*2 weights: ceil(6/4) = 2 cycles more. Then 2 inputs a step (weights stay), 2 outputs.
    found = one({"K": 2, "C": 2, "OY": 2, "OX": 2}, pes=4, cluster=2, noc_bandwidth=4)
    assert found["runtime_cycles"] == (2 + 2) + 3 * 2
    assert found["num_macs"] == 16
    assert found["avg_active_pes"] == 4
    assert (found["input_l2_read"], found["weight_l2_read"], found["output_l2_write"]) == (8, 4, 8)
    assert (found["input_l2_write"], found["weight_l2_write"], found["output_l2_read"]) == (8, 4, 8)
    assert (found["ingress_min"], found["ingress_max"], found["ingress_avg"]) == (1, 2, 1)
    assert (found["compute_min"], found["compute_max"], found["compute_avg"]) == (2, 2, 2)
    assert (found["l1_req_elems"], found["l2_req_elems"]) == (2 * 3, 2 * (6 + 2))
    assert found["peak_noc_bw_req"] == 6 // 2
    assert found["avg_noc_bw_req"] == pytest.approx((6 // 2 + 1 + 1 + 1) / 4)
    assert found["energy_total_mac_units"] == pytest.approx(18.61 * 40 + 1.68 * (4 * 16 + 12) + 16)


def test_xp_ws_edge_by_hand():
    # Five outputs of a filter of three on two PEs: two steps of two, one of one. The first charges the halo twice
    # (2*3 inputs, 3 weights), the second 3 + 1 new ones; in the last, the tool counts 3 outputs for 1.
    layer = {"K": 1, "C": 1, "OX": 5, "FX": 3}
    found = one(layer, "xp_ws", pes=2, noc_bandwidth=1)
    assert found["input_l2_read"] == 6 + 4 + 3
    assert found["weight_l2_read"] == 3
    assert found["output_l2_write"] == 2 + 2 + 3
    assert found["num_macs"] == 6 + 6 + 9
    assert found["runtime_cycles"] == (3 + 9) + 4 + 9
    assert found["avg_active_pes"] == pytest.approx(5 / 3)
    mended = one(layer, "xp_ws", pes=2, noc_bandwidth=1, corrected=True)
    assert (mended["num_macs"], mended["output_l2_write"]) == (15, 5)
    assert mended["input_l2_read"] == 4 + 4 + 3


def test_offchip_bandwidth_bounds_every_step():
    layer = {"K": 2, "C": 2, "OY": 2, "OX": 2}
    found = one(layer, pes=4, cluster=2, noc_bandwidth=4, offchip_bandwidth=1)
    assert found["runtime_cycles"] == 4 * 6  # 2 * (2 + 4) elements, half of it in the shadow of the step before


def test_groups_and_images_run_one_after_the_other():
    part = one({"K": 4, "C": 3, "OY": 6, "OX": 6, "FY": 3, "FX": 3})
    whole = one({"N": 2, "K": 20, "C": 15, "OY": 6, "OX": 6, "FY": 3, "FX": 3, "groups": 5})
    for name in ("runtime_cycles", "num_macs", "input_l2_read", "weight_l2_read", "output_l2_write", "output_l2_read"):
        assert whole[name] == 10 * part[name], name
    assert whole["l2_req_elems"] == part["l2_req_elems"]


# --- closed forms of full tiles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("bandwidth", [3, 16])
def test_cycles_of_a_step(size, bandwidth):
    layer = {"K": 32, "C": 32, "OY": 16, "OX": 16, "FY": size, "FX": size}
    area, ceil = size * size, lambda n: -(-n // bandwidth)
    expected = {
        "kcp_ws": area + ceil(2 * 8 * area),
        "yxp_os": area + ceil((8 + 1) * area),
        "rs": 16 * size + ceil(area + 16 * area),
        "ykp_os": area + ceil(area + 8 * area),
        "xp_ws": area,
    }
    found = {name: one(layer, name, noc_bandwidth=bandwidth)["compute_max"] for name in DATAFLOWS}
    assert found == expected


def test_kcp_ws_traffic_of_full_tiles():
    # Per cluster of cl channels, along a row: cl*R new inputs; at a new row cl*R*S; at a new tile of channels as many
    # inputs and n times as many weights; at a new tile of filters the weights only.
    n, cl, side, size = 8, 8, 6, 3
    found = one({"K": 16, "C": 16, "OY": side, "OX": side, "FY": size, "FX": size}, pes=n * cl)
    tile = cl * size * size
    row = tile + (side - 1) * cl * size
    assert found["input_l2_read"] == 4 * side * row - tile  # the tool forgets the inputs of the second tile of filters
    assert found["weight_l2_read"] == 4 * n * tile
    assert found["output_l2_write"] == 16 * side * side * 2


# --- the tool's numbers ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference():
    folder = Path(os.environ.get("ARCHIP_REFERENCE", ""))
    if not os.environ.get("ARCHIP_REFERENCE") or not (folder / "maestro.csv").is_file():
        pytest.skip("ARCHIP_REFERENCE names no folder with maestro.csv")
    with (folder / "layers.csv").open(newline="") as file:
        layers = {(r["network"], r["layer"]): r for r in csv.DictReader(file)}
    with (folder / "maestro.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    used = [layers[r["network"], r["layer"]] for r in rows]
    table = LayerTable.of({name: [int(r[name]) for r in used] for name in LayerTable.__dataclass_fields__})
    number = lambda name: np.array([max(int(r[name]), 1) for r in rows])  # noqa: E731
    config = {
        "dataflow": [r["dataflow"] for r in rows],
        "pes": number("pes"),
        "cluster": number("cluster_size"),
        "noc_bandwidth": number("noc_bw"),
        "offchip_bandwidth": number("offchip_bw"),
    }
    return rows, table, config


@pytest.mark.golden
def test_every_number_of_every_row(reference):
    rows, table, config = reference
    found = maestro.costs(table, **config)
    compared = [name for name in rows[0] if name in found]
    assert len(compared) == 37
    for name in compared:
        expected = np.array([float(r[name]) for r in rows])
        column = found[name]
        if column.dtype != np.int64:  # printed with six digits
            column = np.array([float(f"{value:.6g}") for value in column])
        np.testing.assert_array_equal(column, expected, err_msg=name)


@pytest.mark.golden
def test_corrected_counts_the_true_macs(reference):
    rows, table, config = reference
    found = maestro.costs(table, **config, corrected=True)
    wrong = np.array([r["macs_ok"] == "0" for r in rows])
    assert wrong.sum() == 285
    np.testing.assert_array_equal(found["num_macs"], table.macs)


# --- the rules, the slow way -----------------------------------------------------------------------------------------


def directives(name, layer, cluster, pes, depthwise):
    """The dataflows of the tool's files, as (sub-clusters, maps)."""
    S, T = (lambda *a: _maestro_by_rule.Map(a[0], True, *a[1:])), (lambda *a: _maestro_by_rule.Map(a[0], False, *a[1:]))
    r, s, stride = layer["FY"], layer["FX"], layer["stride"]
    whole = lambda dims: [T(dim, 0, 0) for dim in dims]  # noqa: E731
    n = pes // cluster
    if depthwise and name in ("kcp_ws", "ykp_os"):
        return [(pes, [S("C", 1, 1), T("Y", r, 1), T("X", s, 1), *whole("RS")])]
    if name == "kcp_ws":
        top = [S("K", 1, 1), T("C", cluster, cluster), *whole("RS"), T("Y", r, 1), T("X", s, 1)]
        return [(n, top), (cluster, [S("C", 1, 1), *whole("YXRS")])]
    if name == "yxp_os":
        t = min(cluster, layer["OX"])
        top = [T("K", 1, 1), T("C", 1, 1), S("Y", r, 1), T("X", (t - 1) * stride + s, t * stride), *whole("RS")]
        return [(n, top), (cluster, [S("X", s, 1)])]
    if name == "rs":
        top = [S("Y", r, 1), T("X", s, 1), T("C", 1, 1), T("K", 16, 16), *whole("RS")]
        return [(pes // r, top), (r, [S("Y", 1, 1), S("R", 1, 1), *whole("S")])]
    if name == "ykp_os":
        top = [T("K", cluster, cluster), S("Y", r, 1), T("X", s, 1), T("C", 1, 1)]
        return [(n, top), (cluster, [S("K", 1, 1), *whole("YXRS")])]
    return [(pes, [T("K", 1, 1), T("C", 1, 1), T("Y", r, 1), S("X", s, 1), *whole("RS")])]


def by_rule(layer, name, pes, cluster, noc, offchip):
    depthwise = layer["groups"] > 1
    found = _maestro_by_rule.levels(layer, directives(name, layer, cluster, pes, depthwise), depthwise)
    r = _maestro_by_rule.run(found, found[0].sizes, noc, offchip)
    expected = {
        "runtime_cycles": r["runtime"],
        "num_macs": r["macs"],
        "input_l2_read": r["input"],
        "weight_l2_read": r["weight"],
        "output_l2_write": r["output"],
        "peak_noc_bw_req": r["peak"],
        "offchip_bw_req": r["offchip"],
    }
    for kind in ("ingress", "egress", "compute"):
        values = [value for value, _ in r[kind]]
        mean = sum(value * count for value, count in r[kind]) // r["steps"]
        expected |= {f"{kind}_min": min(values), f"{kind}_max": max(values), f"{kind}_avg": mean}
    return expected, r["busy"] / r["steps"], r["noc_sum"] / r["steps"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    layer=st.builds(
        lambda depthwise, k, c, **rest: rest | {"K": k, "C": k if depthwise else c, "groups": k if depthwise else 1},
        depthwise=st.booleans(),
        k=st.integers(2, 40),
        c=st.integers(1, 40),
        OY=st.integers(1, 20),
        OX=st.integers(1, 20),
        FY=st.integers(1, 5),
        FX=st.integers(1, 5),
        stride=st.integers(1, 3),
    ),
    name=st.sampled_from(sorted(DATAFLOWS)),
    cluster=st.integers(1, 12),
    n=st.integers(1, 9),
    noc=st.integers(1, 40),
    offchip=st.integers(1, 60),
)
def test_equals_the_rules_case_by_case(layer, name, cluster, n, noc, offchip):
    pes = max(cluster, layer["FY"]) * n
    config = {"pes": pes, "cluster": cluster, "noc_bandwidth": noc, "offchip_bandwidth": offchip}
    expected, busy, noc_mean = by_rule(layer, name, pes, cluster, noc, offchip)
    found = one(layer, name, **config)
    assert {key: found[key] for key in expected} == expected
    assert found["avg_active_pes"] == pytest.approx(busy)
    assert found["avg_noc_bw_req"] == pytest.approx(noc_mean)


# --- corrected -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_corrected_is_possible(dataflow):
    rng = np.random.default_rng(7)
    n = 20_000
    draw = lambda high: rng.integers(1, high + 1, n)  # noqa: E731
    depthwise = rng.random(n) < 0.2
    K = draw(60) + 1
    columns = {
        "K": K,
        "C": np.where(depthwise, K, draw(60)),
        "OY": draw(40),
        "OX": draw(40),
        "FY": draw(6),
        "FX": draw(6),
    }
    table = LayerTable.of(columns | {"stride": draw(4), "groups": np.where(depthwise, K, 1)})
    config = {"pes": draw(200) + 5, "cluster": draw(32), "noc_bandwidth": draw(40), "offchip_bandwidth": draw(90)}
    every = maestro.costs(table, dataflow, corrected=True, **config)
    mapped = every["mapped"]
    assert mapped.mean() > 0.9
    found = {name: column[mapped] for name, column in every.items()}
    t, pes, cluster = table.select(mapped), config["pes"][mapped], config["cluster"][mapped]
    touched = lambda outputs, size: np.where(t.stride < size, (outputs - 1) * t.stride + size, outputs * size)  # noqa: E731
    reductions = t.C // t.groups
    if dataflow == "kcp_ws":
        reductions = -(-reductions // cluster)
    np.testing.assert_array_equal(found["num_macs"], t.macs)
    np.testing.assert_array_equal(found["output_l2_write"], t.K * t.OY * t.OX * reductions)
    assert (found["input_l2_read"] >= t.C * touched(t.OY, t.FY) * touched(t.OX, t.FX)).all()
    assert (found["weight_l2_read"] >= t.K * (t.C // t.groups) * t.FY * t.FX).all()
    assert (found["runtime_cycles"] * pes >= t.macs).all()
    assert (found["avg_active_pes"] > 0).all()
    assert (found["avg_active_pes"] <= pes).all()


def test_stride_of_yxp_os():
    layer = {"K": 8, "C": 8, "OY": 14, "OX": 14, "FY": 3, "FX": 3, "stride": 2}
    true = 8 * 8 * 14 * 14 * 9
    assert one(layer, "yxp_os")["num_macs"] > 1.8 * true
    assert one(layer, "yxp_os", corrected=True)["num_macs"] == true


def test_corrected_changes_nothing_where_the_tool_is_right():
    layer = {"K": 8, "C": 8, "OY": 8, "OX": 8, "FY": 1, "FX": 1}  # whole tiles, no halo, no wrap-around
    assert one(layer) == one(layer, corrected=True)


# --- batches, dataflows, mistakes ------------------------------------------------------------------------------------


def test_batch_equals_one_by_one():
    rng = np.random.default_rng(0)
    n = 300
    columns = {name: rng.integers(1, 30, n) for name in ("K", "C", "OY", "OX")}
    columns |= {"FY": rng.integers(1, 6, n), "FX": rng.integers(1, 6, n), "stride": rng.integers(1, 3, n)}
    config = {
        "pes": rng.integers(40, 300, n),
        "cluster": rng.integers(1, 40, n),
        "noc_bandwidth": rng.integers(1, 70, n),
    }
    names = rng.choice(sorted(DATAFLOWS), n)
    batch = maestro.costs(columns, list(names), **config)
    for i in range(0, n, 7):
        row = maestro.costs(
            {k: v[i] for k, v in columns.items()}, str(names[i]), **{k: int(v[i]) for k, v in config.items()}
        )
        assert {k: v[0] for k, v in row.items()} == {k: v[i] for k, v in batch.items()}


def test_the_method_and_its_options():
    model = registry.create("hardware/models", "maestro", {"dataflow": "rs", "pes": 168, "noc_bandwidth": 14})
    table = model.evaluate({"K": [96, 256], "C": [3, 48], "OY": 27, "OX": 27, "FY": 5, "FX": 5})
    assert table["runtime_cycles"].shape == (2,)
    assert table["mapped"].all()
    with pytest.raises(UserError, match="pes"):
        registry.create("hardware/models", "maestro", {"pes": 0})


def test_directives_of_ones_own():
    same = Maestro("T(1,1) K; T(1,1) C; T(R,1) Y; S(S,1) X; R; S", pes=64)
    layer = {"K": 6, "C": 5, "OY": 9, "OX": 11, "FY": 3, "FX": 3}
    named = Maestro("xp_ws", pes=64).evaluate(layer)
    assert all((same.evaluate(layer)[k] == v).all() for k, v in named.items())


def test_three_levels():
    # 2 groups x 2 clusters x 2 PEs: filters, rows and channels side by side.
    text = "S(1,1) K; T(2,2) C; T(2,2) Y; Cluster 2; S(1,1) Y; Cluster 2; S(1,1) C"
    found = one({"K": 2, "C": 2, "OY": 2, "OX": 3}, text, pes=8, noc_bandwidth=100, corrected=True)
    assert found["num_macs"] == 12 * 2
    assert found["avg_active_pes"] == 8
    # the innermost level: 3 columns a PE; each level adds one cycle of ingress
    assert found["runtime_cycles"] == 3 + 1 + 1 + 1


def test_too_few_pes_for_a_cluster_is_marked():
    table = maestro.costs({"K": [4, 4], "C": 4, "FY": [3, 11], "OY": 5}, "rs", pes=8, cluster=1, noc_bandwidth=4)
    assert table["mapped"].tolist() == [True, False]
    assert table["runtime_cycles"][0] > 0
    assert table["runtime_cycles"][1] == -1
    assert np.isnan(table["area"][1])


@pytest.mark.parametrize(
    ("dataflow", "config", "message"),
    [
        ("kcp", {}, "'kcp' is not a directive"),
        ("T(1,1) K; T(0,1) C", {}, "not a size"),
        ("T(1,1) K; T(1,1) K", {}, "twice"),
        ("T(R,1) Y'", {}, "not a number"),
        ("S(1,1) K" + "; Cluster 2; S(1,1) C" * 4, {}, "too many levels"),
        ("kcp_ws", {"pes": 0}, "pes is 0"),
        ("kcp_ws", {"noc_bandwidth": -3}, "noc_bandwidth is -3"),
    ],
)
def test_mistakes(dataflow, config, message):
    with pytest.raises(UserError, match=message):
        one({"K": 4, "C": 4}, dataflow, **config)
