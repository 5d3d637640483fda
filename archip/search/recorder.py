"""Recorder: a run as its writer keeps it in a store: what was told, signs of life, and what became of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from archip.core.candidate import digest
from archip.core.errors import StoreError, UserError
from archip.core.files import make_folder
from archip.core.problem import Problem
from archip.core.protocols import RunStore
from archip.core.record import Record
from archip.search.runs import RECORDS, owner_of
from archip.store._url import open_store

__all__ = ["Recorder", "records_key"]

_BEAT_S = 5.0


def records_key(problem: Problem) -> str:
    """Digest of all of a problem that its records depend on: how long to search and what to do then does not count."""
    value = problem.to_json()
    for key in ("name", "finish", "store", "workers"):
        value.pop(key, None)
    budget = problem.budget.model_dump(include={"batch", "lag", "candidate_s"}, exclude_defaults=True)
    return digest(value | {"budget": {"batch": problem.budget.batch, **budget}})


class Recorder:
    """Opens the store of a run and keeps the run in it; as a context it says how the run ended.

    Attributes:
        store: for the cascade, too.
        name: of the run in the store: that of its folder. Where the folder has a store of its own and was renamed,
            the name it had at first.

    Raises:
        UserError: the folder or the store cannot be used, or the store has another run of this name.
    """

    def __init__(self, problem: Problem, folder: Path, where: str | None) -> None:
        self.store: RunStore = open_store(where or make_folder(folder) / RECORDS)
        self.name = folder.resolve().name
        try:
            names = [] if where else [run.name for run in self.store.runs()]
            owner = owner_of(folder) if where else "this folder"
            if len(names) == 1:
                (self.name,) = names
            self.store.begin(self.name, problem.to_json(), problem.goals, records_key(problem), owner)
        except UserError:
            self.store.close()
            raise
        self._summary: Mapping[str, Any] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="archip heartbeat", daemon=True)

    def told(self, search: str, records: Sequence[Record]) -> None:
        """Write records that a strategy was told."""
        self.store.append(self.name, search, records)

    def done(self, summary: Mapping[str, Any]) -> None:
        """The result, to be written when the context ends."""
        self._summary = summary

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            if error is None:
                self.store.end(self.name, "done", self._summary)
            elif not isinstance(error, StoreError):  # which would only fail once more
                self.store.end(self.name, "failed" if isinstance(error, Exception) else "interrupted")
        finally:
            self.store.close()

    def _live(self) -> None:
        """Say now and then that the run is alive, however long a candidate takes."""
        while not self._ended.wait(_BEAT_S):
            try:
                self.store.beat(self.name)
            except UserError:
                continue  # the run itself meets the failure at its next write
