"""Where evaluations run, as a problem file or ``--workers`` says it: a number, ``ray``, an address, or an executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archip.core.errors import UserError

__all__ = ["workers_plug"]

_RIGHT = "4, ray, ray://HOST:PORT, or {processes: {n: 4}}"


def workers_plug(value: Any) -> tuple[str, dict[str, Any]]:
    """(executor, its options) for ``4``, ``ray``, ``ray://HOST:PORT``, ``HOST:PORT`` or ``{processes: {n: 4}}``.

    Raises:
        UserError: it is none of these.
    """
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise UserError(f"{value} workers cannot work", "workers", "1 or more")
        return ("serial", {}) if value == 1 else ("processes", {"n": value})
    if isinstance(value, str):
        is_address = "://" in value or value.rpartition(":")[2].isdecimal()
        return ("ray", {"address": value}) if is_address else (value, {})
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
        if isinstance(options, Mapping) or options is None:
            return str(name), dict(options or {})
    raise UserError(f"{value!r} are no workers", "workers", _RIGHT)
