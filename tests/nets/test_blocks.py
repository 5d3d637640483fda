"""Blocks: parts one after another are the network, genes belong where they change something, and what cannot be cut."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archip.core import registry  # noqa: E402
from archip.core.errors import CandidateError, UserError  # noqa: E402
from archip.ir.graph import Graph  # noqa: E402
from archip.nets.block_paths import BlockPaths  # noqa: E402
from archip.nets.blocks import Blocks  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402

SPACES = {
    "resnet9": ({"stem": [4, 8], "filters": [4, 8], "kernels": [3, 5]}, (1, 8, 8)),
    "hytra": ({"layers": 4}, (3, 8, 8)),
    "conv1d": ({"depths": [1, 2, 3], "widths": [4, 8]}, (2, 16)),
    "vit": ({"depths": [3, 4]}, (3, 16, 16)),
    "ofa_mobilenet": ({"layers": [1, 2], "kernels": [3, 5], "expansions": [3, 4]}, (3, 32, 32)),
}


def _cut(name: str, n: int):
    options, shape = SPACES[name]
    space = registry.create("spaces", name, options)
    return space, shape, Blocks(space, lambda genotype: space.graph(genotype, shape, 3), n)


@pytest.mark.parametrize("name", SPACES)
def test_parts_one_after_another_are_the_network(name):
    space, shape, blocks = _cut(name, 3)
    net = SuperNet(space, shape, 3, 0)
    x = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0))
    for seed in range(3):
        genotype = space.sample(np.random.default_rng(seed))
        graph = space.graph(genotype, shape, 3)
        y, ends = x, [graph.inputs[0].name]
        for block in range(3):
            part = blocks.piece(graph, block)
            assert part.inputs[0].name == ends[-1]
            y = net.through(y, genotype, lambda whole, block=block: blocks.piece(whole, block))
            ends += part.outputs
        until = net.through(x, genotype, lambda whole, last=ends[-1]: Graph(whole.inputs, whole.nodes, (last,)))
        torch.testing.assert_close(y, until)
        assert y.ndim > 2
        behind = [node.op for node in graph.nodes[graph.nodes.index(graph.node[ends[-1]]) + 1 :]]
        assert "linear" in behind
        assert "conv" not in behind


@pytest.mark.parametrize("name", SPACES)
def test_a_gene_changes_nothing_before_its_block(name):
    space, shape, blocks = _cut(name, 3)
    assert sorted(gene for genes in blocks.genes for gene in genes) == sorted(space.knobs)
    paths, rng = BlockPaths(space, blocks.genes), np.random.default_rng(0)
    for _ in range(10):
        a, b = space.sample(rng), space.sample(rng)
        for block in (1, 2):
            try:
                joined = paths.joined(a, b, block)
            except CandidateError:
                continue
            before = [[blocks.piece(space.graph(g, shape, 3), i) for i in range(block)] for g in (a, joined)]
            assert before[0] == before[1]


def test_the_size_space_of_nats_is_cut_as_by_the_authors_for_cifar_10():
    space = registry.create("spaces", "nats_size")
    blocks = Blocks(space, lambda genotype: space.graph(genotype, (3, 32, 32), 10), 3)
    assert blocks.genes == [("c1", "c2"), ("c3", "c4"), ("c5",)]
    assert blocks.widths == [list(space.widths)] * 3


@pytest.mark.parametrize(("name", "most"), [("nb201", 1), ("pooling_resnet", 2), ("unet", 2)])
def test_networks_that_cannot_be_cut_are_refused_with_how_far_they_can(name, most):
    space = registry.create("spaces", name)
    with pytest.raises(UserError, match=f"cut into {most} with genes.*at most {most}"):
        Blocks(space, lambda genotype: space.graph(genotype, (3, 32, 32), 10), 3)


def test_inputs_that_no_network_takes():
    space = registry.create("spaces", "pruning_spaces")
    with pytest.raises(CandidateError, match="no network of PruningSpaces"):
        Blocks(space, lambda genotype: space.graph(genotype, (3, 1, 1), 10), 2)
