"""NATS-Bench's size space: layers counted by hand, and the widths of the table."""

from __future__ import annotations

import pytest

from archip.ir.workload import workload
from archip.spaces.nats_size import NATSSize
from archip.spaces.tabular import Tabular


def macs(widths: list[int]) -> int:
    """By hand: stem; cells of five convolutions 3x3, one 1x1 where the width changes; reductions of 3x3, 3x3, 1x1."""
    c1, c2, c3, c4, c5 = widths
    big, half, quarter = 32 * 32, 16 * 16, 8 * 8
    total = big * 27 * c1 + 10 * c5
    for before, width, area in ((c1, c1, big), (c2, c3, half), (c4, c5, quarter)):
        total += area * 9 * width * (2 * before + 3 * width) + (area * before * width if before != width else 0)
    for before, width, area in ((c1, c2, half), (c3, c4, quarter)):
        total += area * (9 * before * width + 9 * width * width + before * width)
    return total


@pytest.mark.parametrize("widths", [[8] * 5, [64] * 5, [8, 16, 24, 32, 40], [64, 64, 56, 64, 24]])
def test_multiply_accumulates_by_hand(widths):
    graph = NATSSize().graph({f"c{i}": w for i, w in enumerate(widths, 1)}, (3, 32, 32), 10)
    assert workload(graph).macs == macs(widths)
    assert graph.shapes[graph.outputs[0]] == (1, 10)


def test_its_networks_are_those_of_the_table(shared_data):
    table = Tabular("nats_size", str(shared_data))
    assert dict(table.knobs) == dict(NATSSize().knobs)
