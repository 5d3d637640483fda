"""A dictionary: quick, and gone with the process.

Choose it in tests and for comparisons that nobody will continue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archip.core.candidate import Genotype
from archip.core.record import Outcome
from archip.store._json import plain

__all__ = ["Memory"]


@dataclass
class Memory:
    """Outcomes and notes of this process."""

    def __post_init__(self) -> None:
        self._outcomes: dict[str, Outcome] = {}
        self._notes: dict[str, Any] = {}

    def get(self, keys: Sequence[str]) -> dict[str, Outcome]:
        return {key: self._outcomes[key] for key in keys if key in self._outcomes}

    def put(self, items: Iterable[tuple[str, str, Mapping[str, Genotype], Outcome]]) -> None:
        for key, _, _, outcome in list(items):
            stored = replace(outcome, metrics=plain(dict(outcome.metrics)), details=plain(dict(outcome.details)))
            self._outcomes.setdefault(key, stored)

    def note(self, name: str, value: Any) -> None:
        self._notes.setdefault(name, plain(value))

    def notes(self) -> dict[str, Any]:
        return dict(self._notes)

    def close(self) -> None:
        """Nothing to close."""
