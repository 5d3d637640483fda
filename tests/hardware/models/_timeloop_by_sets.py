"""Timeloop's counts the slow way: every tile a set of elements, every moment and every unit visited.

The rules, as the tool follows them:

- A level's tile is all that the loops inside sweep. When time goes on, a unit takes in the elements that it did not
  hold before, if the tile moves as it did before (or did not move yet, or its last move broke a habit), and the old and
  the new tile differ along one axis; else the whole tile anew.
- Units that need the same elements at the same moment get them by one read. A unit whose new elements are just those
  that a neighbour in the mesh took in one moment before may get them there; a level uses that where it saves reads.
- A level that does not keep an operand passes on what the level inside asks for.
- `first_two`: only iterations 0 and 1 of a loop are executed, the second one in place of all the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import prod

AXES = {"W": ("G", "K", "C", "S", "R"), "I": ("N", "G", "C", "y", "x"), "O": ("N", "G", "K", "Q", "P")}


@dataclass
class Unit:
    """What one instance of a level holds of one operand."""

    tile: frozenset = frozenset()
    corner: tuple | None = None
    move: tuple | None = None

    def take(self, tile):
        """The elements that come in when the content becomes `tile`."""
        corner = tuple(map(min, zip(*tile, strict=True)))
        move = None if self.corner is None else tuple(a - b for a, b in zip(corner, self.corner, strict=True))
        new = tile - self.tile
        if self.move is not None and move != self.move:
            new, move = tile, None
        elif move is not None and sum(step != 0 for step in move) > 1:
            new = tile
        self.tile, self.corner, self.move = tile, corner, move
        return new


@dataclass
class Counts:
    """Per instance of the outer level, summed over time; then over all instances of the inner one."""

    read: int = 0
    received: int = 0
    linked: int = 0
    before: dict = field(default_factory=dict)


class BySets:
    """One layer on one mapping: `levels` are (name, operands kept, (columns, rows)), `loops` one list a level."""

    def __init__(self, levels, loops, stride, first_two=True):
        self.levels, self.stride, self.first_two = levels, stride, first_two
        self.loops = [(letter, n, bool(mesh), v) for v, level in enumerate(loops) for letter, n, mesh in level]
        inner = dict.fromkeys("NGKCPQRS", 1)
        self.scale = []
        for letter, n, _, _ in reversed(self.loops):
            self.scale.insert(0, inner[letter])
            inner[letter] *= n
        self.sizes = inner

    def counts(self, operand):
        """{level name: (cap, reads, fills, updates)} of all instances, for the levels that keep the operand."""
        result, content = {}, prod(n for _, n, is_spatial, _ in self.loops if not is_spatial)
        levels = range(len(self.levels) - 1, -1, -1)
        incoming = {v: self.handed_down(operand, v) for v in levels[:-1]}
        for v in levels:
            name, kept, _ = self.levels[v]
            moved = incoming.get(v + 1)
            peers = 0
            if moved is not None:
                units = self.n_units(v, v)
                if operand in self.levels[v + 1][1]:
                    content = moved.read
                else:
                    content = content * units * moved.read / moved.received
            if operand in kept:
                share = 0.0
                if v > 0:
                    share = incoming[v].received / self.n_units(v - 1, v - 1)
                    peers = incoming[v].linked / self.n_units(0, v - 1)
                instances = self.n_units(0, v - 1)
                partition = self.outputs_of_one(v) if operand == "O" else 0
                result[name] = (
                    self.cap(operand, v),
                    round(content + peers - partition) * instances,
                    int(share + peers) * instances,
                    round(content) * instances if operand == "O" else 0,
                )
        return result

    def handed_down(self, operand, v):
        """What one instance of level v - 1 hands to its sub-units, the instances of level v."""
        outside = [i for i, loop in enumerate(self.loops) if loop[3] < v and not loop[2]]
        spatial = [i for i, loop in enumerate(self.loops) if loop[3] == v - 1 and loop[2]]
        places = list(product(*(range(self.loops[i][1]) for i in spatial)))
        units = {place: Unit() for place in places}
        counts = Counts()
        for moment, times in self.moments(outside):
            new = {}
            for place, unit in units.items():
                at = dict(zip(outside, moment, strict=True)) | dict(zip(spatial, place, strict=True))
                new[place] = unit.take(self.tile(operand, v, at))
            self.serve(counts, places, new, times, self.levels[v - 1][2])
        return counts

    def serve(self, counts, places, new, times, mesh):
        """Adds one moment: reads with multicast, or with what neighbours pass on if that takes fewer."""
        plain = sum(map(len, {tile for tile in new.values() if tile}))
        before = counts.before
        linked = [p for u, p in enumerate(places) if new[p] and self.from_neighbour(before, places, u, new[p], mesh)]
        alone = {p: tile for p, tile in new.items() if p not in linked}
        with_links = sum(map(len, {tile for tile in alone.values() if tile}))
        if with_links < plain:
            counts.read += times * with_links
            counts.received += times * sum(map(len, alone.values()))
            counts.linked += times * sum(len(new[p]) for p in linked)
        else:
            counts.read += times * plain
            counts.received += times * sum(map(len, new.values()))
        counts.before = new

    def from_neighbour(self, before, places, unit, tile, mesh):
        columns, rows = mesh
        x, y = unit % columns, unit // columns
        for a, b in ((x, y - 1), (x, y + 1), (x - 1, y), (x + 1, y)):
            other = b * columns + a
            if 0 <= a < columns and 0 <= b < rows and other < len(places) and before.get(places[other]) == tile:
                return True
        return False

    def moments(self, outside):
        """(index of every loop, how many moments this one stands for), in order of time."""
        ranges = []
        for i in outside:
            n = self.loops[i][1]
            ranges.append([(0, 1), (1, n - 1)][: min(n, 2)] if self.first_two else [(k, 1) for k in range(n)])
        for steps in product(*ranges):
            yield tuple(i for i, _ in steps), prod(times for _, times in steps)

    def tile(self, operand, v, at):
        """Elements of a tile of level v at a moment: the box of what the loops inside sweep."""
        low, high = dict.fromkeys(self.sizes, 0), dict.fromkeys(self.sizes, 0)
        for i, (letter, n, _, level) in enumerate(self.loops):
            if level >= v:
                high[letter] += (n - 1) * self.scale[i]
            elif i in at:
                low[letter] += at[i] * self.scale[i]
                high[letter] += at[i] * self.scale[i]
        ends = [(self.coordinate(axis, low), self.coordinate(axis, high)) for axis in AXES[operand]]
        return frozenset(product(*(range(a, b + 1) for a, b in ends)))

    def coordinate(self, axis, index):
        if axis == "y":
            return index["Q"] * self.stride + index["S"]
        if axis == "x":
            return index["P"] * self.stride + index["R"]
        return index[axis]

    def cap(self, operand, v):
        return len(self.tile(operand, v, {}))

    def n_units(self, first, last):
        """Product of the spatial loops of these levels."""
        return prod(n for _, n, is_spatial, level in self.loops if is_spatial and first <= level <= last)

    def outputs_of_one(self, v):
        """Outputs over those that different instances of level v hold."""
        moving = [loop for loop in self.loops if loop[2] and loop[3] < v and loop[0] in "NGKPQ"]
        different = prod(n for _, n, _, _ in moving)
        return prod(self.sizes[letter] for letter in "NGKPQ") // different
