"""Blocks: the networks of a space cut into consecutive parts, each with genes of its own.

A layer here is all nodes whose names begin alike (``layer3`` of ``layer3.conv``). A block begins at the first layer
that one of its genes changes, and a cut is possible where a single value goes on. The last block ends with the last
map, or the last tokens, of which a vector is made. Values that depend on no input (class tokens, scales) are made where
they are needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archip.core.errors import CandidateError, UserError
from archip.ir.graph import Graph, Input

__all__ = ["Blocks", "channel_axis"]

Genotype = Mapping[str, Any]


class Blocks:
    """Where the networks of a space are cut.

    Attributes:
        genes: of each block, in the order in which they are decided.
        widths: of each block, the numbers of channels that its output may have.
    """

    def __init__(self, space: Any, graph: Callable[[Genotype], Graph], n: int) -> None:
        """Cut into `n` blocks with about as many genes each; the first ones have more.

        Args:
            graph: of a genotype.

        Raises:
            UserError: the networks cannot be cut into so many.
        """
        families = list(_families(space, graph))
        if not families:
            raise CandidateError(f"no network of {type(space).__name__} can be built for these inputs")
        layers = _order([made for family in families for made in family.values()])
        self._numbers = {layer: i for i, layer in enumerate(layers)}
        ways = [{change: _Way(made, self._numbers) for change, made in family.items()} for family in families]
        every = [way for family in ways for way in family.values()]
        clean = [p for p in range(len(layers)) if all(len(way.crossing(p)) == 1 for way in every)]
        firsts = _firsts(space, ways)
        free = [firsts[name] for name, knob in space.knobs.items() if len(knob.values) > 1]
        starts = _starts(free, clean, n)
        self._edges = [*starts, _end(every, [p for p in clean if p > max(firsts.values(), default=0)])]
        self.genes = [
            tuple(name for name in space.knobs if a <= firsts[name] < b)
            for a, b in itertools.pairwise([*starts, len(layers)])
        ]
        self.widths = [sorted({way.channels(stop) for way in every}) for stop in self._edges[1:]]

    def piece(self, graph: Graph, block: int) -> Graph:
        """The part of a network that is a block: a network of its own, whose nodes keep their names."""
        way = _Way(graph, self._numbers)
        (entry,), (output,) = (way.crossing(self._edges[block + i]) for i in range(2))
        wanted, kept = {output} - {entry}, []
        for node in reversed(graph.nodes):
            if any(value.partition(":")[0] == node.name for value in wanted):
                kept.append(node)
                wanted |= {*node.inputs} - {entry}
        return Graph((Input(entry, graph.shapes[entry], graph.inputs[0].axes),), tuple(reversed(kept)), (output,))


class _Way:
    """A network and where its values are made and read.

    Attributes:
        places: value → place of its layer, never before one that it reads.
        given: values that depend on the input.
    """

    def __init__(self, graph: Graph, numbers: Mapping[str, int]) -> None:
        self.graph = graph
        self.given = {value.name for value in graph.inputs}
        self.places = dict.fromkeys(self.given, -1)
        last: dict[str, int] = {}
        for node in graph.nodes:
            sources = [value.partition(":")[0] for value in node.inputs]
            place = max([numbers[_layer(node.name)], *(self.places[value] for value in sources)])
            self.places[node.name] = place
            last |= {value: max(place, last.get(value, 0)) for value in node.inputs}
            if self.given.intersection(sources):
                self.given.add(node.name)
        last |= dict.fromkeys(graph.outputs, len(numbers))
        made = {value: value.partition(":")[0] for value in last}
        self._spans = [(v, self.places[made[v]], read) for v, read in last.items() if made[v] in self.given]

    def crossing(self, place: int) -> list[str]:
        """Values that depend on the input, made before the layer at `place` and read from there on."""
        return [value for value, made, read in self._spans if made < place <= read]

    def rank(self, place: int) -> int:
        """Axes of the value that crosses."""
        return len(self.graph.shapes[self.crossing(place)[0]])

    def channels(self, place: int) -> int:
        """Channels of the value that crosses."""
        shape = self.graph.shapes[self.crossing(place)[0]]
        return shape[channel_axis(len(shape), self.graph.inputs[0].axes)]


def _firsts(space: Any, families: Sequence[Mapping[tuple[str, Any], _Way]]) -> dict[str, int]:
    """Gene → place of the first layer that it changes; of one that changes nothing, that of the gene before."""
    found: dict[str, int] = {}
    for family in families:
        base = family["", None]
        for (gene, _), way in family.items():
            changed = {*way.graph.nodes} ^ {*base.graph.nodes}
            both = [(w, node.name) for w in (way, base) for node in w.graph.nodes if node in changed]
            at = [w.places[name] for w, name in both if name in w.given]
            if at:
                found[gene] = min(*at, found.get(gene, at[0]))
    firsts, before = {}, 0
    for name in space.knobs:
        before = firsts[name] = found.get(name, before)
    return firsts


def _starts(firsts: Sequence[int], clean: Sequence[int], n: int) -> list[int]:
    """Place of the first layer of each block; the first block begins with the network.

    Args:
        firsts: place of the first layer that a gene changes, for each gene.
        clean: places before which there can be a cut.
    """
    possible = [place for place in sorted(set(firsts))[1:] if place in clean]
    if len(possible) < n - 1:
        text = f"{n} blocks, and these networks can be cut into {len(possible) + 1} with genes of their own"
        raise UserError(text, "blocks", f"at most {len(possible) + 1}, or another space")
    starts = [0]
    for i, place in enumerate(possible):
        wanted = n - len(starts)
        before = sum(gene < place for gene in firsts)
        if wanted and (before >= len(firsts) * len(starts) / n or len(possible) - i == wanted):
            starts.append(place)
    return starts


def _end(ways: Sequence[_Way], cuts: Sequence[int]) -> int:
    """Where the last block stops: as late as its output has places or tokens, or else as late as there is a cut."""
    if not cuts:
        raise UserError("the last layer of these networks has genes, so no block can end before it", "net")
    mapped = [place for place in cuts if all(way.rank(place) > 2 for way in ways)]
    return max(mapped or cuts)


def channel_axis(rank: int, axes: str) -> int:
    """Axis of the channels of a value [N, C, …], or of tokens [N, T, C] in networks of images."""
    return 2 if rank == 3 and axes != "NCL" else 1


def _families(space: Any, graph: Callable[[Genotype], Graph]) -> Iterator[dict[tuple[str, Any], Graph]]:
    """Networks ("", None) with genes all last, all first or of a corner, each with those of one gene changed."""
    ends = ({name: knob.values[end] for name, knob in space.knobs.items()} for end in (-1, 0))
    for base in (*ends, *getattr(space, "corners", tuple)()):
        changes = [("", None), *((name, value) for name, knob in space.knobs.items() for value in knob.values)]
        family = {}
        for gene, value in changes:
            try:
                made = graph(space.canonical({**base, gene: value} if gene else base))
                made.shapes  # noqa: B018 - raises where the input is too small
                family[gene, value] = made
            except (UserError, CandidateError):
                continue
        if ("", None) in family:
            yield family


def _order(graphs: Sequence[Graph]) -> list[str]:
    """All layers, each behind those that come before it in a network."""
    order: list[str] = []
    for graph in graphs:
        at = 0
        for layer in dict.fromkeys(_layer(node.name) for node in graph.nodes):
            if layer in order:
                at = max(at, order.index(layer) + 1)
            else:
                order.insert(at, layer)
                at += 1
    return order


def _layer(name: str) -> str:
    return name.partition(".")[0]
