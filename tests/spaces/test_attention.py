"""What all spaces with attention keep: torch counts the same products, one name is one part, nothing needs torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from archip.core import registry
from archip.ir.workload import workload

SHAPES = {"vit": (3, 16, 16), "bert": (12,), "vit_resnas": (3, 16, 16), "hytra": (3, 16, 16)}


def samples(name, n, seed=0):
    space, rng = registry.create("spaces", name), np.random.default_rng(seed)
    return space, [space.sample(rng) for _ in range(n)]


@pytest.mark.parametrize("name", SHAPES)
def test_nodes_of_one_name_play_one_part_in_every_network(name):
    space, genotypes = samples(name, 40)
    seen = {}
    for genotype in genotypes:
        for node in space.graph(genotype, SHAPES[name], 5).nodes:
            assert seen.setdefault(node.name, (node.op, len(node.inputs))) == (node.op, len(node.inputs))


@pytest.mark.parametrize("name", SHAPES)
def test_torch_counts_the_same_products_and_parameters(name):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    space, genotypes = samples(name, 4, seed=1)
    for genotype in genotypes:
        module = space.build(genotype, SHAPES[name], 5, seed=0).eval()
        work = workload(module.graph)
        x = torch.zeros(1, *SHAPES[name], dtype=torch.int64 if name == "bert" else torch.float32)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            assert tuple(module(x).shape) == (1, 5)
        assert sum(p.numel() for p in module.parameters()) == work.params
        assert counter.get_total_flops() == 2 * work.macs


def test_spaces_and_costs_need_no_torch():
    code = f"""
import sys
sys.modules["torch"] = None
import numpy as np
from archip.core import registry
from archip.ir.workload import workload
for name, shape in {SHAPES!r}.items():
    space = registry.create("spaces", name)
    print(name, workload(space.graph(space.sample(np.random.default_rng(0)), shape, 4)).macs)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert len(done.stdout.split()) == 8, done.stderr
