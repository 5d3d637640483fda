"""Augmentation: random changes that keep the meaning of a sample, drawn for each sample of a batch at once.

`DataSet.augment` names those that suit the data. N samples, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["augment", "crop", "dihedral", "flip"]

_PADDING = 4  # pixels on each side before a crop (He et al. 2016, arXiv:1512.03385, section 4.2)
_CROP_FROM = 28  # pixels; on smaller images a shift of 4 loses too much


def augment(x: Tensor, y: Tensor, names: Sequence[str], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The batch with the named changes applied; masks [N, H, W] move with their images, class numbers stay."""
    if y.ndim == 3:
        moved = _changed(torch.cat([x, y[:, None].to(x.dtype)], 1), names, rng)
        return moved[:, :-1], moved[:, -1].to(y.dtype)
    return _changed(x, names, rng), y


def _changed(x: Tensor, names: Sequence[str], rng: torch.Generator) -> Tensor:
    if "flip" in names:
        x = flip(x, _draw(2, x, rng))
    if "crop" in names and min(x.shape[2:]) >= _CROP_FROM:
        x = crop(x, _draw(2 * _PADDING + 1, x, rng), _draw(2 * _PADDING + 1, x, rng))
    if "dihedral" in names:
        x = dihedral(x, _draw(8, x, rng))
    return x


def flip(x_NCHW: Tensor, flipped_N: Tensor) -> Tensor:
    """Left and right exchanged where `flipped_N` is not 0."""
    return _where(flipped_N, x_NCHW.flip(-1), x_NCHW)


def crop(x_NCHW: Tensor, top_N: Tensor, left_N: Tensor) -> Tensor:
    """Each image cut at (top, left), both from 0 to 8, out of itself with 4 zeros (the mean colour) on each side."""
    n, _, height, width = x_NCHW.shape
    padded = F.pad(x_NCHW, (_PADDING,) * 4)
    rows_NH1 = (top_N[:, None] + torch.arange(height, device=x_NCHW.device))[:, :, None]
    columns_N1W = (left_N[:, None] + torch.arange(width, device=x_NCHW.device))[:, None, :]
    samples_N11 = torch.arange(n, device=x_NCHW.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[samples_N11, rows_NH1, columns_N1W].permute(0, 3, 1, 2)


def dihedral(x_NCHW: Tensor, kinds_N: Tensor) -> Tensor:
    """One of the symmetries of the square each: bit 0 flips left and right, bit 1 up and down, bit 2 transposes.

    Images that are not square are never transposed.
    """
    x = _where(kinds_N & 1, x_NCHW.flip(-1), x_NCHW)
    x = _where(kinds_N & 2, x.flip(-2), x)
    return _where(kinds_N & 4, x.transpose(-1, -2), x) if x.shape[-1] == x.shape[-2] else x


def _draw(n: int, x: Tensor, rng: torch.Generator) -> Tensor:
    """Integers from 0 to n - 1, one a sample; drawn on the CPU, so that every device sees the same."""
    return torch.randint(n, (len(x),), generator=rng).to(x.device)


def _where(chosen_N: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(chosen_N.bool().view(-1, *(1,) * (a.ndim - 1)), a, b)
