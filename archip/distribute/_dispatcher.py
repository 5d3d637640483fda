"""Dispatcher: the thread that owns the workers. It reads events: a job came, a worker answered, a worker was lost.

It gives jobs to idle workers, starts workers while jobs wait, kills whoever exceeds its time, and tries again what
was lost with a worker. A worker that is slow to start (a cluster without room) holds nothing up: it has no job yet.
"""

from __future__ import annotations

import contextlib
import queue
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archip.core.errors import ArchipError
from archip.core.protocols import Failure

__all__ = ["Dispatcher", "Job", "Worker"]

_HELD = 16  # functions that a worker keeps
Answer = Callable[["Worker", Any], None]


class Worker(ABC):
    """One worker. It answers None when it is ready, and then once for each `load` and `call`, from any thread.

    Attributes:
        held: keys of the functions that it has.
        resources: what it occupies, as asked.
    """

    held: set[str]
    resources: Mapping[str, float] | None

    @abstractmethod
    def load(self, key: str, packed: bytes, forget: bool) -> None:
        """Give it a function and prepare that; the answer is None or a Failure. `forget`: drop all others first."""

    @abstractmethod
    def call(self, key: str, item: Any) -> None:
        """Call a function that it has."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once; it may or may not say that it was lost."""


@dataclass(eq=False)
class Job:
    """One item for one function; `done` gets the result, `is_wanted` says whether anybody still waits for it."""

    key: str
    packed: bytes
    item: Any
    limit_s: float | None
    resources: Mapping[str, float] | None
    done: Callable[[Any], None]
    is_wanted: Callable[[], bool]
    n_lost: int = 0
    loading: bool = False
    deadline: float | None = None


class Dispatcher:
    """Runs in one thread; everything but `events` belongs to that.

    Args:
        open_worker: starts a worker that reports to the two functions: answered and lost (with the reason).
        n_workers: how many there may be.
        retries: of a job whose worker was lost, and of starting a worker.
    """

    def __init__(
        self,
        open_worker: Callable[[Mapping[str, float] | None, Answer, Callable[[Worker, str], None]], Worker],
        n_workers: int,
        retries: int,
    ) -> None:
        self.events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.broken: Exception | None = None
        self._open, self._n, self._retries = open_worker, n_workers, retries
        self._waiting: deque[Job] = deque()
        self._starting: list[Worker] = []
        self._idle: list[Worker] = []
        self._busy: dict[Worker, Job] = {}
        self._n_stillborn = 0

    def run(self) -> None:
        """Until None is among the events."""
        error: Exception = ArchipError("the executor was closed")
        try:
            while (event := self._next()) is not None:
                event()
                self._expire()
                self._assign()
        except Exception as broken:  # a cluster that is gone: whoever waits is told
            error = broken
        self.broken = error
        for worker in [*self._starting, *self._idle, *self._busy]:
            with contextlib.suppress(Exception):
                worker.kill()
        for job in [*self._busy.values(), *self._waiting]:
            job.done(None)

    def submit(self, job: Job) -> None:
        """Hand in a job; from any thread."""
        self.events.put(lambda: self._waiting.append(job))

    def _next(self) -> Callable[[], None] | None:
        """The next event; an empty one where a deadline comes first; None to end."""
        deadlines = [job.deadline for job in self._busy.values() if job.deadline is not None]
        try:
            return self.events.get(timeout=max(0.0, min(deadlines) - time.monotonic()) if deadlines else None)
        except queue.Empty:
            return lambda: None

    def _assign(self) -> None:
        left: deque[Job] = deque()
        for job in self._waiting:
            if job.is_wanted():
                worker = next((w for w in self._idle if w.resources == job.resources), None)
                if worker is None:
                    left.append(job)
                else:
                    self._give(worker, job)
        self._waiting = left
        on_the_way = [worker.resources for worker in self._starting]
        for job in left:
            if job.resources in on_the_way:
                on_the_way.remove(job.resources)
            elif self._has_room():
                self._start(job.resources)

    def _has_room(self) -> bool:
        if len(self._starting) + len(self._idle) + len(self._busy) < self._n:
            return True
        if self._idle:  # it has other resources than what waits
            self._idle.pop().kill()
            return True
        return False

    def _start(self, resources: Mapping[str, float] | None) -> None:
        worker = self._open(
            resources,
            lambda worker, result: self.events.put(lambda: self._answered(worker, result)),
            lambda worker, why: self.events.put(lambda: self._lost(worker, why)),
        )
        worker.resources, worker.held = resources, set()
        self._starting.append(worker)

    def _give(self, worker: Worker, job: Job) -> None:
        self._idle.remove(worker)
        self._busy[worker] = job
        job.loading = job.key not in worker.held
        if job.loading:
            forget = len(worker.held) >= _HELD
            worker.held = {job.key} if forget else worker.held | {job.key}
            worker.load(job.key, job.packed, forget)
        else:
            self._call(worker, job)

    def _call(self, worker: Worker, job: Job) -> None:
        job.deadline = None if job.limit_s is None else time.monotonic() + job.limit_s
        worker.call(job.key, job.item)

    def _answered(self, worker: Worker, result: Any) -> None:
        if worker in self._starting:
            self._starting.remove(worker)
            self._idle.append(worker)
            self._n_stillborn = 0
            return
        job = self._busy.get(worker)
        if job is None:  # killed meanwhile
            return
        if job.loading and result is None:
            job.loading = False
            self._call(worker, job)
            return
        if job.loading:
            worker.held.discard(job.key)
        del self._busy[worker]
        self._idle.append(worker)
        job.done(result)

    def _lost(self, worker: Worker, why: str) -> None:
        worker.kill()  # its process or machine may still be there
        if worker in self._starting:
            self._starting.remove(worker)
            self._n_stillborn += 1
            if self._n_stillborn > self._retries:
                raise ArchipError(f"no worker can be started: {why}")
        if worker in self._idle:
            self._idle.remove(worker)
        job = self._busy.pop(worker, None)
        if job is None:
            return
        job.n_lost, job.loading, job.deadline = job.n_lost + 1, False, None
        if job.n_lost > self._retries:
            job.done(Failure("lost", f"the worker was lost {job.n_lost} times: {why}"))
        else:
            self._waiting.appendleft(job)

    def _expire(self) -> None:
        now = time.monotonic()
        for worker, job in list(self._busy.items()):
            late = job.deadline is not None and now >= job.deadline
            if late or not job.is_wanted():
                worker.kill()
                del self._busy[worker]
                if late:
                    job.done(Failure("time", f"took longer than {job.limit_s:g} s"))
