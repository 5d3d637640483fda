"""Augmentation: each change against numpy, masks with their images, and the same draws for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.train.augment import augment, crop, dihedral, flip  # noqa: E402


@pytest.fixture
def x():
    return torch.arange(8 * 2 * 5 * 5, dtype=torch.float32).view(8, 2, 5, 5)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_flip_changes_the_chosen_only(x):
    out = flip(x, torch.tensor([1, 0] * 4))
    assert np.array_equal(out[0], x.numpy()[0, :, :, ::-1])
    assert torch.equal(out[1], x[1])


def test_crop_shifts_each_image_by_its_own_offset(x):
    top, left = torch.arange(8), torch.arange(8).flip(0)
    out = crop(x, top, left)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)))
    for i in range(8):
        assert np.array_equal(out[i], padded[i, :, i : i + 5, 7 - i : 12 - i])
    assert torch.equal(crop(x, torch.full((8,), 4), torch.full((8,), 4)), x)


def test_the_dihedral_group_has_eight_different_elements(x):
    same = x[:1].expand(8, -1, -1, -1)
    out = dihedral(same, torch.arange(8)).numpy()
    turned = [np.rot90(x[0].numpy(), k, (1, 2)) for k in range(4)]
    expected = {t.tobytes() for r in turned for t in (r.copy(), r[:, :, ::-1].copy())}
    assert {o.tobytes() for o in out} == expected
    assert len(expected) == 8


def test_images_that_are_not_square_are_not_transposed():
    x = torch.randn(8, 1, 3, 4)
    assert dihedral(x, torch.arange(8)).shape == x.shape


def test_masks_move_with_their_images():
    x = torch.randn(16, 1, 32, 32)
    y = (x[:, 0] > 0).to(torch.uint8)
    out, masks = augment(x, y, ("flip", "crop", "dihedral"), rng())
    assert masks.dtype == torch.uint8
    assert torch.equal(masks, (out[:, 0] > 0).to(torch.uint8))
    assert not torch.equal(out, x)


def test_small_images_are_not_cropped(x):
    out, y = augment(x, torch.arange(8), ("crop",), rng())
    assert torch.equal(out, x)
    assert torch.equal(y, torch.arange(8))


def test_equal_seeds_give_equal_changes():
    x, y = torch.randn(8, 3, 32, 32), torch.arange(8)
    one, two, other = (augment(x, y, ("flip", "crop"), rng(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
