"""What all spaces of networks must keep, on many random genotypes."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.ir.graph import Graph, GraphBuilder
from archip.ir.workload import workload
from archip.spaces._network import conv_norm_relu

SHAPES = {"resnet9": (3, 32, 32), "conv1d": (6, 100), "unet": (3, 50, 64)}
SMALL = {"resnet9": (1, 8, 8), "conv1d": (1, 7), "unet": (2, 16, 17)}


def samples(name, n, seed=0):
    space, rng = registry.create("spaces", name), np.random.default_rng(seed)
    return space, [space.sample(rng) for _ in range(n)]


@pytest.mark.parametrize("name", SHAPES)
def test_graphs_survive_json_and_equal_genotypes_give_equal_graphs(name):
    space, genotypes = samples(name, 20)
    for genotype in genotypes:
        graph = space.graph(genotype, SHAPES[name], 5)
        assert Graph.from_json(json.loads(json.dumps(graph.to_json()))) == graph
        assert space.graph(json.loads(json.dumps(genotype)), SHAPES[name], 5).id == graph.id


@pytest.mark.parametrize("name", SHAPES)
def test_nodes_of_one_name_play_one_part_in_every_network(name):
    """Same operator, and shapes that differ in sizes only: what a supernet needs to share weights by name."""
    space, genotypes = samples(name, 60)
    seen = {}
    for genotype in genotypes:
        for node in space.graph(genotype, SHAPES[name], 5).nodes:
            assert seen.setdefault(node.name, (node.op, len(node.inputs))) == (node.op, len(node.inputs))


def note(shapes, name, layer, inputs, output):
    shapes[name] = tuple(output.shape)


@pytest.mark.parametrize("shapes", [SHAPES, SMALL], ids=["usual", "small"])
@pytest.mark.parametrize("name", SHAPES)
def test_modules_have_the_shapes_parameters_and_macs_of_their_graphs(name, shapes):
    """Shapes at every layer, and MACs as torch's own counter counts them."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    space, genotypes = samples(name, 6, seed=1)
    for genotype in genotypes:
        module = space.build(genotype, shapes[name], 5, seed=0).eval()
        graph, work, found = module.graph, workload(module.graph), {}
        named = {node.name.replace(".", "_"): node.name for node in graph.nodes}
        for child, layer in module.named_children():
            layer.register_forward_hook(partial(note, found, named[child]))
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            out = module(torch.randn(1, *shapes[name]))
        assert len(found) == len(list(module.children()))
        assert found == {value: graph.shapes[value] for value in found}
        assert tuple(out.shape) == graph.shapes[graph.outputs[0]]
        assert sum(p.numel() for p in module.parameters()) == work.params
        assert counter.get_total_flops() == 2 * work.macs


def test_spaces_and_graphs_need_no_torch():
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from archip.core import registry
from archip.ir.workload import workload
for name, shape in {"resnet9": (3, 32, 32), "conv1d": (6, 100), "unet": (3, 64, 64)}.items():
    space = registry.create("spaces", name)
    print(name, workload(space.graph(space.sample(np.random.default_rng(0)), shape, 4)).macs)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert len(done.stdout.split()) == 6, done.stderr


@pytest.mark.parametrize(
    ("space", "option", "value"),
    [
        ("resnet9", "stem", [16, 8]),
        ("resnet9", "filters", []),
        ("resnet9", "filters", [0, 8]),
        ("resnet9", "skips", [-1]),
        ("resnet9", "blocks", 0),
        ("resnet9", "pool", "median"),
        ("unet", "top", [8, 8]),
        ("unet", "max_height", 9),
        ("conv1d", "kernels", [3, 4]),
        ("conv1d", "kernels", [5, 3]),
        ("conv1d", "depths", [0]),
        ("conv1d", "reduces", ["pool", "pool"]),
        ("conv1d", "reduces", ["dilate"]),
    ],
)
def test_options_that_make_no_space_are_refused(space, option, value):
    with pytest.raises(UserError, match=option):
        registry.create("spaces", space, {option: value})


@pytest.mark.parametrize(("stride", "length"), [(1, 21), (2, 11)])
@pytest.mark.parametrize("kernel", [1, 3, 9])
@pytest.mark.parametrize("dilation", [1, 4])
def test_only_the_stride_changes_the_size(kernel, dilation, stride, length):
    g = GraphBuilder()
    graph = g.finish(conv_norm_relu(g, g.input("x", (1, 2, 21), "NCL"), "a", 4, (kernel,), stride, dilation))
    assert graph.shapes["a.relu"] == (1, 4, length)
