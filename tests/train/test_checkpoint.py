"""Checkpoint files: what was written comes back; what is none is refused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from archip.core.errors import UserError  # noqa: E402
from archip.train.checkpoint import read_checkpoint, write_checkpoint  # noqa: E402


def test_what_was_written_comes_back(tmp_path):
    path = tmp_path / "deep" / "file.checkpoint"
    tensors = {"a/b": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last), "c": torch.tensor(3)}
    about = {"history": [{"loss": 0.1 + 0.2}], "note": "Wörter"}
    write_checkpoint(path, tensors, about)
    found, text = read_checkpoint(path)
    assert text == about
    assert all(torch.equal(found[k], t) for k, t in tensors.items())
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_no_file_is_no_checkpoint(tmp_path):
    assert read_checkpoint(tmp_path / "none") == ({}, {})


@pytest.mark.parametrize("cut", [0, 5, -3])
def test_a_damaged_file_is_refused(tmp_path, cut):
    path = tmp_path / "file"
    write_checkpoint(path, {"a": torch.ones(4)}, {})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match="delete it"):
        read_checkpoint(path)
