"""Runs: what other processes see of a run, while it goes on and afterwards, in its folder or in a database.

>>> run = open_run("runs/two_tasks")                                  # doctest: +SKIP
>>> run.state, run.n_records(), run.front()[0].metrics["quality"]     # doctest: +SKIP

Nothing here reads all records unless it is asked to: counts and the front are kept by the writer.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from archip.core.errors import UserError, nearest
from archip.core.problem import Problem
from archip.core.protocols import RunStore, StoredRun, Wanted
from archip.core.record import Record
from archip.core.store_url import without_password
from archip.core.yaml_file import read_yaml
from archip.store._url import open_store

__all__ = ["Run", "Wanted", "find_runs", "open_run", "owner_of"]

LOST_S = 30.0  # a run that has given no sign of life for so long was interrupted
RECORDS = "records.sqlite"


class Run:
    """One run. It only reads; any number of processes may look on while another one writes.

    Where `search` is None the strategy's own search is meant.

    Attributes:
        name: of the run in its store; that of its folder.
        folder: None where the run was written on another machine.
        store: where the records are; opened at the first use.
    """

    def __init__(self, name: str, where: str | Path, folder: Path | None) -> None:
        self.name, self.folder = name, folder
        self._where = where
        self._problem: Problem | None = None

    @cached_property
    def store(self) -> RunStore:
        return open_store(self._where)

    @cached_property
    def key(self) -> str:
        """Its name in the store: that of the folder, unless the folder was renamed since."""
        names = [run.name for run in self.store.runs()]
        return names[0] if len(names) == 1 and self.name not in names else self.name

    @property
    def stored(self) -> StoredRun | None:
        """What the store says of the run; None where it was last written before there were tables of runs."""
        return self.store.find(self.key)

    @property
    def problem(self) -> Problem:
        """The problem as resolved.

        Raises:
            UserError: its file is damaged, or asks for something that this version does not have.
        """
        if self._problem is None:
            path = self.folder / "problem.yaml" if self.folder else None
            if path is not None and path.is_file():
                self._problem = Problem.load(path)
            elif (stored := self.stored) is not None:
                self._problem = Problem.from_dict(stored.problem)
            else:
                raise UserError("the run has no problem", self.name)
        return self._problem

    @property
    def state(self) -> str:
        """``running``, ``done``, ``interrupted`` (it gave no sign of life for half a minute), or ``failed``."""
        stored = self.stored
        if stored is None:
            return "interrupted" if self.summary is None else "done"
        return "interrupted" if stored.state == "running" and stored.idle_s > LOST_S else stored.state

    @property
    def summary(self) -> dict[str, Any] | None:
        """The result in numbers, as ``summary.json`` has it; None before the end."""
        stored = self.stored
        if stored is not None:
            return None if stored.summary is None else dict(stored.summary)
        path = self.folder / "summary.json" if self.folder else None
        return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else None

    def searches(self) -> list[str]:
        """The strategy's own search first, then ``baseline …``."""
        return [search.name for search in self.store.searches(self.key)]

    def counts(self, search: str | None = None) -> Mapping[str, int]:
        """Records, feasible ones and failed ones of a search, without looking at them."""
        wanted = self._search(search)
        for row in self.store.searches(self.key):
            if row.name == wanted:
                return {"records": row.n_records, "feasible": row.n_feasible, "failed": row.n_failed}
        return {"records": 0, "feasible": 0, "failed": 0}

    def n_records(self, search: str | None = None) -> int:
        return self.counts(search)["records"]

    def records(self, search: str | None = None, start: int = 0, stop: int | None = None) -> list[Record]:
        """The records with start <= number < stop, in the order of their numbers."""
        return self.store.records(self.key, self._search(search), start, stop)

    def record(self, candidate_id: str) -> Record | None:
        """The record of a candidate: of the strategy's own search, or else of a baseline."""
        return self.store.record(self.key, candidate_id)

    def sample(self, search: str | None, n: int) -> list[Record]:
        """At most `n` records spread evenly over the numbers, e.g. for a plot; all of them if there are no more."""
        total = self.n_records(search)
        if total <= n:
            return self.records(search)
        return self.store.numbered(self.key, self._search(search), [i * total // n for i in range(n)])

    def found(self, search: str | None, wanted: Wanted, start: int, n: int) -> tuple[int, list[Record]]:
        """(how many records are as wanted, `n` of them from the `start`-th in their order); scans where it must."""
        return self.store.found(self.key, self._search(search), wanted, start, n)

    def front(self, search: str | None = None) -> list[Record]:
        """The feasible records that no other feasible one dominates, exact at every moment, without a scan."""
        return self.store.front(self.key, self._search(search))

    def revision(self) -> int:
        """Grows with every change of the run; cheap to ask for again and again."""
        return self.store.revision(self.key)

    def close(self) -> None:
        """Close the store; the run opens it again when it is used again."""
        store = self.__dict__.pop("store", None)
        if store is not None:
            store.close()

    def _search(self, search: str | None) -> str:
        if search is not None:
            return search
        stored = self.stored
        if stored is not None:
            strategy = stored.problem.get("strategy", "")
            return strategy if isinstance(strategy, str) else next(iter(strategy))
        return next(iter(self.searches()), "")


def open_run(where: str | Path, name: str | None = None) -> Run:
    """The run of a folder, or one run of a database.

    Args:
        where: a run's folder, or the URL of a store (or the path of an SQLite file).
        name: of the run, where the store has several.

    Raises:
        UserError: there is no such run; the message has the nearest one.
    """
    if _is_url(where):
        found = {run.name: run for run in find_runs(where)}
        if name is None and len(found) == 1:
            return next(iter(found.values()))
        if name not in found:
            raise UserError(
                f"no run {name!r}" if name else "which run?", without_password(where), nearest(name or "", found)
            )
        return found[name]
    folder = Path(where)
    if not _is_run(folder):
        raise UserError("is no folder of a run", str(folder), "archip status lists the runs below a folder")
    return _in_folder(folder)


def find_runs(root: Path | str) -> list[Run]:
    """The runs in the folders below `root` (or `root` itself), by path; or all runs of a database, the oldest first.

    Raises:
        UserError: no such folder, or a database that cannot be opened.
    """
    if _is_url(root):
        store = open_store(root)
        try:
            return [Run(run.name, root, _local(run.owner)) for run in store.runs()]
        finally:
            store.close()
    if not Path(root).is_dir():
        raise UserError("no such folder", str(root))
    found = []
    for folder, inner, files in os.walk(root):
        if _has_run(files):
            found.append(_in_folder(Path(folder)))
            inner.clear()
        inner[:] = sorted(name for name in inner if not name.startswith("."))
    return found


def owner_of(folder: Path) -> str:
    """How a store names the process that writes a run: host and folder."""
    return f"{socket.gethostname()}:{folder.resolve()}"


def _local(owner: str) -> Path | None:
    """The folder of an owner, if it is on this machine."""
    host, _, path = owner.partition(":")
    return Path(path) if host == socket.gethostname() and Path(path).is_dir() else None


def _is_url(where: str | Path) -> bool:
    return "://" in str(where) or Path(where).is_file()


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and _has_run([path.name for path in folder.iterdir()])


def _has_run(files: list[str]) -> bool:
    return "problem.yaml" in files and ("log.jsonl" in files or RECORDS in files)


def _in_folder(folder: Path) -> Run:
    """The run of a folder; its records are in the folder unless its problem names another store."""
    name = folder.resolve().name
    if (folder / RECORDS).is_file():
        return Run(name, folder / RECORDS, folder)
    url = read_yaml(folder / "problem.yaml").get("store")
    return Run(name, url or folder / RECORDS, folder)
