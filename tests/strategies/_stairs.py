"""A space of whole numbers on a line, 0 to n - 1, for walks that are followed by hand."""

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status

GOALS = Goals((Objective("quality", +1), Objective("energy_j", -1)), (Limit("area_mm2", 1.0),))


def at(x):
    return Candidate({"line": int(x)})


def record(x, quality=0.5, energy=1.0, area=0.5, status=Status.OK):
    return Record(at(x), {"quality": quality, "energy_j": energy, "area_mm2": area}, status)


def failed(x):
    return Record(at(x), {}, Status.FAILED, "does not build")


class Stairs:
    def __init__(self, n):
        self.size = n

    def sample(self, rng):
        return at(rng.integers(self.size))

    def mutate(self, candidate, rng):
        return at((candidate.net["line"] + 1) % self.size)

    def crossover(self, a, b, rng):
        return at((a.net["line"] + b.net["line"]) // 2)

    def neighbours(self, candidate):
        x = candidate.net["line"]
        return (at(y) for y in (x - 1, x + 1) if 0 <= y < self.size)

    def enumerate(self):
        return map(at, range(self.size))
