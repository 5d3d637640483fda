"""Executes a mapping step by step on explicit buffers and counts what moves, in elements.

Every buffer holds the set of elements that the loops inside its cut sweep; when a loop outside advances that the
operand depends on, the buffer's content is replaced. Nothing is computed from products of loop sizes.
"""

from __future__ import annotations

from itertools import product

from archip.hardware.mapping import LOOPS

NEEDS = {"W": "GKC FY FX", "I": "BGC OY OX FY FX", "O": "BGK OY OX"}
DEPENDS = {o: [loop for loop in LOOPS if loop in text.split() or loop in text.split()[0]] for o, text in NEEDS.items()}


class Simulator:
    """One layer (sizes by loop, stride and dilation along x and y alike) under one mapping."""

    def __init__(self, accelerator, sizes, stride, dilation, mapping):
        self.accelerator, self.stride, self.dilation, self.mapping = accelerator, stride, dilation, mapping
        self.sizes = sizes
        self.array = list(accelerator.array)
        self.temporal = mapping.temporal
        self.units = list(product(*(range(_times(loops)) for loops in mapping.spatial)))
        self.step_of = self._steps()
        self.times = list(product(*(range(n) for _, n in reversed(self.temporal))))
        self.at = {(t[::-1], u): self._at(t[::-1], u) for t in self.times for u in self.units}
        self.element = {(o, *moment): self._element(o, at) for o in "WIO" for moment, at in self.at.items()}
        self.families = {
            (o, level): self._families(o, level) for o in "WIO" for level in range(-1, len(accelerator.levels(o)) - 1)
        }
        self.visited = set()

    def run(self):
        """{(operand, level, direction): elements}, summed over instances; also fills `visited`."""
        counts = {}
        for operand in "WIO":
            held = {}
            for time in self.times:
                self._advance(operand, time[::-1], held, counts)
        self.visited = {tuple(at.values()) for at in self.at.values()}
        return counts

    def _advance(self, operand, time, held, counts):
        """One step of one operand: buffers from the outside in, then the array."""
        levels = len(self.accelerator.levels(operand))
        for level in reversed(range(-1, levels - 1)):  # -1 is the array itself
            cut = self.mapping.cuts[operand][level] if level >= 0 else 0
            outer = tuple(
                i for i, (loop, _) in zip(time[cut:], self.temporal[cut:], strict=True) if self._moves(loop, operand)
            )
            every_step = operand == "O" and level < 0
            if held.get(level) == outer and not every_step:
                continue
            held[level] = outer
            for upper, lowers in self.families[operand, level].items():
                tiles = [self._content(operand, cut, time, units) for units in lowers]
                if level < levels - 2:
                    upper_cut = self.mapping.cuts[operand][level + 1]
                    assert set().union(*tiles) <= self._content(operand, upper_cut, time, upper)
                self._count(operand, level, cut, time, upper, tiles, counts)

    def _count(self, operand, level, cut, time, upper, tiles, counts):
        merged, single = len(set().union(*tiles)), sum(map(len, tiles))
        moves = []
        if operand != "O":
            moves = [(level + 1, "rd_to_lower", merged), (level, "wr_from_higher", single)]
        else:
            moves = [(level + 1, "wr_from_lower", merged), (level, "rd_to_higher", single)]
            if self._is_unfinished(cut, time, upper):
                moves += [(level + 1, "rd_to_lower", merged), (level, "wr_from_higher", single)]
        for at, direction, elements in moves:
            if at >= 0:
                counts[operand, at, direction] = counts.get((operand, at, direction), 0) + elements

    def _is_unfinished(self, cut, time, units):
        """Whether the sums that reach the upper memory lack some of their products."""
        products = {}
        for inner in product(*(range(n) for _, n in self.temporal[:cut])):
            for unit in units:
                moment = ((*inner, *time[cut:]), unit)
                at = self.at[moment]
                products.setdefault(self.element["O", *moment], set()).add((at["C"], at["FY"], at["FX"]))
        full = self.sizes["C"] * self.sizes["FY"] * self.sizes["FX"]
        return any(len(of) < full for of in products.values())

    def _content(self, operand, cut, time, units):
        inner_times = product(*(range(n) for _, n in self.temporal[:cut]))
        return {self.element[operand, (*inner, *time[cut:]), unit] for inner in inner_times for unit in units}

    def _families(self, operand, level):
        """{units under an instance of the next outer memory: [units under each instance of this one]}."""
        families = {}
        for unit in self.units:
            families.setdefault(self._instance(operand, level + 1, unit), {}).setdefault(
                self._instance(operand, level, unit), []
            ).append(unit)
        return {
            tuple(u for units in lower.values() for u in units): list(lower.values()) for lower in families.values()
        }

    def _instance(self, operand, level, unit):
        if level < 0:
            return unit
        memory = self.accelerator.memories[self.accelerator.levels(operand)[level]]
        is_last = memory is self.accelerator.memories[-1]
        return tuple(x for d, x in zip(self.array, unit, strict=True) if d not in memory.serves and not is_last)

    def _element(self, operand, at):
        if operand == "I":
            rows = at["OY"] * self.stride + at["FY"] * self.dilation
            columns = at["OX"] * self.stride + at["FX"] * self.dilation
            return at["B"], at["G"], at["C"], rows, columns
        return tuple(at[loop] for loop in DEPENDS[operand])

    def _moves(self, loop, operand):
        return loop in DEPENDS[operand]

    def _at(self, time, unit):
        """Index of every loop at a moment in a unit."""
        at = dict.fromkeys(LOOPS, 0)
        for place, (loop, _) in enumerate(self.temporal):
            at[loop] += time[place] * self.step_of["time", place]
        for d, loops in enumerate(self.mapping.spatial):
            rest = unit[d]
            for loop, times in loops:
                at[loop] += (rest % times) * self.step_of[d, loop]
                rest //= times
        return at

    def _steps(self):
        """How far one iteration of each loop goes, so that what a memory holds of the input is contiguous."""
        steps, reached = {}, dict.fromkeys(LOOPS, 1)
        served, begin = set(), 0
        for level, v in enumerate(self.accelerator.levels("I")):
            for d, dimension in enumerate(self.array):
                is_last = v == len(self.accelerator.memories) - 1
                if d not in served and (is_last or dimension in self.accelerator.memories[v].serves):
                    served.add(d)
                    for loop, times in self.mapping.spatial[d]:
                        steps[d, loop] = reached[loop]
                        reached[loop] *= times
            end = self.mapping.cuts["I"][level]
            for place in range(begin, end):
                loop, times = self.temporal[place]
                steps["time", place] = reached[loop]
                reached[loop] *= times
            begin = end
        return steps


def _times(loops):
    n = 1
    for _, times in loops:
        n *= times
    return n
