"""COSMA against the card's graph, against all orders and replacements of small graphs, and replayed step by step."""

from __future__ import annotations

import heapq
from itertools import count, pairwise

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import CandidateError
from archip.hardware.schedule._tensors import TensorGraph, cut, tensor_graph
from archip.hardware.schedule.cosma import Cosma
from archip.ir.graph import GraphBuilder


def graph_of(operators, tensors):
    """`tensors`: (bytes, producer or "", readers); those without readers are outputs."""
    place = {o: i for i, o in enumerate(operators)} | {"": -1}
    return TensorGraph(
        size_E=tuple(size for size, _, _ in tensors),
        producer_E=tuple(place[producer] for _, producer, _ in tensors),
        readers_E=tuple(tuple(place[o] for o in readers.split()) for _, _, readers in tensors),
        is_output_E=tuple(not readers for _, _, readers in tensors),
        name_O=tuple(operators),
    )


def cards_graph():
    operators = ["a", "b1", "c1", "d1", "b2", "c2", "d2", "j1", "j2"]  # in breadth-first order
    tensors = [(2, "", "a"), (3, "a", "b1 c1 d1"), (6, "b1", "b2"), (6, "c1", "c2"), (6, "d1", "d2")]
    tensors += [(1, "b2", "j1"), (1, "c2", "j1"), (1, "d2", "j2"), (1, "j1", "j2"), (1, "j2", "")]
    return graph_of(operators, tensors)


def random_graph(seed, n_operators, reach=4):
    """Each operator reads two of the tensors before it, the last `reach` at most."""
    rng = np.random.default_rng(seed)
    readers = [[] for _ in range(n_operators + 1)]  # tensor 0 is the input, tensor i + 1 is made by operator i
    for o in range(n_operators):
        for tensor in set(rng.integers(max(0, o + 1 - reach), o + 1, 2).tolist()):
            readers[tensor].append(str(o))
    sizes = rng.integers(1, 9, n_operators + 1).tolist()
    tensors = [(s, str(e - 1) if e else "", " ".join(r)) for e, (s, r) in enumerate(zip(sizes, readers, strict=True))]
    return graph_of([str(o) for o in range(n_operators)], tensors)


def need(graph):
    return max(sum(graph.size_E[e] for e in tensors) for tensors in graph.tensors_O)


def replayed(graph, capacity, plan):
    """Traffic beyond the compulsory one, counted by doing what the plan says."""
    here, made, traffic = set(), set(), 0
    in_dram = {e for e, producer in enumerate(graph.producer_E) if producer < 0}
    for t, o in enumerate(plan.order_T):
        now = set(np.flatnonzero(plan.resident_TE[t]).tolist())
        new = {e for e, producer in enumerate(graph.producer_E) if producer == o}
        fetched = set(np.flatnonzero(plan.fetched_TE[t]).tolist())
        assert fetched <= in_dram
        assert now <= here | fetched | new
        assert set(graph.tensors_O[o]) <= now
        assert all(graph.producer_E[e] in made | {-1} for e in set(graph.tensors_O[o]) - new)
        assert sum(graph.size_E[e] for e in now) <= capacity
        if plan.address_TE is not None:
            spans = sorted((plan.address_TE[t, e], plan.address_TE[t, e] + graph.size_E[e]) for e in now)
            assert all(a[1] <= b[0] for a, b in pairwise(spans))
            assert all(0 <= begin < end <= capacity for begin, end in spans)
            stay = [e for e in now & here if e not in fetched]
            assert all(plan.address_TE[t, e] == plan.address_TE[t - 1, e] for e in stay)
        saved = {e for e in new if plan.written_E[e]}
        traffic += sum(graph.size_E[e] for e in [*fetched, *saved])
        here, made, in_dram = now, made | {o}, in_dram | saved
    assert made == set(range(graph.n_operators))
    assert all(e in in_dram for e, is_output in enumerate(graph.is_output_E) if is_output)
    return traffic - graph.compulsory_bytes


def least_traffic(graph, capacity):
    """The cheapest way through all states (what has run, what is resident, what DRAM has), by Dijkstra."""
    inputs = frozenset(e for e, producer in enumerate(graph.producer_E) if producer < 0)
    outputs = frozenset(e for e, is_output in enumerate(graph.is_output_E) if is_output)
    ticket = count()
    queue = [(0, next(ticket), (frozenset(), frozenset(), inputs))]
    seen = set()
    while queue:
        cost, _, state = heapq.heappop(queue)
        if state in seen:
            continue
        seen.add(state)
        done, here, saved = state
        if len(done) == graph.n_operators and outputs <= saved:
            return cost - graph.compulsory_bytes
        room = capacity - sum(graph.size_E[e] for e in here)
        steps = [(graph.size_E[e], (done, here | {e}, saved)) for e in saved - here if graph.size_E[e] <= room]
        steps += [(0, (done, here - {e}, saved)) for e in here]
        steps += [(graph.size_E[e], (done, here, saved | {e})) for e in here - saved]
        for o in set(range(graph.n_operators)) - done:
            new = {e for e in graph.tensors_O[o] if graph.producer_E[e] == o}
            fits = sum(graph.size_E[e] for e in new) <= room
            if graph.before_O[o] <= done and set(graph.tensors_O[o]) - new <= here and fits:
                steps.append((0, (done | {o}, here | new, saved)))
        for extra, after in steps:
            if after not in seen:
                heapq.heappush(queue, (cost + extra, next(ticket), after))
    raise AssertionError


@pytest.mark.parametrize(("capacity", "extra", "breadth_first"), [(9, 13, 36), (10, 2, 36), (11, 0, 36), (12, 0, 36)])
def test_the_cards_graph(capacity, extra, breadth_first):
    """Card of COSMA, measured: 13, 2, 0, 0 units; 36 breadth-first with optimal replacement."""
    graph = cards_graph()
    plan = Cosma().plan(graph, capacity)
    assert plan.extra_bytes == plan.least_extra_bytes == extra == replayed(graph, capacity, plan)
    assert plan.is_optimal
    in_order = Cosma().plan(graph, capacity, order=range(9))
    assert in_order.order_T == tuple(range(9))
    assert in_order.extra_bytes == in_order.least_extra_bytes == breadth_first == replayed(graph, capacity, in_order)


def test_breadth_first_needs_more_than_twice_the_room():
    assert Cosma().plan(cards_graph(), 20, order=range(9)).extra_bytes == 12
    assert Cosma().plan(cards_graph(), 20).extra_bytes == 0


@pytest.mark.parametrize("seed", range(10))
def test_the_optimum_of_small_graphs(seed):
    graph = random_graph(seed, 5)
    for capacity in (need(graph), need(graph) + 3):
        plan = Cosma().plan(graph, capacity)
        assert plan.extra_bytes == replayed(graph, capacity, plan) == least_traffic(graph, capacity)
        assert plan.is_optimal


@pytest.mark.parametrize("seed", range(6))
def test_addresses_do_not_overlap_and_stay(seed):
    graph = random_graph(seed, 8)
    plan = Cosma(placed=True).plan(graph, need(graph) + 2)
    loose = Cosma().plan(graph, need(graph) + 2)
    assert replayed(graph, need(graph) + 2, plan) == plan.extra_bytes >= loose.extra_bytes


def test_addresses_can_cost_traffic():
    """What fits by its sum need not fit as blocks that may not move."""
    graphs = [random_graph(seed, 8) for seed in range(12)]
    assert any(Cosma(placed=True).plan(g, need(g)).extra_bytes > Cosma().plan(g, need(g)).extra_bytes for g in graphs)


@pytest.mark.parametrize("seed", range(5))
def test_windows_are_valid_and_claim_no_optimum(seed):
    graph = random_graph(seed, 12)
    whole, windows = (Cosma(piece=piece).plan(graph, need(graph)) for piece in (30, 4))
    assert replayed(graph, need(graph), windows) == windows.extra_bytes >= whole.extra_bytes
    if any(len(piece) > 4 for piece in cut(graph)):
        assert windows.least_extra_bytes is None
        assert not windows.is_optimal


def two_diamonds():
    """a → (b, c) → d → (e, f) → g; only d's result crosses the middle."""
    tensors = [(1, "", "a"), (2, "a", "b c"), (5, "b", "d"), (5, "c", "d"), (2, "d", "e f"), (6, "e", "g")]
    return graph_of(list("abcdefg"), [*tensors, (6, "f", "g"), (1, "g", "")])


def test_pieces_meet_where_one_tensor_crosses():
    assert [sorted(piece) for piece in cut(two_diamonds())] == [[0], [1, 2, 3], [4, 5, 6]]
    assert [len(piece) for piece in cut(cards_graph())] == [1, 8]


def test_an_input_that_both_sides_read_is_no_cut():
    tensors = [(1, "", "a c"), (1, "a", "b"), (1, "b", "c"), (1, "c", "")]
    assert [len(piece) for piece in cut(graph_of(list("abc"), tensors))] == [3]


def test_pieces_are_joined_without_loss():
    graph = two_diamonds()
    for capacity in (13, 14, 15):
        plan = Cosma().plan(graph, capacity)
        assert plan.extra_bytes == replayed(graph, capacity, plan) == least_traffic(graph, capacity)


def test_an_operator_that_does_not_fit_is_named():
    with pytest.raises(CandidateError, match="operator 'b1' needs 9 of 8 bytes at once"):
        Cosma().plan(cards_graph(), 8)


def test_the_operators_of_a_network():
    g = GraphBuilder()
    x = g.input("x", (1, 4, 8, 8), "NCHW")
    a = g.add("conv", x, name="a", out_channels=8, kernel=(1, 1), bias=False)
    r = g.add("relu", a, name="r")
    b = g.add("conv", r, name="b", out_channels=8, kernel=(1, 1), bias=False)
    s = g.add("add", r, b, name="s")
    network = g.finish(g.add("flatten", s, name="flat"))
    graph = tensor_graph(network, activation_bits=16, weight_bits=8)
    assert graph.name_O == ("a", "b", "s")  # the activation works in a's tensor, the view in s's
    sizes = {"x": 512, "a weights": 32, "a": 1024, "b weights": 64, "b": 1024, "s": 1024}
    assert sorted(graph.size_E) == sorted(sizes.values())
    assert graph.compulsory_bytes == 512 + 32 + 64 + 1024
    assert len(tensor_graph(network).size_E) == 4


@pytest.mark.parametrize("name", ["resnet9", "unet"])
def test_a_network_of_the_spaces(name):
    space = registry.create("spaces", name)
    graph = tensor_graph(space.graph(space.sample(np.random.default_rng(0)), (3, 32, 32), 4))
    for capacity in (need(graph), 2 * need(graph)):
        plan = Cosma().plan(graph, capacity)
        assert replayed(graph, capacity, plan) == plan.extra_bytes
        assert plan.is_optimal
