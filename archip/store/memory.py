"""A dictionary: quick, and gone with the process.

Choose it in tests and for comparisons that nobody will continue. Fronts are computed when they are asked for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from archip.core.candidate import Genotype
from archip.core.errors import ArchipError, UserError
from archip.core.objectives import Goals
from archip.core.pareto import front
from archip.core.protocols import StoredRun, StoredSearch, Wanted
from archip.core.record import Outcome, Record, Status
from archip.store._json import plain, text

__all__ = ["Memory"]


@dataclass
class _Run:
    stored: StoredRun
    beat_s: float
    searches: dict[str, dict[int, Record]] = field(default_factory=dict)


@dataclass
class Memory:
    """Outcomes, notes, runs and leases of this process."""

    clock: Callable[[], float] = field(default=time.time, init=False, repr=False)

    def __post_init__(self) -> None:
        self._outcomes: dict[str, Outcome] = {}
        self._notes: dict[str, Any] = {}
        self._runs: dict[str, _Run] = {}
        self._leases: dict[str, tuple[str, float, float]] = {}  # owner, expires, length

    def get(self, keys: Sequence[str]) -> dict[str, Outcome]:
        return {key: self._outcomes[key] for key in keys if key in self._outcomes}

    def put(self, items: Iterable[tuple[str, str, Mapping[str, Genotype], Outcome]]) -> None:
        for key, _, _, outcome in list(items):
            stored = replace(
                outcome,
                metrics=plain(dict(outcome.metrics)),
                details=plain(dict(outcome.details)),
                reason=text(outcome.reason),
            )
            self._outcomes.setdefault(key, stored)

    def note(self, name: str, value: Any) -> None:
        self._notes.setdefault(name, plain(value))

    def notes(self) -> dict[str, Any]:
        return dict(self._notes)

    def begin(self, run: str, problem: Mapping[str, Any], goals: Goals, key: str, owner: str = "") -> None:
        now_s = self.clock()
        old = self._runs.get(run)
        fresh = StoredRun(run, key, plain(problem), goals, "running", text(owner), 1, now_s, 0.0, None)
        if old is None:
            self._runs[run] = _Run(fresh, now_s)
        elif old.stored.key != key and old.stored.owner != owner:
            raise UserError(f"the run {run!r} is there already, of another problem", right="choose another folder")
        else:
            searches = old.searches if old.stored.key == key else {}
            kept = replace(fresh, created_s=old.stored.created_s, summary=old.stored.summary)
            self._runs[run] = _Run(replace(kept, revision=old.stored.revision + 1), now_s, searches)

    def append(self, run: str, search: str, records: Sequence[Record], source: str = "") -> int:
        if run not in self._runs:
            raise ArchipError(f"the run {run!r} has not begun")
        here = self._runs[run].searches.setdefault(search, {})
        known, n_before = {r.candidate.id for r in here.values()}, len(here)
        free = max([-1, *here, *(r.number for r in records)]) + 1
        for record in records:
            if record.candidate.id not in known:
                number = record.number
                if number < 0 or number in here:
                    number, free = free, free + 1
                here[number] = Record.from_json(json.loads(json.dumps(replace(record, number=number).to_json())))
                known.add(record.candidate.id)
        if len(here) > n_before:
            self._change(run)
        return len(here) - n_before

    def beat(self, run: str) -> None:
        self._runs[run].beat_s = self.clock()

    def end(self, run: str, state: str, summary: Mapping[str, Any] | None = None) -> None:
        old = self._runs[run].stored.summary
        self._change(run, state=state, summary=old if summary is None else plain(dict(summary)))
        self.beat(run)

    def runs(self) -> list[StoredRun]:
        found = [replace(run.stored, idle_s=self.clock() - run.beat_s) for run in self._runs.values()]
        return sorted(found, key=lambda run: (run.created_s, run.name))

    def find(self, run: str) -> StoredRun | None:
        return next((found for found in self.runs() if found.name == run), None)

    def revision(self, run: str) -> int:
        return self._runs[run].stored.revision if run in self._runs else 0

    def searches(self, run: str) -> list[StoredSearch]:
        if run not in self._runs:
            return []
        feasible = self._runs[run].stored.goals.feasible
        rows = [
            StoredSearch(
                name,
                len(records),
                sum(map(feasible, records.values())),
                sum(r.status is Status.FAILED for r in records.values()),
            )
            for name, records in self._runs[run].searches.items()
        ]
        return sorted(rows, key=lambda row: row.name.startswith(("baseline ", "import ")))

    def records(self, run: str, search: str, start: int = 0, stop: int | None = None) -> list[Record]:
        here = self._search(run, search)
        return [here[n] for n in sorted(here) if n >= start and (stop is None or n < stop)]

    def numbered(self, run: str, search: str, numbers: Sequence[int]) -> list[Record]:
        here = self._search(run, search)
        return [here[n] for n in sorted(set(numbers)) if n in here]

    def record(self, run: str, candidate: str) -> Record | None:
        for search in self.searches(run):
            for record in self.records(run, search.name):
                if record.candidate.id == candidate:
                    return record
        return None

    def found(self, run: str, search: str, wanted: Wanted, start: int, n: int) -> tuple[int, list[Record]]:
        rows = [r for r in self.records(run, search) if wanted.has(r)]
        key, sign = wanted.sort, -1 if wanted.is_descending else 1
        value = {"number": lambda r: r.number, "seconds": lambda r: r.seconds}.get(key, lambda r: r.metrics.get(key))
        known = sorted((r for r in rows if value(r) is not None), key=lambda r: sign * value(r))
        return len(rows), [*known, *(r for r in rows if value(r) is None)][start : start + n]

    def front(self, run: str, search: str) -> list[Record]:
        return list(front(self.records(run, search), self._runs[run].stored.goals)) if run in self._runs else []

    def claim(self, keys: Sequence[str], owner: str, seconds: float) -> list[str]:
        now_s = self.clock()
        got = [key for key in dict.fromkeys(keys) if not self._is_held(key, owner, now_s)]
        self._leases |= {key: (owner, now_s + seconds, seconds) for key in got}
        return got

    def renew(self, keys: Sequence[str], owner: str, seconds: float) -> list[str]:
        mine = [key for key in dict.fromkeys(keys) if key in self._leases and self._leases[key][0] == owner]
        self._leases |= {key: (owner, self.clock() + seconds, seconds) for key in mine}
        return mine

    def release(self, keys: Sequence[str], owner: str) -> None:
        for key in keys:
            if key in self._leases and self._leases[key][0] == owner:
                del self._leases[key]

    def close(self) -> None:
        """Nothing to close."""

    def _is_held(self, key: str, owner: str, now_s: float) -> bool:
        """Whether another owner has a lease that holds (`store/_leases.py` says when)."""
        holder, expires_s, seconds = self._leases.get(key, (owner, 0.0, 0.0))
        return holder != owner and now_s < expires_s <= now_s + seconds

    def _search(self, run: str, search: str) -> dict[int, Record]:
        return self._runs[run].searches.get(search, {}) if run in self._runs else {}

    def _change(self, run: str, **values: Any) -> None:
        stored = self._runs[run].stored
        self._runs[run].stored = replace(stored, revision=stored.revision + 1, **values)
