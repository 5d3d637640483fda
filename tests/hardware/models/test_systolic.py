"""The array cycle by cycle on small products, and the tool's own numbers."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models import systolic
from archip.ir.layer_table import LayerTable


def one(layer, dataflow="ws", rows=4, cols=4, **options):
    table = systolic.costs(layer, dataflow, rows=rows, cols=cols, **options)
    return {name: column[0].item() for name, column in table.items()}


def walk(dataflow, M, N, K, R, C):
    """Cycles and SRAM accesses of all folds, by the time at which each PE works on each streamed vector."""
    over_rows, over_cols, streamed = {"ws": (K, N, M), "is": (K, M, N), "os": (M, N, K)}[dataflow]
    cycles = ifmap = filters = ofmap = 0
    for left in range(0, over_cols, C):
        for top in range(0, over_rows, R):
            r, c = min(R, over_rows - top), min(C, over_cols - left)
            load = 0 if dataflow == "os" else R  # one row of the standing operand a cycle
            done = 0
            for i in range(R):
                for j in range(C):
                    for t in range(streamed):
                        done = max(done, load + i + j + t + 1)
            cycles += done
            standing = 0 if dataflow == "os" else r * c
            ifmap += {"ws": r * streamed, "is": standing, "os": r * streamed}[dataflow]
            filters += {"ws": standing, "is": r * streamed, "os": c * streamed}[dataflow]
            ofmap += r * c if dataflow == "os" else c * streamed
    return cycles, ifmap, filters, ofmap


class Buffer:
    """The tool's read buffer: of 100 sets the window has 50; when they are full it starts anew."""

    def __init__(self, n_bytes):
        self.set_size, self.sets, self.filling, self.reads = n_bytes // 100, [], set(), 0

    def access(self, element):
        if element in self.filling or any(element in held for held in self.sets):
            return
        self.filling.add(element)
        self.reads += 1
        if len(self.filling) == self.set_size:
            self.sets.append(self.filling)
            self.filling = set()
        if len(self.sets) == 50:
            self.sets = []


def dram_reads(dataflow, layer, R, C, ifmap_bytes, filter_bytes):
    """DRAM reads of inputs and filters, element by element in the order in which the array asks for them."""
    ch, size, step = layer["C"], layer["FY"], layer["stride"]
    outputs = [(y, x) for y in range(layer["OY"]) for x in range(layer["OX"])]
    taps = [(y, x, c) for y in range(size) for x in range(layer["FX"]) for c in range(ch)]
    pixel = lambda m, k: (outputs[m][0] * step + taps[k][0], outputs[m][1] * step + taps[k][1], taps[k][2])  # noqa: E731
    M, N, K = len(outputs), layer["K"], len(taps)
    over_rows, over_cols, streamed = {"ws": (K, N, M), "is": (K, M, N), "os": (M, N, K)}[dataflow]
    ifmap, filters = Buffer(ifmap_bytes), Buffer(filter_bytes)
    for left in range(0, over_cols, C):
        columns = range(left, min(over_cols, left + C))
        for top in range(0, over_rows, R):
            rows = range(top, min(over_rows, top + R))
            if dataflow != "os":
                for r in reversed(rows):
                    for c in columns:
                        (filters.access((r, c)) if dataflow == "ws" else ifmap.access(pixel(c, r)))
            for cycle in range(streamed + max(len(rows), len(columns)) - 1):
                for lane, r in enumerate(rows):
                    if 0 <= cycle - lane < streamed:
                        t = cycle - lane
                        if dataflow == "is":
                            filters.access((r, t))
                        else:
                            ifmap.access(pixel(t, r) if dataflow == "ws" else pixel(r, t))
                for lane, c in enumerate(columns):
                    if dataflow == "os" and 0 <= cycle - lane < streamed:
                        filters.access((cycle - lane, c))
    return ifmap.reads, filters.reads


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.data())
def test_dram_reads_equal_a_walk_through_the_accesses(data):
    draw = lambda least, most: data.draw(st.integers(least, most))  # noqa: E731
    layer = {name: draw(1, 6) for name in ("K", "C", "OY", "OX")}
    layer |= {name: draw(1, 3) for name in ("FY", "FX", "stride")}
    dataflow, R, C = data.draw(st.sampled_from(["ws", "os", "is"])), draw(1, 5), draw(1, 5)
    ifmap_bytes, filter_bytes = draw(2, 4) * 100, 200
    expected = dram_reads(dataflow, layer, R, C, ifmap_bytes, filter_bytes)
    sram = (ifmap_bytes, filter_bytes, 200)
    closed, walked = (one(layer, dataflow, R, C, sram_bytes=sram, exact_dram=exact) for exact in (False, True))
    for name, reads in zip(("ifmap", "filter"), expected, strict=True):
        assert walked[f"{name}_dram_reads"] == reads, (name, dataflow, layer)
        assert walked[f"{name}_dram_exact"]
        assert closed[f"{name}_dram_reads"] == reads or not closed[f"{name}_dram_exact"]
        assert closed[f"{name}_dram_reads"] <= reads


@settings(max_examples=60, deadline=None)
@given(
    dataflow=st.sampled_from(["ws", "os", "is"]),
    M=st.integers(1, 9),
    N=st.integers(1, 9),
    K=st.integers(1, 9),
    R=st.integers(1, 5),
    C=st.integers(1, 5),
)
def test_equals_a_walk_through_the_cycles(dataflow, M, N, K, R, C):
    found = one({"K": N, "C": K, "OY": M}, dataflow, R, C)
    cycles, ifmap, filters, ofmap = walk(dataflow, M, N, K, R, C)
    assert found["total_cycles"] == cycles - 1  # the index of the last cycle
    assert (found["ifmap_sram_reads"], found["filter_sram_reads"]) == (ifmap, filters)
    surplus = -(-M // R) * -(-N // C) * (R + C) if dataflow == "os" else 0
    assert found["ofmap_sram_writes"] == ofmap + surplus


def test_a_depthwise_layer_is_as_many_products_as_channels():
    found = one({"K": 6, "C": 6, "OY": 5, "OX": 5, "FY": 3, "FX": 3, "groups": 6})
    assert (found["repeat"], found["gemm_M"], found["gemm_N"], found["gemm_K"]) == (6, 25, 1, 9)
    assert found["total_cycles"] == 3 * (2 * 4 + 4 + 25 - 2) - 1
    assert found["mapping_eff_pct"] == pytest.approx(100 * 9 / (3 * 16))


def test_corrected_os():
    layer = {"K": 8, "C": 16, "OY": 8}  # 4 folds
    tool, mended = one(layer, "os"), one(layer, "os", corrected=True)
    assert tool["ofmap_sram_writes"] == 64 + 4 * 8
    assert mended["ofmap_sram_writes"] == 64
    assert tool["total_cycles"] == 4 * (4 + 4 + 16 - 2) - 1
    assert mended["total_cycles"] == 4 * (8 + 4 + 16 - 2)
    assert mended["compute_util_pct"] == pytest.approx(mended["overall_util_pct"])


def test_dram_reads_what_fits_once():
    small = one({"K": 64, "C": 64, "OY": 16, "OX": 16, "FY": 1, "FX": 1, "stride": 2}, rows=32, cols=32)
    assert small["ifmap_dram_reads"] == 64 * 16 * 16  # the skipped pixels are never read
    large = one({"K": 64, "C": 512, "OY": 16, "OX": 16}, rows=32, cols=32)
    assert large["ifmap_dram_reads"] == 2 * 512 * 256  # once for each column of folds
    assert large["ifmap_dram_exact"]
    roomy = one({"K": 64, "C": 512, "OY": 16, "OX": 16}, rows=32, cols=32, sram_bytes=(2**20, 2**20, 2**20))
    assert roomy["ifmap_dram_reads"] == 512 * 256
    overlapping = one({"K": 64, "C": 512, "OY": 16, "OX": 16, "FY": 3, "FX": 3}, rows=32, cols=32)
    assert not overlapping["ifmap_dram_exact"]


@pytest.fixture(scope="module")
def reference():
    folder = Path(os.environ.get("ARCHIP_REFERENCE", ""))
    if not os.environ.get("ARCHIP_REFERENCE") or not (folder / "scalesim.csv").is_file():
        pytest.skip("ARCHIP_REFERENCE names no folder with scalesim.csv")
    with (folder / "layers.csv").open(newline="") as file:
        layers = {(r["network"], r["layer"]): r for r in csv.DictReader(file)}
    with (folder / "scalesim.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    used = [layers[r["network"], r["layer"]] for r in rows]
    table = LayerTable.of({name: [int(r[name]) for r in used] for name in LayerTable.__dataclass_fields__})
    sizes = {"rows": [int(r["array_rows"]) for r in rows], "cols": [int(r["array_cols"]) for r in rows]}
    return rows, systolic.costs(table, [r["dataflow"] for r in rows], **sizes)


def column(rows, name):
    return np.array([float(r[name]) for r in rows])


@pytest.mark.golden
def test_cycles_and_sram_of_every_row(reference):
    rows, found = reference
    assert len(rows) == 770
    np.testing.assert_array_equal(found["total_cycles"], column(rows, "total_cycles") - column(rows, "stall_cycles"))
    for name in ("repeat", "gemm_M", "gemm_N", "gemm_K", "ifmap_sram_reads", "filter_sram_reads", "ofmap_sram_writes"):
        np.testing.assert_array_equal(found[name], column(rows, name), err_msg=name)
    for name in ("mapping_eff_pct", "compute_util_pct"):
        np.testing.assert_allclose(found[name], column(rows, name), rtol=0, atol=5.1e-5, err_msg=name)


@pytest.mark.golden
def test_calc_rows(reference):
    rows, found = reference
    calc = np.array([r["mode"] == "CALC" for r in rows])
    assert calc.sum() == 472
    for name in ("overall_util_pct", "avg_ifmap_sram_bw", "avg_filter_sram_bw", "avg_ofmap_sram_bw"):
        np.testing.assert_allclose(found[name][calc], column(rows, name)[calc], rtol=0, atol=5.1e-5, err_msg=name)
    np.testing.assert_array_equal(found["ofmap_dram_writes"][calc], column(rows, "ofmap_dram_writes")[calc])
    for operand, share in (("ifmap", 0.9), ("filter", 0.94)):
        exact = calc & found[f"{operand}_dram_exact"]
        assert exact.sum() >= share * calc.sum()
        expected = column(rows, f"{operand}_dram_reads")
        np.testing.assert_array_equal(found[f"{operand}_dram_reads"][exact], expected[exact])
        rest = calc & ~exact
        assert (found[f"{operand}_dram_reads"][rest] <= expected[rest]).all()


def test_batch_equals_one_by_one():
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(1, 50, 40) for name in ("K", "C", "OY", "OX", "FY", "FX", "stride")}
    flows = rng.choice(["ws", "os", "is"], 40)
    batch = systolic.costs(columns, flows, rows=8, cols=12)
    for i in range(40):
        row = systolic.costs({k: v[i] for k, v in columns.items()}, flows[i], rows=8, cols=12)
        assert {k: v[0] for k, v in row.items()} == {k: v[i] for k, v in batch.items()}


def test_the_method_and_its_options():
    model = registry.create("hardware/models", "systolic", {"dataflow": "os", "rows": 16, "cols": 8})
    assert model.evaluate({"K": 8, "C": 9, "OY": 16})["total_cycles"].tolist() == [16 + 8 + 9 - 2 - 1]
    with pytest.raises(UserError, match="dataflow"):
        registry.create("hardware/models", "systolic", {"dataflow": "rs"})


def test_mistakes():
    with pytest.raises(UserError, match="'rs' is not known"):
        one({"K": 1, "C": 1}, "rs")
    with pytest.raises(UserError, match="not positive"):
        one({"K": 1, "C": 1}, rows=0)
