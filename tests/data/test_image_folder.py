from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.registry import create

Image = pytest.importorskip("PIL.Image", reason="image folders are read with pillow")


def write(folder: Path, n: int = 6, size: tuple[int, int] = (6, 4), classes: str = "ab") -> Path:
    """`n` noisy PNG files for each class; those of class b are redder."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = np.random.default_rng(100 * number + i).integers(0, 100, (size[1], size[0], 3), np.uint8)
            pixels[..., 0] += np.uint8(100 * number)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def load(path: Path, **options: object):
    return create("data", "image_folder", {"path": str(path), **options}).load()


def test_images(tmp_path: Path):
    data = load(write(tmp_path / "pets"))
    assert (data.name, data.classes, data.input_shape) == ("pets", ("a", "b"), (3, 4, 6))
    assert [np.bincount(y).tolist() for _, y in data.splits.values()] == [[4, 4], [1, 1], [1, 1]]
    for x, y in data.splits.values():
        assert x[y == 1, 0].mean() > x[y == 0, 0].mean() + 1


def test_pixels_are_those_of_the_file(tmp_path: Path):
    folder = write(tmp_path / "pets")
    write(tmp_path / "split" / "train")
    write(tmp_path / "split" / "test", n=2)
    data = load(tmp_path / "split")
    assert [len(y) for _, y in data.splits.values()] == [10, 2, 4]
    restored = data.splits["test"][0][3] * np.reshape(data.std, (3, 1, 1)) + np.reshape(data.mean, (3, 1, 1))
    np.testing.assert_array_equal(np.rint(restored).transpose(1, 2, 0), np.asarray(Image.open(folder / "b" / "1.png")))


def test_size_and_colour(tmp_path: Path):
    folder = write(tmp_path / "pets")
    Image.new("L", (50, 10), 77).save(folder / "a" / "wide.png")
    with pytest.raises(UserError, match=r"a/wide.png: is 50 x 10 pixels, others are 6 x 4 \(set the option size"):
        load(folder)
    assert load(folder, size=12, colour="grey").input_shape == (1, 12, 12)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "a" / "0.png").write_bytes(b"not an image"), "a/0.png: cannot be read"),
        (lambda f: (f / "a" / "0.png").write_bytes((f / "a" / "1.png").read_bytes()[:60]), "a/0.png: cannot be read"),
        (lambda f: (f / "c").mkdir(), "c: has no images"),
        (lambda f: (write(f / "train"), write(f / "test", classes="abz")), "class 'z' has no training folder"),
    ],
    ids=["no image", "truncated", "empty class", "unknown test class"],
)
def test_bad_folders(tmp_path: Path, spoil, message: str):
    folder = write(tmp_path / "pets")
    spoil(folder)
    with pytest.raises(UserError, match=message):
        load(folder)


def test_no_class_folders(tmp_path: Path):
    with pytest.raises(UserError, match=r"has no folders \(one folder for each class"):
        load(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        load(tmp_path / "nothing")


def test_share_for_test_beside_a_test_folder(tmp_path: Path):
    write(tmp_path / "train")
    write(tmp_path / "test")
    with pytest.raises(UserError, match="folder test of its own"):
        load(tmp_path, test=0.2)
