"""Work: what no stored result answers is evaluated, in this process or on workers, and shared with other drivers.

Candidates are handed out in chunks that take a fraction of a second, so that messages and commits cost little and a
kill loses little. Each chunk is leased in the store while it is evaluated: several drivers of one run (two terminals,
two machines, one store) take different chunks and wait for each other's results; what a dead one had is taken over.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archip.core.candidate import Candidate
from archip.core.protocols import Executor, Failure, RunStore, Stage, Store
from archip.core.record import Outcome, Status

__all__ = ["Call", "Work"]

_log = logging.getLogger(__name__)

# Candidates → their outcomes and the seconds that these took; what travels to a worker.
Call = Callable[[Sequence[Candidate]], tuple[list[Outcome], float]]
Todo = Mapping[str, Candidate]  # key of the outcome → candidate

_CHUNK_S = 0.5  # a kill loses at most about so much work of each worker
_CHEAP_S = 0.05  # a candidate, below which a lease costs more than it saves
_LEASE_S = 10.0  # how long a dead driver's work waits
_LOOK_S = (0.02, 1.0)  # how often to look for the results of others, at first and at last


@dataclass
class Work:
    """Evaluates candidates that the store does not know.

    Attributes:
        executor: None for this process.
        call: the form in which a stage travels; None for one that has to stay in this process.
        limit_s: for one candidate in one stage, on workers.
    """

    store: Store
    executor: Executor | None = None
    call: Callable[[Stage], Call | None] = lambda stage: None
    limit_s: float | None = None
    _calls: dict[str, Call | None] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)  # of one candidate, by stage
    _mine: set[str] = field(default_factory=set)  # keys that some thread of this process has
    _leased: set[str] = field(default_factory=set)  # those of them that no other process may take
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _owner: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")

    def outcomes(self, stage: Stage, todo: Todo) -> dict[str, Outcome]:
        """The outcome of every candidate by its key, as the store has it from now on."""
        known: dict[str, Outcome] = {}
        pause = _LOOK_S[0]
        while left := {key: c for key, c in todo.items() if key not in known}:
            before = len(known)
            for part, outcomes in self._evaluated(stage, left):
                self.store.put(
                    [(k, stage.name, c.only(stage.reads), o) for (k, c), o in zip(part, outcomes, strict=True)]
                )
                known |= {key: outcome for (key, _), outcome in zip(part, outcomes, strict=True)}
                self._give_back([key for key, _ in part])
            left = [key for key in todo if key not in known]
            known |= self.store.get(left) if left else {}
            if len(known) == before:  # all of it is in the hands of others
                time.sleep(pause)
            pause = _LOOK_S[0] if len(known) > before else min(2 * pause, _LOOK_S[1])
        return known

    def _evaluated(self, stage: Stage, todo: Todo) -> Iterator[tuple[list[tuple[str, Candidate]], list[Outcome]]]:
        """What nobody else has of `todo`, chunk by chunk, as it is ready."""
        call = self._travelling(stage)
        taken: list[list[tuple[str, Candidate]]] = []
        try:
            with self._renewing(stage):
                chunks = self._chunks(stage, todo, taken)
                if call is None or self.executor is None:
                    for part in chunks:
                        yield part, self._here(stage, part)
                    return
                items = ([c for _, c in part] for part in chunks)
                for number, result in self.executor.completed(call, items, limit_s=self.limit_s):
                    yield taken[number], self._outcomes(stage, call, taken[number], result)
        finally:
            self._give_back([key for part in taken for key, _ in part])

    def _chunks(
        self, stage: Stage, todo: Todo, taken: list[list[tuple[str, Candidate]]]
    ) -> Iterator[list[tuple[str, Candidate]]]:
        """Parts of `todo` that are ours; each is added to `taken` first."""
        waiting = deque(todo.items())
        n_workers = self.executor.n_workers if self.executor else 1
        while waiting:
            n = min(self._size(stage), math.ceil(len(waiting) / n_workers))
            part = [waiting.popleft() for _ in range(n)]
            ours = set(self._claimed(stage, [key for key, _ in part]))
            if self._is_leased(stage):  # the one who had a key before may have left its outcome
                known = self.store.get(sorted(ours))
                self._give_back(list(known))
                ours -= set(known)
            part = [item for item in part if item[0] in ours]
            if part:
                taken.append(part)
                yield part

    def _size(self, stage: Stage) -> int:
        each, together = self._seconds.get(stage.name), getattr(stage, "together", 1)
        return together if each is None else max(together, min(4096, int(_CHUNK_S / max(each, 1e-6))))

    def _claimed(self, stage: Stage, keys: list[str]) -> list[str]:
        with self._lock:
            ours = [key for key in keys if key not in self._mine]
            if self._is_leased(stage) and isinstance(self.store, RunStore):
                ours = self.store.claim(ours, self._owner, _LEASE_S)
                self._leased.update(ours)
            self._mine.update(ours)
        return ours

    def _is_leased(self, stage: Stage) -> bool:
        return isinstance(self.store, RunStore) and self._seconds.get(stage.name, math.inf) > _CHEAP_S

    def _give_back(self, keys: list[str]) -> None:
        with self._lock:
            leased = [key for key in keys if key in self._leased]
            self._mine.difference_update(keys)
            self._leased.difference_update(leased)
        if leased and isinstance(self.store, RunStore):
            self.store.release(leased, self._owner)

    @contextlib.contextmanager
    def _renewing(self, stage: Stage) -> Iterator[None]:
        """Renew what is leased while the block lasts, however long a candidate takes."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(_LEASE_S / 4):
                if self._leased and isinstance(self.store, RunStore):
                    self.store.renew(list(self._leased), self._owner, _LEASE_S)

        thread = threading.Thread(target=renew, name="archip leases", daemon=True) if self._is_leased(stage) else None
        if thread:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if thread:
                thread.join()

    def _here(self, stage: Stage, part: list[tuple[str, Candidate]]) -> list[Outcome]:
        began = time.perf_counter()
        outcomes = stage.evaluate([c for _, c in part])
        self._took(stage, time.perf_counter() - began, len(part))
        return outcomes

    def _outcomes(self, stage: Stage, call: Call, part: list[tuple[str, Candidate]], result: object) -> list[Outcome]:
        """What came back for a chunk. If it failed as a whole, its candidates are tried one by one."""
        if isinstance(result, Failure) and result.error is not None:
            raise result.error
        if not isinstance(result, Failure):
            outcomes, seconds = result  # pyright: ignore[reportGeneralTypeIssues]
            self._took(stage, seconds, len(part))
            return outcomes
        if len(part) == 1 or self.executor is None:
            _log.warning("%s: candidate %s: %s", stage.name, part[0][1].id, result.reason)
            return [Outcome(status=Status.FAILED, reason=result.reason)]
        singly = self.executor.map(call, ([c] for _, c in part), limit_s=self.limit_s)
        return [self._outcomes(stage, call, [item], one)[0] for item, one in zip(part, singly, strict=True)]

    def _took(self, stage: Stage, seconds: float, n: int) -> None:
        """Remember the time of a candidate, a slow chunk at once, quick ones little by little."""
        each, before = seconds / n, self._seconds.get(stage.name, 0.0)
        self._seconds[stage.name] = each if each > before else (each + before) / 2

    def _travelling(self, stage: Stage) -> Call | None:
        if self.executor is None:
            return None
        with self._lock:
            if stage.name not in self._calls:
                self._calls[stage.name] = self.call(stage)
                if self._calls[stage.name] is None:
                    _log.warning("%s is evaluated in this process, not on the workers", stage.name)
            return self._calls[stage.name]
