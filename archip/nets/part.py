"""Parts: which piece of a shared tensor a network uses, and the view of it. The one way weights are sliced here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Part", "Segments", "extent", "joined", "leading", "shares", "view", "write"]

Segments = tuple[tuple[int, int], ...]  # (start, stop) in the largest tensor, in order
Part = tuple[Segments | int, ...]  # one entry an axis, the last may lack; a number is the size of a centre crop


def leading(size: int) -> Segments:
    """The first `size` channels."""
    return ((0, size),)


def extent(part: Part) -> tuple[int, ...]:
    """Shape of the smallest tensor that has this part."""
    return tuple(axis if isinstance(axis, int) else axis[-1][1] for axis in part)


def joined(read: Sequence[Segments], rooms: Sequence[int]) -> Segments:
    """Segments of a concatenation of tensors with `rooms` channels each; those that touch become one."""
    merged: list[tuple[int, int]] = []
    offset = 0
    for segments, room in zip(read, rooms, strict=False):
        for a, b in segments:
            touches = bool(merged) and merged[-1][1] == offset + a
            merged[-1:] = [(merged[-1][0], offset + b)] if touches else [*merged[-1:], (offset + a, offset + b)]
        offset += room
    return tuple(merged)


def shares(part: Part) -> bool:
    """Whether `view` shares memory with the tensor."""
    return all(isinstance(wanted, int) or len(wanted) == 1 for wanted in part)


def view(tensor: Tensor, part: Part) -> Tensor:
    """The part of `tensor`, sharing its memory; only segments that do not touch have to be joined to a copy.

    Of axes that stay whole nothing is cut: each cut costs memory for its gradient.
    """
    import torch

    for axis, wanted in enumerate(part):
        size = tensor.shape[axis]
        if isinstance(wanted, int):
            tensor = tensor if wanted == size else tensor.narrow(axis, (size - wanted) // 2, wanted)
        elif len(wanted) == 1:
            ((start, stop),) = wanted
            tensor = tensor if stop - start == size else tensor.narrow(axis, start, stop - start)
        elif step := _step(wanted, size):
            ((start, stop), *_), n = wanted, len(wanted)
            tensor = tensor if n * step == size else tensor.narrow(axis, start, n * step)
            tensor = tensor.unflatten(axis, (n, step)).narrow(axis + 1, 0, stop - start)
            tensor = tensor.flatten(axis, axis + 1).contiguous()  # as in a layer of its own: equal to the bit
        else:
            tensor = tensor.index_select(axis, torch.tensor(_places(wanted), device=tensor.device))
    return tensor


@lru_cache(maxsize=4096)
def _step(segments: Segments, size: int) -> int:
    """From one segment to the next, where all are as long and as far apart; else 0.

    (Such segments are cut out together, with their gradient some ten times faster than by their places.)
    """
    starts, (first, stop) = [a for a, _ in segments], segments[0]
    step = starts[1] - first
    is_regular = starts == [first + i * step for i in range(len(starts))]
    is_equal = all(b - a == stop - first for a, b in segments)
    return step if is_regular and is_equal and first + len(starts) * step <= size else 0


@lru_cache(maxsize=4096)
def _places(segments: Segments) -> list[int]:
    return [i for a, b in segments for i in range(a, b)]


def write(tensor: Tensor, segments: Segments, values: Tensor) -> None:
    """Write `values` to the `segments` of the first axis of `tensor`."""
    start = 0
    for a, b in segments:
        tensor[a:b] = values[start : start + b - a]
        start += b - a
