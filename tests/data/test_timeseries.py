from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import MissingExtra, UserError
from archip.core.registry import create
from archip.data import timeseries
from archip.data.timeseries import Timeseries

pytest.importorskip("aeon", reason="the series come with aeon")


def test_basic_motions(data_folder: Path):
    data = create("data", "timeseries").load()
    assert (data.name, data.input_shape, data.axes) == ("BasicMotions", (6, 100), "NCL")
    assert data.classes == ("badminton", "running", "standing", "walking")
    assert [np.bincount(y).tolist() for _, y in data.splits.values()] == [[8] * 4, [2] * 4, [10] * 4]


def test_equal_length_version_is_taken(data_folder: Path):
    data = create("data", "timeseries", {"name": "JapaneseVowels"}).load()
    assert (data.input_shape, data.n_classes, len(data.splits["test"][0])) == ((12, 25), 9, 370)


@pytest.mark.parametrize(
    ("name", "shape", "n_classes", "sizes"),
    [
        ("BasicMotions", (6, 100), 4, (40, 40)),
        ("JapaneseVowels", (12, 25), 9, (270, 370)),
        ("ItalyPowerDemand", (1, 24), 2, (67, 1029)),
        ("GunPoint", (1, 150), 2, (50, 150)),
        ("ArrowHead", (1, 251), 3, (36, 175)),
        ("OSULeaf", (1, 427), 6, (200, 242)),
        ("ACSF1", (1, 1460), 10, (100, 100)),
        ("PickupGestureWiimoteZ", (1, 361), 10, (50, 50)),
    ],
)
def test_file_and_package_agree(
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    shape: tuple[int, ...],
    n_classes: int,
    sizes: tuple[int, int],
):
    if timeseries._series_folder(name) is None:
        pytest.skip(f"this version of aeon does not ship {name}")
    packaged = Timeseries(name=name).load()
    monkeypatch.setattr(timeseries, "_series_folder", lambda name: None)
    from_file = Timeseries(name=name).load()
    for data in (packaged, from_file):
        n_train = sum(len(data.splits[s][0]) for s in ("train", "val"))
        assert (data.input_shape, data.n_classes) == (shape, n_classes)
        assert (n_train, len(data.splits["test"][0])) == sizes
    np.testing.assert_allclose(packaged.splits["test"][0], from_file.splits["test"][0], atol=1e-4)
    np.testing.assert_array_equal(packaged.splits["train"][1], from_file.splits["train"][1])


def test_ts_files_in_the_data_folder(data_folder: Path):
    shipped = timeseries._series_folder("GunPoint")
    assert shipped is not None
    (data_folder / "Mine").mkdir()
    for split in ("TRAIN", "TEST"):
        shutil.copy(shipped / f"GunPoint_{split}.ts", data_folder / "Mine" / f"Mine_{split}.ts")
    assert Timeseries(name="Mine").load().digest == Timeseries(name="GunPoint").load().digest
    (data_folder / "Mine" / "Mine_TEST.ts").unlink()
    with pytest.raises(UserError, match=r"Mine_TEST.ts: cannot be read"):
        Timeseries(name="Mine").load()


def test_unequal_length_is_refused(data_folder: Path):
    shipped = timeseries._series_folder("JapaneseVowels")
    assert shipped is not None
    (data_folder / "Mine").mkdir()
    for split in ("TRAIN", "TEST"):
        shutil.copy(shipped / f"JapaneseVowels_{split}.ts", data_folder / "Mine" / f"Mine_{split}.ts")
    with pytest.raises(UserError, match="unequal length, 7 to 26"):
        Timeseries(name="Mine").load()


def test_unknown_name(data_folder: Path):
    with pytest.raises(UserError, match=r"'BasicMotion'.*did you mean 'BasicMotions'.*BasicMotion_TRAIN.ts"):
        Timeseries(name="BasicMotion").load()


def test_without_aeon(data_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timeseries, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"aeon.*archip\[data\]"):
        Timeseries().load()
    assert Timeseries.place() == ""
