"""Topologies by hand, by enumeration of all paths, and the networks that follow them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.nets.topology import Topology, all_edges, jaccard, reduced

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.nets.central import CentralNetwork, Gates  # noqa: E402


def paths(edges, start, end):
    """All of them, by brute force."""
    if start == end:
        return [()]
    return [((start, j), *rest) for i, j in edges if i == start for rest in paths(edges, j, end)]


def drawn(seed, n=6, reach=3):
    rng = np.random.default_rng(seed)
    chances = dict(zip(all_edges(n, reach), rng.random(99).tolist(), strict=False))
    return chances, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n))


def test_edges_reach_so_far():
    assert all_edges(4, 2) == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    assert len(all_edges(6, 5)) == 15


@pytest.mark.parametrize("most", [2, 3, 5, 9])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_left_is_a_path_or_several_of_at_most_so_many_edges(seed, most):
    chances, into, out = drawn(seed)
    found = reduced(chances, into, out, most)
    assert 1 <= len(found.edges) <= most
    assert {edge for path in paths(found.edges, found.read_in, found.read_out) for edge in path} == set(found.edges)


@pytest.mark.parametrize("seed", range(12))
def test_entry_and_exit_are_the_likeliest_that_can_be_joined(seed):
    chances, into, out = drawn(seed)
    found = reduced(chances, into, out, 1)
    joined = [(i, j) for i, j in itertools.product(range(6), repeat=2) if 0 < j - i <= 3]
    assert (found.read_in, found.read_out) == max(joined, key=lambda pair: into[pair[0]] * out[pair[1]])


def test_the_weakest_flow_goes_first():
    """Of two ways from 0 to 3, by hand: 0.9 x 0.6 over state 1 and 0.7 x 0.7 over state 2."""
    chances = {(0, 1): 0.9, (1, 3): 0.6, (0, 2): 0.7, (2, 3): 0.7}
    ends = np.array([1.0, 0, 0, 0]), np.array([0, 0, 0, 1.0])
    assert reduced(chances, *ends, 4).edges == ((0, 1), (0, 2), (1, 3), (2, 3))
    assert reduced(chances, *ends, 2).edges == ((0, 1), (1, 3))
    assert reduced(chances | {(2, 3): 0.8}, *ends, 3).edges == ((0, 2), (2, 3))


def test_unlikely_edges_go_even_where_there_is_room():
    chances = {(0, 1): 0.9, (1, 2): 0.9, (0, 2): 0.3}
    ends = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    assert reduced(chances, *ends, 3).edges == ((0, 1), (1, 2))
    assert reduced(dict.fromkeys(chances, 0.1), *ends, 3).edges in (((0, 1), (1, 2)), ((0, 2),))


def test_no_path_is_an_error():
    with pytest.raises(UserError, match="no two states"):
        reduced({}, np.ones(3), np.ones(3), 2)


def test_shares_of_common_edges():
    a, b = Topology(((0, 1), (1, 2)), 0, 2), Topology(((0, 1), (1, 3)), 0, 3)
    assert jaccard(a, b) == pytest.approx(1 / 3)
    assert jaccard(a, a) == 1


@pytest.fixture
def net():
    torch.manual_seed(0)
    return CentralNetwork(nn.Linear(5, 4), lambda: nn.Linear(4, 4), lambda n: nn.Linear(4, n), {"a": 2, "b": 3}, 4, 2)


def test_the_sum_over_all_edges_by_hand(net):
    x = torch.randn(7, 5)
    gates = Gates({(0, 1): 0.5, (1, 3): 2.0, (0, 2): 1.0}, {0: 1.0, 2: 0.5}, {3: 1.0, 2: 3.0})
    first = net.stem(x)
    one = 0.5 * net.layers["0_1"](first)
    two = 0.5 * first + net.layers["0_2"](first)
    assert torch.allclose(net(x, "b", gates), net.heads["b"](2 * net.layers["1_3"](one) + 3 * two), atol=1e-6)


def test_a_network_of_one_task_computes_the_same_with_fewer_weights(net):
    topology, x = Topology(((0, 2), (2, 3)), 0, 3), torch.randn(7, 5)
    alone = net.extract("a", topology)
    assert torch.equal(alone(x), net(x, "a", Gates.of(topology)))
    assert list(alone.layers) == ["0_2", "2_3"]
    assert sum(p.numel() for p in alone.parameters()) == 5 * 4 + 4 + 2 * 20 + 2 * 4 + 2
