"""Calibration from tables: what columns become, and whether a device file's error is the one that is met."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from archip.core.errors import UserError
from archip.hardware.devices._calibration import calibrate_table
from archip.hardware.devices._table import Encoding, joined, read_table
from archip.hardware.devices.fitted import Fitted, read_device, write_device

NB201 = [f"op{i}" for i in range(6)]
QUICK = ("ridge", "additive")


@pytest.fixture(scope="module")
def nb201():
    folder = os.environ.get("ARCHIP_DATA")
    if not folder or not Path(folder, "nb201_latency.csv.gz").exists():
        pytest.skip("ARCHIP_DATA names no folder with nb201_latency.csv.gz")
    return joined(
        read_table(Path(folder, "nb201_latency.csv.gz")), read_table(Path(folder, "nb201.csv.gz")), "arch_index"
    )


def toy_table(n: int = 200, noise: float = 0.0) -> dict[str, list[str]]:
    """Texts of four choices; a costs 1 ms, b 2, c 4 wherever it stands, and c at the second place 3 more."""
    rng = np.random.default_rng(0)
    words = rng.choice(list("abc"), (n, 4))
    cost = np.array([[{"a": 1, "b": 2, "c": 4}[w] for w in row] for row in words]).sum(1) + 3 * (words[:, 1] == "c")
    cost = cost + 2 + noise * rng.normal(size=n)
    return {"id": [str(i) for i in range(n)], "net": ["|".join(row) for row in words], "ms": [f"{c:.6f}" for c in cost]}


def test_choices_are_counted_first_and_then_told_by_place():
    table = {"net": ["a|b", "b|b"], "width": ["3", "9"], "size": [str(v) for v in (1.5, 2.5)]}
    table = {k: v * 7 for k, v in table.items()} | {"size": [str(1.5 * i) for i in range(14)]}
    encoding = Encoding.of(table, ["net", "width", "size"])
    X_NF = encoding(table)
    # counts of a, b | of 3, 9 | size | place 1: a, b | place 2: a, b
    assert X_NF[0].tolist() == [1, 1, 1, 0, 0.0, 1, 0, 0, 1]
    assert X_NF[1].tolist() == [0, 2, 0, 1, 1.5, 0, 1, 0, 1]
    assert encoding.prefixes == (5, 9)
    assert np.array_equal(Encoding.from_json(encoding.to_json())(table), X_NF)


@pytest.mark.parametrize(
    "texts",
    [
        ["|conv_3x3~0|+|none~0|", "|none~0|+|conv_3x3~0|"],
        ["7_8", "8_7"],
        ["33527", "72533"],
        ["conv,none", "none,conv"],
    ],
)
def test_texts_of_every_kind_have_parts(texts):
    X_NF = Encoding.of({"net": texts}, ["net"])({"net": texts})
    half = Encoding.of({"net": texts}, ["net"]).prefixes[0]
    assert np.array_equal(X_NF[0, :half], X_NF[1, :half])  # the same parts at other places
    assert not np.array_equal(X_NF[0], X_NF[1])


def test_a_sum_of_costs_is_found_with_its_exception_by_place():
    contents = calibrate_table("toy", toy_table(), "ms", 1e-3, ["net"], 50, 0, QUICK)
    assert contents["error"]["chosen"]["features"] == 3 + 12
    assert contents["error"]["other_rows"]["n"] == 150
    assert contents["error"]["other_rows"]["within_5"] == 1.0
    plain = calibrate_table("toy", toy_table(), "ms", 1e-3, ["id", "net"], 50, 0, QUICK)
    assert plain["features"]["encoding"]["numbers"] == ["id"]


def test_a_device_file_comes_back_and_predicts_the_same(tmp_path):
    table = toy_table(noise=0.2)
    contents = calibrate_table("toy", table, "ms", 1e-3, ["net"], 40, 0, QUICK)
    write_device(tmp_path / "toy.yaml", contents)
    fitted = Fitted(str(tmp_path / "toy.yaml"))
    assert fitted.contents["error"] == contents["error"]
    mean_N, std_N = fitted.predict_rows(table)
    other = np.abs(mean_N - 1e-3 * np.array([float(v) for v in table["ms"]]))
    assert np.median(other) < 0.3e-3
    assert 0.1e-3 < np.median(std_N) < 0.4e-3
    text = (tmp_path / "toy.yaml").read_text()
    assert "!!" not in text  # plain numbers and texts, nothing of Python's
    with pytest.raises(UserError, match="has 'd'"):
        fitted.predict_rows({"net": ["a|b|c|d"]})
    with pytest.raises(UserError, match="no column 'net'"):
        fitted.predict_rows({"nett": ["a|b|c|a"]})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latency": "mss"}, ["mss", "did you mean 'ms'"]),
        ({"features": ["nett"]}, ["nett", "net"]),
        ({"budget": 5}, ["5", "10"]),
        ({"budget": 500}, ["500", "200"]),
        ({"table": toy_table() | {"ms": ["1.0"] * 199 + ["fast"]}}, ["row 200", "fast"]),
        ({"table": toy_table() | {"ms": ["1.0"] * 199 + ["0"]}}, ["row 200", "not positive"]),
        ({"table": toy_table() | {"net": ["a|b"] * 199 + ["a"]}}, ["net", "from 1 to 2 parts"]),
        ({"table": toy_table() | {"net": ["a|b"] * 199 + [""]}}, ["net", "row 200"]),
    ],
)
def test_tables_that_cannot_be_used_are_refused(change, words):
    given = {"table": toy_table(), "latency": "ms", "features": ["net"], "budget": 50} | change
    with pytest.raises(UserError) as error:
        calibrate_table("toy", unit_s=1e-3, seed=0, predictors=QUICK, **given)
    assert all(word in str(error.value) for word in words)


def test_files_that_are_no_device_files_are_refused(tmp_path):
    for text in ("", "[1, 2", "archip_device: 7", "archip_device: 1\ndevice: x"):
        (tmp_path / "d.yaml").write_text(text)
        with pytest.raises(UserError, match=r"d\.yaml"):
            read_device(tmp_path / "d.yaml")
    with pytest.raises(UserError, match="no such device file"):
        Fitted("none.yaml")


def test_tables_are_joined_by_their_key():
    table, other = {"k": ["b", "a"], "x": ["1", "2"]}, {"k": ["a", "b", "c"], "y": ["3", "4", "5"], "x": ["9"] * 3}
    assert joined(table, other, "k") == {"k": ["b", "a"], "x": ["1", "2"], "y": ["4", "3"]}
    with pytest.raises(UserError, match="no network has k 'b'"):
        joined(table, {"k": ["a"], "y": ["3"]}, "k")
    with pytest.raises(UserError, match="rows 1 and 2"):
        joined(table, {"k": ["a", "a"], "y": ["3", "4"]}, "k")


@pytest.mark.golden
@pytest.mark.parametrize("device", ["eyeriss", "titan_rtx_256"])
def test_fifty_samples_rank_an_additive_device(nb201, device):
    """Spearman of at least 0.98 on all rows that were not used."""
    contents = calibrate_table(device, nb201, f"lat_ms_{device}", 1e-3, NB201, 50, 0, QUICK)
    assert contents["error"]["other_rows"]["n"] == 15575
    assert contents["error"]["other_rows"]["spearman"] >= 0.98
    assert contents["error"]["expected"]["spearman"] >= 0.98


@pytest.mark.slow
@pytest.mark.golden
def test_the_error_that_is_told_is_the_error_that_is_met(nb201):
    """25 devices x 4 draws of 50 rows: the 95 % intervals hold what all other rows say, and nothing is embellished."""
    devices = [name for name in nb201 if name.startswith("lat_ms_")]
    held, off = [], []
    for number, device in enumerate(devices):
        for seed in range(4):
            draw = 1000 * number + seed
            contents = calibrate_table(device, nb201, device, 1e-3, NB201, 50, draw, ("ridge", "additive", "gp"))
            error = contents["error"]
            met, keys = error["other_rows"], ("spearman", "kendall", "within_5", "within_10")
            held.append([error["low"][k] <= met[k] <= error["high"][k] for k in keys])
            off.append([error["expected"][k] - met[k] for k in keys])
    assert len(held) == 100
    assert (np.mean(held, axis=0) >= 0.85).all(), np.mean(held, axis=0)
    assert (np.abs(np.mean(off, axis=0)) <= [0.02, 0.03, 0.03, 0.03]).all(), np.mean(off, axis=0)
    assert (np.abs(off).mean(0) <= [0.02, 0.04, 0.06, 0.05]).all(), np.abs(off).mean(0)


@pytest.mark.golden
def test_what_other_rows_say_is_plain_spearman(nb201, tmp_path):
    contents = calibrate_table("raspi4", nb201, "lat_ms_raspi4", 1e-3, NB201, 50, 3, QUICK)
    write_device(tmp_path / "raspi4.yaml", contents)
    mean_N, _ = Fitted(str(tmp_path / "raspi4.yaml")).predict_rows(nb201)
    truth = stats.spearmanr(mean_N, [float(v) for v in nb201["lat_ms_raspi4"]])[0]
    assert contents["error"]["other_rows"]["spearman"] == pytest.approx(truth, abs=2e-3)
