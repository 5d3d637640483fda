"""Call: one function called for one item, and what becomes of whatever goes wrong in it. The same in every executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archip.core.errors import ArchipError, UserError
from archip.core.protocols import Failure

__all__ = ["call", "failure", "prepared", "unusable"]


def prepared(function: Callable[[Any], Any]) -> Failure | None:
    """Call ``function.prepare()`` where there is one; a Failure if that raises."""
    try:
        if hasattr(function, "prepare"):
            function.prepare()  # pyright: ignore[reportFunctionMemberAccess]
    except Exception as error:
        return unusable(error)
    return None


def call(function: Callable[[Any], Any], item: Any) -> Any:
    """``function(item)``, or the Failure that it came to."""
    try:
        return function(item)
    except Exception as error:
        return failure(error)


def unusable(error: Exception) -> Failure:
    """The Failure of a function that cannot be loaded or prepared: no item is to blame."""
    found = failure(error)
    return found if found.error else Failure("surroundings", found.reason, ArchipError(f"on a worker: {found.reason}"))


def failure(error: Exception) -> Failure:
    """The Failure that an exception means."""
    text = str(error).partition("\n")[0]
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, UserError):
        return Failure("surroundings", str(error), UserError(error.what, error.where, error.right))
    if isinstance(error, OSError):
        return Failure("surroundings", reason, OSError(error.errno, error.strerror or str(error), error.filename))
    return Failure("error", reason)
