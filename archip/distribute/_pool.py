"""Pool: an executor of persistent workers, one item at a time each. A method says how a worker is started."""

from __future__ import annotations

import hashlib
import itertools
import pickle  # messages between our own processes, never a file
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from archip.distribute._dispatcher import Dispatcher, Job, Worker

__all__ = ["Pool", "Worker"]

_WAITING = 2  # items handed in for each worker: one at work, one at hand
_KEPT = 16  # functions in their travelling form
_LOOK_S = 1.0  # how often a caller looks whether its dispatcher is alive


class Pool(ABC):
    """An executor by three methods: `n_workers`, `open_worker` and `shut`."""

    retries: int

    @property
    @abstractmethod
    def n_workers(self) -> int: ...

    @abstractmethod
    def open_worker(
        self,
        resources: Mapping[str, float] | None,
        answer: Callable[[Worker, Any], None],
        lost: Callable[[Worker, str], None],
    ) -> Worker:
        """Start a worker that reports to `answer` and `lost`, from any thread."""

    @abstractmethod
    def shut(self) -> None:
        """Called by `close` when all workers are killed."""

    # What follows is final.

    def begin(self) -> None:
        """Set up; an implementation calls it in ``__post_init__``."""
        self._lock = threading.RLock()
        self._packed: dict[int, tuple[Callable[[Any], Any], bytes, str]] = {}  # with the function, so that ids stay
        self._running: tuple[Dispatcher, threading.Thread] | None = None

    def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        limit_s: float | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Iterator[Any]:
        early: dict[int, Any] = {}
        wanted = 0
        for number, result in self.completed(function, items, limit_s=limit_s, resources=resources):
            early[number] = result
            while wanted in early:
                yield early.pop(wanted)
                wanted += 1

    def completed(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        limit_s: float | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        _, packed, key = self._travelling(function)
        dispatcher = self._dispatcher()
        results: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        is_open = [True]
        jobs = (
            Job(key, packed, item, limit_s, resources, lambda r, n=n: results.put((n, r)), lambda: is_open[0])
            for n, item in enumerate(items)
        )
        n_out = 0
        try:
            for job in itertools.islice(jobs, _WAITING * self.n_workers):
                dispatcher.submit(job)
                n_out += 1
            while n_out:
                number, result = _next(results, dispatcher)
                n_out -= 1
                for job in itertools.islice(jobs, 1):
                    dispatcher.submit(job)
                    n_out += 1
                yield number, result
        finally:
            is_open[0] = False
            dispatcher.events.put(lambda: None)  # to see that nobody waits any more

    def close(self) -> None:
        with self._lock:
            running, self._running = self._running, None
        if running:
            running[0].events.put(None)
            running[1].join()
        self.shut()

    def _travelling(self, function: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], bytes, str]:
        with self._lock:
            if id(function) not in self._packed:
                if len(self._packed) >= _KEPT:
                    self._packed.clear()
                packed = pickle.dumps(function)
                self._packed[id(function)] = function, packed, hashlib.sha256(packed).hexdigest()
            return self._packed[id(function)]

    def _dispatcher(self) -> Dispatcher:
        with self._lock:
            if self._running is None or self._running[0].broken:
                dispatcher = Dispatcher(self.open_worker, self.n_workers, self.retries)
                thread = threading.Thread(target=dispatcher.run, name="archip workers", daemon=True)
                thread.start()
                self._running = dispatcher, thread
            return self._running[0]


def _next(results: queue.SimpleQueue[tuple[int, Any]], dispatcher: Dispatcher) -> tuple[int, Any]:
    """The next result.

    Raises:
        ArchipError: the executor was closed or no worker can be started; other errors where the cluster is gone.
    """
    while True:
        try:
            found = results.get(timeout=_LOOK_S)
        except queue.Empty:
            found = None
        if dispatcher.broken and (found is None or found[1] is None):
            raise dispatcher.broken
        if found is not None:
            return found
