"""What every executor must keep (`core/protocols.py: Executor`)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from archip.core.errors import UserError
from archip.core.protocols import Executor, Failure

__all__ = ["ExecutorContract", "PooledContract"]


class ExecutorContract:
    """Derive a test class and give it the fixture `executor`: one that is ready, with two workers if it can."""

    def test_it_follows_the_protocol(self, executor: Executor):
        assert isinstance(executor, Executor)
        assert executor.n_workers >= 1

    def test_results_come_in_the_order_of_the_items(self, executor: Executor):
        assert list(executor.map(_square, range(20))) == [x * x for x in range(20)]
        assert list(executor.map(_slow_when_even, range(5))) == list(range(5))
        assert list(executor.map(_square, [])) == []

    def test_completed_numbers_each_item_once(self, executor: Executor):
        assert sorted(executor.completed(_slow_when_even, range(6))) == [(i, i) for i in range(6)]

    def test_what_a_function_raises_is_a_failure_in_its_place(self, executor: Executor):
        ok, error, user, disk, memory = executor.map(_faulty, range(5))
        assert ok == 0
        assert (error.kind, error.reason) == ("error", "ValueError: one")
        assert (memory.kind, memory.reason) == ("error", "MemoryError")
        assert user.kind == disk.kind == "surroundings"
        assert isinstance(user.error, UserError)
        assert str(user.error) == "data.npz: cannot be read (another file)"
        assert isinstance(disk.error, OSError)
        assert disk.error.errno == 28
        assert list(executor.map(_square, [3])) == [9]

    def test_a_function_is_prepared_before_it_is_called(self, executor: Executor):
        assert list(executor.map(_Prepared(7), range(8))) == [7 * i for i in range(8)]

    def test_a_function_that_cannot_be_prepared_fails_for_every_item(self, executor: Executor):
        results = list(executor.map(_Prepared(0), range(3)))
        assert [(r.kind, r.reason) for r in results] == [("surroundings", "ValueError: no weight")] * 3

    def test_items_are_taken_as_workers_get_free(self, executor: Executor):
        taken: list[int] = []
        items = (taken.append(i) or i for i in count())
        assert len(list(islice(executor.completed(_square, items), 5))) == 5
        assert len(taken) <= 5 + 2 * executor.n_workers + 1

    def test_a_caller_that_leaves_disturbs_nobody(self, executor: Executor):
        results = executor.completed(_slow_when_even, range(100))
        next(results)
        getattr(results, "close", lambda: None)()
        assert list(executor.map(_square, range(4))) == [0, 1, 4, 9]


class PooledContract(ExecutorContract):
    """What executors with workers of their own must keep besides; the workers share this machine's files."""

    def test_an_item_that_takes_too_long_is_ended(self, executor: Executor):
        results = list(executor.map(_hangs_at_two, range(5), limit_s=2.0))
        assert [r for r in results if not isinstance(r, Failure)] == [0, 1, 3, 4]
        assert (results[2].kind, results[2].reason) == ("time", "took longer than 2 s")

    def test_preparing_counts_to_no_limit(self, executor: Executor):
        assert list(executor.map(_Prepared(3, seconds=2.5), range(3), limit_s=2.0)) == [0, 3, 6]

    def test_an_item_whose_worker_is_killed_is_tried_again(self, executor: Executor, tmp_path: Path):
        assert list(executor.map(_Dies(tmp_path, 2), range(5))) == list(range(5))
        assert (tmp_path / "2").read_text() == "x."
        others = [(tmp_path / str(i)).read_text() for i in (0, 1, 3, 4)]
        assert others == ["."] * 4  # nobody else's work is done twice

    def test_an_item_that_kills_every_worker_is_given_up(self, executor: Executor, tmp_path: Path):
        results = list(executor.map(_Dies(tmp_path, 2, always=True), range(4)))
        assert [r for r in results if not isinstance(r, Failure)] == [0, 1, 3]
        assert results[2].kind == "lost"
        assert (tmp_path / "2").read_text() == "xxx"  # two retries

    def test_workers_stay_and_get_a_function_once(self, executor: Executor, tmp_path: Path):
        function = _Prepared(1, folder=tmp_path)
        first, second = ({*executor.map(function, range(10))} for _ in range(2))
        assert first == second == set(range(10))
        marks = sorted(path.read_text() for path in tmp_path.iterdir())
        assert marks == ["."] * len(marks)
        assert len(marks) <= executor.n_workers


def _square(x: int) -> int:
    return x * x


def _slow_when_even(x: int) -> int:
    time.sleep(0.1 if x % 2 == 0 else 0.0)
    return x


def _faulty(x: int) -> int:
    errors = [ValueError("one\nand more"), UserError("cannot be read", "data.npz", "another file"),
              OSError(28, "No space left on device", "records"), MemoryError()]  # fmt: skip
    if x:
        raise errors[x - 1]
    return x


def _hangs_at_two(x: int) -> int:
    while x == 2:
        pass
    return x


@dataclass
class _Prepared:
    """Multiplies by what it got when it was prepared; marks each preparation by a point in a file of its process."""

    given: int
    seconds: float = 0.0
    folder: Path | None = None

    def prepare(self) -> None:
        time.sleep(self.seconds)
        if not self.given:
            raise ValueError("no weight")
        self.weight = self.given
        if self.folder:
            with open(self.folder / str(os.getpid()), "a") as file:
                file.write(".")

    def __call__(self, x: int) -> int:
        return x * self.weight


@dataclass(frozen=True)
class _Dies:
    """Ends its process at one item, the first time or always; leaves x for a death and a point for a result."""

    folder: Path
    at: int
    always: bool = False

    def __call__(self, x: int) -> int:
        path = self.folder / str(x)
        dies = x == self.at and (self.always or not path.exists())
        with open(path, "a") as file:
            file.write("x" if dies else ".")
        if dies:
            os._exit(9)
        return x
