"""Views of parts: what lies in several segments is cut out in one piece where it can be, and always the same."""

from __future__ import annotations

import pytest
import torch

from archip.nets import part
from archip.nets.part import view


@pytest.mark.parametrize(
    ("segments", "size", "is_regular"),
    [
        (((0, 2), (4, 6), (8, 10)), 12, True),
        (((0, 2), (4, 6)), 12, True),  # more room behind
        (((3, 4), (6, 7)), 12, True),
        (((1, 2), (4, 5), (7, 8), (10, 11)), 12, False),  # the last step is not whole
        (((0, 2), (4, 7)), 12, False),
        (((0, 2), (4, 6), (9, 11)), 12, False),
    ],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_part_in_segments_is_its_places_and_so_is_its_gradient(segments, size, is_regular, axis):
    assert bool(part._step(segments, size)) is is_regular
    shape = (size, 3, 2) if axis == 0 else (3, size, 2)
    whole, same = (torch.arange(6.0 * size).reshape(shape).requires_grad_() for _ in range(2))
    wanted = (segments,) if axis == 0 else (((0, 3),), segments)
    places = torch.tensor([i for a, b in segments for i in range(a, b)])
    expected = same.index_select(axis, places)
    found = view(whole, wanted)
    assert torch.equal(found, expected)
    factors = torch.arange(expected.numel()).reshape(expected.shape)
    for tensor in (found, expected):
        (tensor * factors).sum().backward()
    assert torch.equal(whole.grad, same.grad)
