"""Bits of layers as a space: which genes a network has, and that they follow it through the product of spaces."""

from __future__ import annotations

import json

import numpy as np
import pytest

from archip.core.candidate import Candidate, bits_of
from archip.core.errors import UserError
from archip.core.knobs import extremes
from archip.ir.workload import workload
from archip.spaces.bert import Bert
from archip.spaces.compression import Compression
from archip.spaces.product import ProductSpace
from archip.spaces.resnet9 import ResNet9
from archip.testing.space import SpaceContract

NET = ResNet9(stem=(4, 8), filters=(8,), skips=(0, 1), blocks=1)


def graph(genotype):
    return NET.graph(genotype, (1, 8, 8), 10)


def product(weight_bits=(4, 8), activation_bits=(8,)):
    of = Compression.of(NET, graph, weight_bits, activation_bits)
    return ProductSpace({"net.a": NET, "compress.a": of})


class TestProductWithCompression(SpaceContract):
    @pytest.fixture
    def make(self):
        return lambda: product((2, 4, 8), (4, 8))


def test_layers_are_those_of_any_network_of_the_space():
    of = Compression.of(NET, graph, (4, 8), (8,))
    assert set(of.layers) == {"stem.conv", "block1.conv", "block1.skip1.conv", "classifier"}
    assert list(of.knobs) == [f"{layer}.weight_bits" for layer in of.layers] + ["activation_bits"]
    assert of.knobs["activation_bits"].values == (8,)


def test_a_network_has_genes_of_its_own_layers_only():
    space = product()
    short, long = ({"fn0": 4, "fn1": 8, "sk1": skips} for skips in (0, 1))
    drawn = space.sample(np.random.default_rng(0))
    given = [space.parts["compress.a"].given(net) for net in (short, long)]
    assert "block1.skip1.conv.weight_bits" not in given[0].knobs
    assert "block1.skip1.conv.weight_bits" in given[1].knobs
    genes = {"compress.a": given[0].sample(np.random.default_rng(1)), "net.a": long}
    with pytest.raises(UserError, match="missing"):
        space.canonical(Candidate.from_parts(genes))
    assert space.canonical(drawn) == drawn


def test_the_space_has_as_many_candidates_as_counted_by_hand():
    """Two stems; without the skip 3 layers, with it 4, each of 2 widths."""
    assert len({c.id for c in product().enumerate()}) == 2 * (2**3 + 2**4)


def test_a_layer_that_wakes_up_gets_bits_and_one_that_goes_loses_them():
    space, rng = product(), np.random.default_rng(0)
    for _ in range(50):
        candidate = space.sample(rng)
        for child in (space.mutate(candidate, rng), space.crossover(candidate, space.sample(rng), rng)):
            bits = bits_of(child.compress["a"])
            assert set(bits["weight_bits"]) == {
                n.name for n in graph(child.net["a"]).nodes if n.op in ("conv", "linear")
            }


def test_the_workload_has_the_bits_of_the_genotype():
    candidate = product().sample(np.random.default_rng(3))
    genes = dict(candidate.compress["a"])  # pyright: ignore[reportArgumentType, reportCallIssue]
    work = workload(graph(candidate.net["a"]), **bits_of(genes))
    for name, (weight, read, written) in zip(work.names, work.bits_LO.tolist(), strict=True):
        assert weight == genes.get(f"{name}.weight_bits", 8)
        assert read == written == 8


def test_bits_of_all_layers_and_of_one():
    assert bits_of({"a.b.weight_bits": 4, "activation_bits": 8}) == {"weight_bits": {"a.b": 4}, "activation_bits": 8}
    assert bits_of({}) == {}


def test_a_network_that_cannot_be_built_has_no_layers_and_is_left_to_its_evaluation():
    bert = Bert(depths=(1,), positions=4)
    of = Compression.of(bert, lambda genotype: bert.graph(genotype, (8,), 2), (4, 8), (8,))
    assert of.layers == ()
    assert ProductSpace({"net.a": bert, "compress.a": of}).sample(np.random.default_rng(0)).compress["a"] == {
        "activation_bits": 8
    }


def test_extremes_have_every_value_of_every_gene():
    seen = list(extremes(NET))
    assert all(any(g[name] == v for g in seen) for name, knob in NET.knobs.items() for v in knob.values)


def test_widths_have_to_grow():
    with pytest.raises(UserError, match="weight_bits"):
        Compression(("a",), weight_bits=(8, 4))


def test_records_without_bits_still_open():
    old = json.loads('{"net": {"a": {"fn0": 4}}, "hw": null, "compress": {}}')
    assert Candidate.from_json(old).id == Candidate({"a": {"fn0": 4}}).id
