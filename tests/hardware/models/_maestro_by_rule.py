"""MAESTRO's rules once more, the slow way: every combination of positions, no merging, no memory of what was done.

Written from the rules in words (docs/cost-model.md), to compare the compiled kernels with on odd cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

INIT, STEADY, EDGE = "init", "steady", "edge"
COUPLED = {"conv": {"weight": "KCRS", "input": "CYX", "output": "KYX"}}
COUPLED["dwconv"] = {"weight": "CRS", "input": "CYX", "output": "CYX"}


def truncated(a: int, b: int) -> int:
    return int(a / b)


@dataclass
class Map:
    dim: str
    spatial: bool
    size: int
    offset: int


@dataclass
class Position:
    kind: str
    count: int
    unrolled: bool = False
    edge: bool = False
    partial: bool = False


class Level:
    """One level for its full dimension sizes: directives, tables, active sub-clusters at the edge."""

    def __init__(self, maps: list[Map], sizes: dict[str, int], n: int, coupled: dict[str, str]) -> None:
        self.maps, self.sizes, self.n, self.coupled = maps, sizes, n, coupled
        self.by_dim = {m.dim: m for m in maps}
        self.tile, self.new, self.last, self.new_last = {}, {}, {}, {}
        for m in maps:
            self._input_side(m)
        for out, y, r in (("Y'", "Y", "R"), ("X'", "X", "S")):
            self.tile[out] = self.tile[y] - self.tile[r] + 1
            self.last[out] = self.last[y] - self.last[r] + 1
            self.new[out] = min(self.by_dim[y].offset, self.by_dim[y].size)
            self.new_last[out] = min(self.by_dim[y].offset, self.last[out])
        self.spatial = [m for m in maps if m.spatial]
        self.n_edge = self._active_at_edge(self.spatial[0])

    def _input_side(self, m: Map) -> None:
        size = self.sizes[m.dim]
        steps = max(truncated(size - m.size, m.offset), 0)
        has_last = steps * m.offset + m.size < size or m.size > size
        rest = size - (steps + 1) * m.offset
        rest = size if rest < 0 else rest
        self.tile[m.dim] = m.size
        self.new[m.dim] = 0 if not m.spatial and size <= m.size else min(m.size, m.offset)
        self.last[m.dim] = rest if has_last else m.size
        self.new_last[m.dim] = max(m.offset - (m.size - rest), 0)

    def _active_at_edge(self, m: Map) -> int:
        size = self.sizes[m.dim]
        fits = size <= m.size + m.offset * (self.n - 1)
        steps = (truncated(size - m.size, m.offset) + 1) // self.n - 1
        remaining = size if fits else size - (steps + 1) * m.offset * self.n
        active = 1 if remaining < m.size else (remaining - m.size) // m.offset + 1
        return active + ((active - 1) * m.offset + m.size < remaining)

    def positions(self, m: Map, size: int) -> list[Position]:
        if not m.spatial:
            found = [Position(INIT, 1, size <= m.size, size < m.size)]
            steps = (size - m.size) // m.offset if size > m.size else 0
            if steps > 0:
                found.append(Position(STEADY, steps))
            if size > m.size and steps * m.offset + m.size < size:
                found.append(Position(EDGE, 1, edge=True))
            return found
        covered = m.size + m.offset * (self.n - 1)
        found = [Position(INIT, 1, size <= covered, size < covered, size < covered)]
        steps = (truncated(size - m.size, m.offset) + 1) // self.n - 1
        step = m.offset * self.n
        if size > covered and steps > 0:
            found.append(Position(STEADY, steps))
        if size > covered and (steps + 1) * step + covered > size and steps * step + covered != size:
            remaining = size - (steps + 1) * step
            active = 1 if remaining < m.size else (remaining - m.size) // m.offset + 1
            partial = (active - 1) * m.offset + m.size < remaining
            found.append(Position(EDGE, 1, edge=True, partial=partial))
        return found

    def over(self, case: dict[str, Position], dims: str, volume) -> int:
        """Sum of volume(first?, partial?) over the sub-clusters of what has these dimensions."""
        mapped = [m for m in self.spatial if m.dim in dims]
        if not mapped:
            return volume(True, False)
        if not any(case[m.dim].edge for m in mapped):
            return volume(True, False) + (self.n - 1) * volume(False, False)
        partial = case[mapped[-1].dim].partial
        if self.n_edge == 1:
            return volume(True, partial)
        full = max(self.n_edge - partial - 1, 0)
        return volume(True, False) + full * volume(False, False) + partial * volume(False, True)

    def ingress(self, case: dict[str, Position], tensor: str) -> int:
        dims = self.coupled[tensor]
        order = [m.dim for m in self.maps]
        advancing = max((i for i, d in enumerate(order) if case[d].kind != INIT), default=-1)
        if advancing >= 0 and order[advancing] not in dims:
            return 0
        reset = any(d in dims and not case[d].unrolled for d in order[advancing + 1 :])

        def volume(first: bool, partial: bool) -> int:
            if advancing < 0:
                return math.prod(self._first_load(case[m.dim], m, first, partial) for m in self.maps if m.dim in dims)
            total = 1
            for i, m in enumerate(self.maps):
                if m.dim in dims:
                    only_new = i == advancing and not reset
                    total *= self._load(case[m.dim], m, first, partial, only_new, i > advancing)
            return total

        return self.over(case, dims, volume)

    def _first_load(self, at: Position, m: Map, first: bool, partial: bool) -> int:
        if not at.edge:
            return self.tile[m.dim]
        if not m.spatial or partial or (self.n_edge == 1 and first):
            return self.last[m.dim]
        return 1 if self.n_edge == 1 else self.tile[m.dim]

    def _load(self, at: Position, m: Map, first: bool, partial: bool, only_new: bool, inner: bool) -> int:
        if not m.spatial:
            if at.kind == INIT:
                return self.last[m.dim] if at.edge else self.tile[m.dim]
            return self.new[m.dim] if only_new else self.tile[m.dim]
        if not first and (inner or only_new):
            return self.new_last[m.dim] if partial else self.new[m.dim]
        return self.last[m.dim] if partial else self.tile[m.dim]

    def _out(self, at: Position, m: Map, first: bool, partial: bool, sums: bool) -> int:
        """Output rows, columns or channels of a sub-cluster; reduction dimensions for sums."""
        is_output = m.dim in self.coupled["output"]
        name = m.dim + "'" if is_output and m.dim in "YX" else m.dim
        if not m.spatial:
            return self.last[name] if at.edge else self.tile[name]
        if at.kind == EDGE and self.n_edge == 1 and (first or partial):
            return self.last[m.dim]
        if at.kind == EDGE and partial:
            return self.new_last[name]
        if at.kind == INIT and at.edge and partial:
            return self.last[name] if self.n_edge == 1 or sums else self.new_last[name]
        return self.tile[name] if first else max(self.new[name], 1)

    def egress(self, case: dict[str, Position]) -> int:
        dims = self.coupled["output"]
        maps = [m for m in self.maps if m.dim in dims]
        return self.over(
            case, dims, lambda first, partial: math.prod(self._out(case[m.dim], m, first, partial, False) for m in maps)
        )

    def sums(self, case: dict[str, Position], first: bool, partial: bool) -> int:
        return math.prod(self._out(case[m.dim], m, first, partial, True) for m in self.maps)

    def critical(self, case: dict[str, Position]) -> int:
        mapped = [m for m in self.spatial if m.dim in self.coupled["output"]]
        edge = any(case[m.dim].edge for m in mapped)
        partial = edge and self.n_edge == 1 and case[mapped[-1].dim].partial
        return self.sums(case, True, bool(partial))

    def macs(self, case: dict[str, Position]) -> int:
        if not any(case[m.dim].edge for m in self.spatial):
            return self.n * self.sums(case, True, False)
        partial = case[self.spatial[-1].dim].partial
        if self.n_edge == 1:
            return self.sums(case, True, partial)
        full = max(self.n_edge - partial - 1, 0) + 1
        return full * self.sums(case, True, False) + partial * self.sums(case, False, True)

    def handed_down(self, case: dict[str, Position], partial: bool) -> dict[str, int]:
        sizes = {}
        for m in self.maps:
            at = case[m.dim]
            last = at.edge and (not m.spatial or partial or self.n_edge == 1)
            sizes[m.dim] = self.last[m.dim] if last else self.tile[m.dim]
        return sizes


def levels(layer: dict[str, int], text: list[tuple[int | None, list[Map]]], depthwise: bool) -> list[Level]:
    """Levels of (sub-clusters, directives): strides applied, inherited directives in front, missing ones behind."""
    stride = layer["stride"]
    sizes = {"K": layer["K"], "C": layer["C"], "R": layer["FY"], "S": layer["FX"]}
    sizes |= {"Y": (layer["OY"] - 1) * stride + layer["FY"], "X": (layer["OX"] - 1) * stride + layer["FX"]}
    if depthwise:
        del sizes["K"]
    filters = {"Y": sizes["R"], "X": sizes["S"]}
    found: list[Level] = []
    for n, maps in text:
        maps = [Map(m.dim, m.spatial, m.size, m.offset) for m in maps if m.dim in sizes]
        for m in found[-1].maps if found else []:
            if m.dim not in {x.dim for x in maps}:
                maps.insert(0, Map(m.dim, False, m.size, m.offset))
        maps += [Map(d, False, sizes[d], sizes[d]) for d in "CKRSXY" if d in sizes and d not in {m.dim for m in maps}]
        for m in maps:
            if m.size == 0:
                m.size = m.offset = sizes[m.dim]
            f = filters.get(m.dim, 0)
            if f and stride != 1 and m.size >= f:
                outputs = (m.size + stride - f) // stride
                m.size = outputs * min(stride, f) + max(f - stride, 0)
                m.offset = outputs * (f if found and f < stride else stride)
        found.append(Level(maps, sizes, n, COUPLED["dwconv" if depthwise else "conv"]))
        sizes = {m.dim: min(m.size, sizes[m.dim]) for m in maps}
    return found


def run(all_levels: list[Level], sizes: dict[str, int], noc: int, offchip: int, top: bool = True) -> dict[str, float]:
    """Counters of the first of these levels on a tile of these sizes."""
    level, inner = all_levels[0], all_levels[1:]
    result = dict.fromkeys(("runtime", "macs", "input", "weight", "output", "steps", "busy", "noc_sum", "peak"), 0)
    result |= {"ingress": [], "egress": [], "compute": [], "offchip": 0}
    refill = 0
    every = [level.positions(m, sizes[m.dim]) for m in level.maps]
    for case_number, choice in enumerate(in_tool_order(every)):
        case = {m.dim: at for m, at in zip(level.maps, choice, strict=True)}
        count = math.prod(at.count for at in choice)
        egress = level.egress(case)
        result["output"] += count * egress
        critical = level.critical(case)
        if critical <= 0:
            continue
        parts = {t: level.ingress(case, t) for t in ("input", "weight")}
        ingress = sum(parts.values())
        at = case[level.spatial[0].dim]
        active = level.n_edge if at.edge else level.n
        compute, busy = critical, active
        if inner:
            runs = [(True, 1), (False, active - 1)] if at.edge and at.partial else [(False, active)]
            subs = [(run(inner, level.handed_down(case, p), noc, offchip, False), n) for p, n in runs if n > 0]
            compute = max(s["runtime"] for s, _ in subs)
            busy = sum(s["busy"] / max(s["steps"], 1) * n for s, n in subs) or active
        delay_in, delay_out = -(-ingress // noc), -(-egress // noc)
        first = all(at.kind == INIT for at in choice)
        delay = compute + delay_in if first else max(compute, delay_in, delay_out)
        if top:
            if case_number == 0:
                refill = max(2 * ingress, 2 * egress)
            delay = max(delay, refill // offchip // 2)
            result["offchip"] = max(result["offchip"], refill // max(compute, 1)) // 2
        compute = max(compute, 1)
        result["runtime"] += count * delay
        result["steps"] += count
        result["busy"] += count * busy
        result["macs"] += count * level.macs(case)
        result["noc_sum"] += count * max(ingress, egress) // compute
        result["peak"] = max(result["peak"], max(ingress, egress) // compute)
        for name, value in (("ingress", delay_in), ("egress", delay_out), ("compute", compute)):
            result[name].append((value, count))
        for name, value in parts.items():
            result[name] += count * value
    return result


def in_tool_order(every: list[list[Position]]):
    """All combinations; after the first, all slots count up at once."""
    total = math.prod(len(p) for p in every)
    periods = [math.prod(len(p) for p in every[i + 1 :]) for i in range(len(every))]
    for number in range(total):
        index = [((number - 1) // f + 1) % len(p) if number else 0 for f, p in zip(periods, every, strict=True)]
        yield tuple(p[i] for i, p in zip(index, every, strict=True))
