"""What every strategy must keep (`core/protocols.py: Strategy`), tried on the toy problem."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.encoding import encode_codes
from archip.core.knobs import IntRange, Knob
from archip.core.protocols import Strategy
from archip.core.record import Record, Status
from archip.core.rng import generator
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record

__all__ = ["StrategyContract", "asks"]

Make = Callable[[], Strategy]


def asks(strategy: Strategy, n_asks: int, n: int, seed: int = 0, space: ToySpace | None = None) -> list[Candidate]:
    """What a strategy asks for when each ask is answered at once."""
    strategy.start(space or ToySpace(), TOY_GOALS)
    asked = []
    for number in range(n_asks):
        batch = strategy.ask(n, generator(seed, "ask", number))
        strategy.tell([toy_record(c) for c in batch])
        asked += batch
    return asked


class _Excerpt(ToySpace):
    """The first few networks of the toy space on its first few chips, `n` candidates in all."""

    def __init__(self, n: int, has_chip: bool = True) -> None:
        super().__init__(has_chip=has_chip)
        self.n = n
        n_chips = (3 if n % 3 == 0 else 1) if has_chip else 0
        self._chips = super().chips[:n_chips]
        networks = islice(ToySpace(has_chip=False).enumerate(), n // (n_chips or 1))
        self._some = [replace(c, hw=chip) for c in networks for chip in self._chips or [None]]

    @property
    def size(self) -> float:
        return self.n

    @property
    def networks(self) -> ToySpace:
        return _Excerpt(self.n // len(self._chips), has_chip=False)

    @property
    def chips(self) -> list[dict[str, Any]]:
        return self._chips

    def sample(self, rng: np.random.Generator) -> Candidate:
        return self._some[rng.integers(self.n)]

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        return self.sample(rng)

    def crossover(self, a: Candidate, b: Candidate, rng: np.random.Generator) -> Candidate:
        return self.sample(rng)

    def neighbours(self, candidate: Candidate) -> Iterator[Candidate]:
        return (c for c in self._some if c != candidate)

    def enumerate(self) -> Iterator[Candidate]:
        return iter(self._some)

    @property
    def knobs(self) -> Mapping[str, Knob]:
        return {"place": IntRange(0, self.n - 1)}

    def decide(self, choose: Callable[[str, Sequence[int]], int]) -> Candidate | None:
        return self._some[choose("place", range(self.n))]

    def codes(self, candidates: Sequence[Candidate]) -> np.ndarray:
        return np.array([[self._some.index(c)] for c in candidates], dtype=np.int64).reshape(-1, 1)

    def encode(self, candidates: Sequence[Candidate]) -> np.ndarray:
        return encode_codes(self.codes(candidates), list(self.knobs.values()))


class StrategyContract:
    """Derive a test class and give it the fixture `make`: a function that makes a new strategy, not yet started."""

    def test_follows_the_protocol(self, make: Make):
        assert isinstance(make(), Strategy)

    def test_asks_lie_in_the_space_and_are_new(self, make: Make):
        space = {c.id for c in ToySpace().enumerate()}
        asked = asks(make(), n_asks=15, n=20)
        assert {c.id for c in asked} <= space
        assert len({c.id for c in asked}) == len(asked) == 300

    @pytest.mark.parametrize("n", [1, 7, 200])
    def test_asks_at_most_what_was_wanted_and_at_least_one(self, make: Make, n: int):
        strategy = make()
        strategy.start(ToySpace(), TOY_GOALS)
        for number in range(3):
            assert 1 <= len(strategy.ask(n, generator(0, number))) <= n

    def test_same_seed_gives_same_asks(self, make: Make):
        assert asks(make(), 8, 20, seed=3) == asks(make(), 8, 20, seed=3)
        assert asks(make(), 8, 20, seed=3) != asks(make(), 8, 20, seed=4)

    def test_start_forgets_what_was_before(self, make: Make):
        strategy = make()
        asks(strategy, 8, 20, seed=5)
        assert asks(strategy, 8, 20, seed=3) == asks(make(), 8, 20, seed=3)

    def test_touches_no_global_generator(self, make: Make):
        before = np.random.get_state()[1].tolist()  # type: ignore[index]
        asks(make(), 5, 20)
        assert np.random.get_state()[1].tolist() == before  # type: ignore[index]

    def test_replayed_equals_uninterrupted(self, make: Make):
        """A run that is killed and asked and told again from its start goes on as if it had not been."""
        whole = asks(make(), 12, 16)
        resumed = make()
        replayed = asks(resumed, 7, 16)
        for number in range(7, 12):
            batch = resumed.ask(16, generator(0, "ask", number))
            resumed.tell([toy_record(c) for c in batch])
            replayed += batch
        assert replayed == whole

    def test_results_may_come_late_in_parts_and_in_any_order(self, make: Make):
        strategy, rng = make(), np.random.default_rng(0)
        strategy.start(ToySpace(), TOY_GOALS)
        out: list[Candidate] = []
        seen: set[str] = set()
        for number in range(40):
            batch = strategy.ask(int(rng.integers(1, 12)), generator(0, number))
            assert batch
            assert not seen & {c.id for c in batch}
            seen |= {c.id for c in batch}
            out = [c for _, c in sorted(((rng.random(), c) for c in [*out, *batch]), key=lambda pair: pair[0])]
            back, out = out[: len(out) // 2], out[len(out) // 2 :]
            strategy.tell([toy_record(c) for c in back])
        strategy.tell([])

    @pytest.mark.parametrize("share", [0.3, 1.0])
    def test_failures_and_nan_do_no_harm(self, make: Make, share: float):
        """Failed, pruned and NaN records are taken, and what was learnt from the others stays finite."""
        strategy, rng = make(), np.random.default_rng(1)
        strategy.start(ToySpace(), TOY_GOALS)
        asked: list[Candidate] = []
        for number in range(15):
            batch = strategy.ask(20, generator(0, "ask", number))
            asked += batch
            strategy.tell([_spoilt(toy_record(c), rng) if rng.random() < share else toy_record(c) for c in batch])
        assert len({c.id for c in asked}) == len(asked) == 300

    @pytest.mark.parametrize("size", [1, 2, 45])
    def test_a_small_space_is_asked_for_once_and_then_nothing(self, make: Make, size: int):
        asked = asks(make(), n_asks=30, n=7, space=_Excerpt(size))
        assert sorted(c.id for c in asked) == sorted(c.id for c in _Excerpt(size).enumerate())

    @pytest.fixture
    def cheap_s(self) -> float:
        """Seconds that a candidate may cost."""
        return 1e-3

    def test_proposing_is_cheap(self, make: Make, cheap_s: float):
        """At most 1 ms a candidate in a large space, asking and telling (bound times five for busy machines)."""
        strategy = make()
        asks(strategy, n_asks=2, n=1000, space=ToySpace(n_layers=12))
        spent = 0.0
        for number in range(10):
            began = time.process_time()
            batch = strategy.ask(32, generator(1, number))
            asked = time.process_time()
            records = [toy_record(c) for c in batch]
            told = time.process_time()
            strategy.tell(records)
            spent += time.process_time() - told + asked - began
        assert spent / 320 < 5 * cheap_s


def _spoilt(record: Record, rng: np.random.Generator) -> Record:
    """The record as a failure, as one that was pruned before its costlier metrics, or with NaN in it."""
    kinds = [
        replace(record, metrics={}, status=Status.FAILED, reason="diverged"),
        replace(record, metrics={"energy_j": 3e-8}, status=Status.INFEASIBLE, reason="breaks energy_j"),
        replace(record, metrics={**record.metrics, "quality": float("nan")}),
        replace(record, metrics={**record.metrics, "energy_j": float("nan")}),
        replace(record, metrics={**record.metrics, "latency_s": float("inf")}),
    ]
    return kinds[int(rng.integers(len(kinds)))]
