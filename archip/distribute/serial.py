"""This process, one item after the other.

Choose it (``workers: 1``, the default) for small problems and where everything should be seen in one place. It cannot
end an item that hangs: a time limit needs `processes`, which ``workers: {processes: {n: 1}}`` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archip.core.errors import UserError
from archip.distribute._call import call, prepared

__all__ = ["Serial"]


@dataclass
class Serial:
    """Calls functions here and now."""

    @property
    def n_workers(self) -> int:
        return 1

    def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        limit_s: float | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Iterator[Any]:
        if limit_s is not None:
            raise UserError(
                "one process cannot end a call that takes too long", "workers", "workers: {processes: {n: 1}}"
            )
        failure = prepared(function)
        for item in items:
            yield failure or call(function, item)

    def completed(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        limit_s: float | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        return enumerate(self.map(function, items, limit_s=limit_s, resources=resources))

    def close(self) -> None:
        """Nothing to end."""
