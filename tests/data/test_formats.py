from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.data._formats import npz_names, read_cifar_batch, read_idx, read_npz

IDX = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (2, 1, 3)) + bytes([1, 2, 3, 4, 5, 250])


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz"])
def test_idx(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(gzip.compress(IDX, mtime=0) if name.endswith("gz") else IDX)
    assert read_idx(path).tolist() == [[[1, 2, 3]], [[4, 5, 250]]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a", IDX[:-1], "5 bytes of data where its header says 6"),
        ("a", IDX + b"x", "7 bytes of data where its header says 6"),
        ("a", IDX[:9], "no idx header"),
        ("a", b"", "starts with nothing"),
        ("a", b"\x89PNG....", "no idx header, it starts with 89 50 4e 47"),
        ("a", b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "no idx header"),  # floats
        ("a", b"\0\0\x08\x02" + b"\xff" * 8, f"header says {(2**32 - 1) ** 2}"),
        ("a.gz", IDX, "cannot be read"),
        ("a.gz", gzip.compress(IDX, mtime=0)[:-9], "cannot be read"),
    ],
)
def test_damaged_idx(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_idx(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_missing_idx(tmp_path: Path):
    with pytest.raises(UserError, match="No such file"):
        read_idx(tmp_path / "a")


def test_cifar_batch(tmp_path: Path):
    image = np.arange(3072) % 256
    (tmp_path / "a.bin").write_bytes(bytes([7]) + bytes(image.tolist()) + bytes([3]) + bytes(3072))
    x, y = read_cifar_batch(tmp_path / "a.bin")
    assert y.tolist() == [7, 3]
    assert x.shape == (2, 3, 32, 32)
    assert (x[0, 0, 0, 1], x[0, 0, 1, 0], x[0, 1, 0, 0]) == (1, 32, 1024 % 256)  # rows of the red plane, then green


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_cifar_batch_of_wrong_size(tmp_path: Path, size: int):
    (tmp_path / "a.bin").write_bytes(bytes(size))
    with pytest.raises(UserError, match=f"has {size} bytes.*multiple of 3073"):
        read_cifar_batch(tmp_path / "a.bin")


def test_npz(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=[1, 2], y=[3.0])
    assert npz_names(tmp_path / "a.npz") == ["x", "y"]
    y, x = read_npz(tmp_path / "a.npz", ("y", "x"))
    assert (y.tolist(), x.tolist()) == ([3.0], [1, 2])
    with pytest.raises(UserError, match=r"a.npz: has no array 'x_train' \(one of: x, y\)"):
        read_npz(tmp_path / "a.npz", ("x_train",))


def test_damaged_npz(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.random.default_rng(0).random(1000))
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:300] + bytes(300) + whole[600:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            read_npz(path, ("x",))


def test_objects_are_never_unpickled(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object))
    np.save(tmp_path / "b.npz.npy", np.zeros(3))
    with pytest.raises(UserError, match="cannot be read: Object arrays"):
        read_npz(tmp_path / "a.npz", ("x",))
    with pytest.raises(UserError, match="single array"):
        read_npz(tmp_path / "b.npz.npy", ("x",))
