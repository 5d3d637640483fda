"""The comparison itself: what it counts as exact, what it skips, and the reference tables."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks are run from the checkout

from archip.hardware.models import maestro, systolic  # noqa: E402
from benchmarks import fidelity  # noqa: E402

LAYERS = [
    {"network": "n", "layer": "a", "op": "conv", "K": 8, "C": 4, "OY": 6, "OX": 6, "FY": 3, "FX": 3, "stride": 1},
    {"network": "n", "layer": "b", "op": "gemm", "K": 10, "C": 32, "OY": 1, "OX": 1, "FY": 1, "FX": 1, "stride": 1},
]
CONFIG = {"pes": 64, "noc_bw": 16, "offchip_bw": 1000000}


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path):
    """Tables that agree, but for one runtime that is 4 % off."""
    layers = [layer | {"N": 1, "padding": 0, "groups": 1} for layer in LAYERS]
    write(tmp_path / "layers.csv", layers)
    columns = {k: [layer[k] for layer in LAYERS] for k in ("K", "C", "OY", "OX", "FY", "FX", "stride")}
    found = maestro.costs(columns, "kcp_ws", pes=64, cluster=8, noc_bandwidth=16)
    rows = []
    for i, layer in enumerate(LAYERS):
        names = {k: layer[k] for k in ("network", "layer", "op")}
        values = {k: found[k][i] for k in ("runtime_cycles", "input_l2_read")} | {"area": f"{found['area'][i]:.6g}"}
        rows.append(names | {"dataflow": "kcp_ws", "cluster_size": 8} | CONFIG | values)
    rows[1]["runtime_cycles"] = round(rows[1]["runtime_cycles"] / 1.04, 3)
    write(tmp_path / "maestro.csv", rows)
    return tmp_path


def test_shares_and_the_worst_row(folder, capsys):
    report = fidelity.main(folder)
    assert list(report) == ["maestro"]
    assert report["maestro"]["input_l2_read"]["exact"] == 1
    assert report["maestro"]["area"]["exact"] == 1
    runtime = report["maestro"]["runtime_cycles"]
    assert (runtime["rows"], runtime["exact"], runtime["within_1"], runtime["within_5"]) == (2, 0.5, 0.5, 1)
    assert runtime["spearman"] == pytest.approx(1)
    printed = capsys.readouterr().out
    assert "scalesim.csv is not in" in printed
    assert "zigzag.csv is not in" in printed
    assert "n b kcp_ws 8 64 16 1000000:" in printed


def test_scalesim_table(folder):
    columns = {k: [layer[k] for layer in LAYERS] for k in ("K", "C", "OY", "OX", "FY", "FX", "stride")}
    found = systolic.costs(columns, "os", rows=8, cols=8)
    rows = []
    for i, layer in enumerate(LAYERS):
        stall = 100 * i
        values = {"total_cycles": found["total_cycles"][i] + stall, "stall_cycles": stall}
        values |= {f"{k}_sram_reads": found[f"{k}_sram_reads"][i] for k in ("ifmap", "filter")}
        values |= {f"{k}_dram_reads": found[f"{k}_dram_reads"][i] for k in ("ifmap", "filter")}
        values |= {"ofmap_sram_writes": found["ofmap_sram_writes"][i]}
        fixed = {"dataflow": "os", "array_rows": 8, "array_cols": 8, "mode": ("CALC", "USER")[i]}
        fixed |= {f"{k}_sram_kb": 64 for k in ("ifmap", "filter", "ofmap")}
        rows.append({k: layer[k] for k in ("network", "layer", "op")} | fixed | values)
    write(folder / "scalesim.csv", rows)
    report = fidelity.main(folder)["scalesim"]
    assert report["total_cycles"]["rows"] == 1
    assert report["user_total_less_stall_cycles"] | {"spearman": 0} == {
        "rows": 1,
        "exact": 1,
        "within_1": 1,
        "within_5": 1,
        "within_10": 1,
        "spearman": 0,
    }
    assert all(q["exact"] == 1 for q in report.values())


def test_command_line_and_json(folder):
    out = folder / "figures.json"
    command = [sys.executable, "-m", "benchmarks.fidelity", "--reference", str(folder), "--json", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    figures = json.loads(out.read_text())
    assert set(figures["maestro"]["area"]) == {"rows", "exact", "within_1", "within_5", "within_10", "spearman"}
    bad = subprocess.run([*command[:4], str(folder / "none")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "no layers.csv" in bad.stderr


def test_a_share_is_never_rounded_up():
    assert fidelity._percent(0.99999) == "99.99 %"
    assert fidelity._percent(1.0) == "100 %"


def test_printed_digits():
    q = fidelity.Quantity(np.array([3.1416, 2.0]), np.array([3.14159265, 2.0002]), 1e-4, ["a", "b"])
    assert q.summary()["exact"] == 0.5
    assert q.worst.startswith("b: 2 there")


@pytest.mark.golden
def test_the_reference_tables():
    folder = os.environ.get("ARCHIP_REFERENCE")
    if not folder or not (Path(folder) / "layers.csv").is_file():
        pytest.skip("ARCHIP_REFERENCE names no folder with layers.csv")
    report = fidelity.main(Path(folder))
    not_closed = {"ifmap_dram_reads", "filter_dram_reads"}
    wrong = {
        (tool, name): q["exact"]
        for tool, quantities in report.items()
        for name, q in quantities.items()
        if q["exact"] < 1 and name not in not_closed
    }
    assert wrong == {}
