"""What every space must keep (`core/protocols.py: Space, CandidateSpace`), and what spaces of networks keep besides."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Mapping
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest

from archip.core.candidate import Candidate, canonical_json
from archip.core.errors import CandidateError, UserError
from archip.core.protocols import CandidateSpace

__all__ = ["NetworkSpaceContract", "SpaceContract"]

_SEEDS = range(12)
_SMALL = 2000  # a space of at most so many genotypes is looked at as a whole


class SpaceContract:
    """Derive a test class and give it the fixture `make`: a function that makes the space.

    Genotypes may be JSON values, or whole candidates for a space of candidates.
    """

    @pytest.fixture
    def space(self, make: Callable[[], Any]) -> Any:
        return make()

    @pytest.fixture
    def samples(self, space: Any) -> list[Any]:
        return [space.sample(np.random.default_rng(seed)) for seed in _SEEDS]

    def test_follows_the_protocol(self, space: Any):
        assert isinstance(space, CandidateSpace)
        assert space.size >= 1

    def test_samples_are_canonical_and_differ(self, space: Any, samples: list[Any]):
        assert all(space.canonical(g) == g for g in samples)
        assert len(set(map(_text, samples))) > min(space.size, 3) / 2

    def test_genotypes_are_json(self, space: Any, samples: list[Any]):
        for genotype in samples:
            back = json.loads(_text(genotype))
            assert space.canonical(Candidate.from_json(back) if isinstance(genotype, Candidate) else back) == genotype

    def test_same_seed_gives_same_results(self, make: Callable[[], Any], samples: list[Any]):
        """Also in another object of the space, made anew."""
        other, (a, b, *_) = make(), samples
        assert [other.sample(np.random.default_rng(seed)) for seed in _SEEDS] == samples
        for seed in _SEEDS:
            one, two = np.random.default_rng(seed), np.random.default_rng(seed)
            assert make().mutate(a, one) == other.mutate(a, two)
            assert make().crossover(a, b, one) == other.crossover(a, b, two)

    def test_mutants_are_others_of_the_space(self, space: Any, samples: list[Any]):
        for seed, genotype in enumerate(samples):
            before = copy.deepcopy(genotype)
            mutant = space.mutate(genotype, np.random.default_rng(seed))
            assert space.canonical(mutant) == mutant
            assert mutant != genotype or space.size == 1
            assert genotype == before

    def test_mutation_reaches_what_sampling_reaches(self, space: Any, samples: list[Any]):
        """A walk of mutations leaves its beginning behind and sees many genotypes."""
        rng, genotype, seen = np.random.default_rng(0), samples[0], set()
        for _ in range(60):
            genotype = space.mutate(genotype, rng)
            seen.add(_text(genotype))
        assert len(seen) >= min(space.size, 30) / 2

    def test_children_lie_in_the_space(self, space: Any, samples: list[Any]):
        rng = np.random.default_rng(0)
        for a, b in pairwise(samples):
            child = space.crossover(a, b, rng)
            assert space.canonical(child) == child
            assert space.crossover(a, a, rng) == a

    def test_neighbours_are_others_of_the_space(self, space: Any, samples: list[Any]):
        for genotype in samples[:3]:
            near = list(islice(space.neighbours(genotype), 500))
            assert near or space.size == 1
            assert genotype not in near
            assert all(space.canonical(g) == g for g in near)
            assert len(set(map(_text, near))) == len(near)

    def test_enumeration_gives_each_once(self, space: Any, samples: list[Any]):
        some = list(islice(space.enumerate(), _SMALL))
        texts = set(map(_text, some))
        assert len(texts) == len(some) <= space.size
        assert all(space.canonical(g) == g for g in some[:: max(1, len(some) // 100)])
        if len(some) < _SMALL:
            assert set(map(_text, samples)) <= texts

    def test_what_is_no_genotype_is_refused(self, space: Any, samples: list[Any]):
        if isinstance(samples[0], Mapping):
            with pytest.raises(UserError):
                space.canonical({**samples[0], "no such gene": 1})
            with pytest.raises(UserError):
                space.canonical({})


class NetworkSpaceContract(SpaceContract):
    """The same, and the fixture `input_shape` (without the batch axis): graphs, and modules that compute them."""

    n_outputs = 3

    def test_says_what_it_is_for(self, space: Any):
        assert space.axes in ("NCHW", "NCL", "NT")
        assert space.task in ("classification", "segmentation")

    def test_graphs_follow_from_genotypes(self, make: Callable[[], Any], samples: list[Any], input_shape: tuple):
        graphs = {_text(g): make().graph(g, input_shape, self.n_outputs) for g in samples}
        for genotype in samples:
            graph = graphs[_text(genotype)]
            assert make().graph(dict(reversed(genotype.items())), input_shape, self.n_outputs).id == graph.id
            assert [graph.shapes[i.name] for i in graph.inputs] == [(1, *input_shape)]
            assert len({n.name for n in graph.nodes}) == len(graph.nodes)
        assert len({g.id for g in graphs.values()}) == len(graphs)  # what differs is not the same network

    def test_a_module_computes_what_its_graph_says(self, space: Any, samples: list[Any], input_shape: tuple):
        torch = pytest.importorskip("torch")
        for genotype in samples[:3]:
            graph = space.graph(genotype, input_shape, self.n_outputs)
            module = space.build(genotype, input_shape, self.n_outputs, seed=0).eval()
            with torch.no_grad():
                out = module(torch.zeros(2, *input_shape, dtype=torch.int64 if space.axes == "NT" else torch.float32))
            assert tuple(out.shape) == (2, *graph.shapes[graph.outputs[0]][1:])
            n_params = sum(p.numel() for p in module.parameters())
            twin = space.build(genotype, input_shape, self.n_outputs, seed=0)
            assert n_params == sum(p.numel() for p in twin.parameters()) > 0
            assert all(torch.equal(p, q) for p, q in zip(module.parameters(), twin.parameters(), strict=True))

    def test_an_input_that_is_too_small_is_a_reason_not_a_crash(
        self, space: Any, samples: list[Any], input_shape: tuple
    ):
        tiny = (input_shape[0], *(1 for _ in input_shape[1:]))
        for genotype in samples:
            with contextlib.suppress(CandidateError):  # any other error is a crash
                assert space.graph(genotype, tiny, self.n_outputs).shapes


def _text(genotype: Any) -> str:
    return canonical_json(genotype.to_json() if isinstance(genotype, Candidate) else genotype)
