"""Errors. A user's mistake says what was given, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ArchipError", "CandidateError", "MissingExtra", "StoreError", "UserError", "nearest"]


class ArchipError(Exception):
    """Any error that archip raises on purpose."""


class UserError(ArchipError):
    """Input that cannot be used. The command line prints it and exits with code 2.

    Args:
        what: what is wrong, in one clause.
        where: file and key, e.g. ``problem.yaml: tasks.digits.net``.
        right: what would be right.
    """

    def __init__(self, what: str, where: str = "", right: str = "") -> None:
        self.what, self.where, self.right = what, where, right
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text} ({right})" if right else text)

    def at(self, where: str) -> UserError:
        """The same error, found inside `where` (an outer key or file)."""
        if not self.where:
            return UserError(self.what, where, self.right)
        return UserError(self.what, f"{where}{'' if self.where.startswith('[') else '.'}{self.where}", self.right)

    def in_file(self, path: object) -> UserError:
        """The same error with the file's name in front."""
        return UserError(self.what, f"{path}: {self.where}" if self.where else str(path), self.right)


class StoreError(UserError):
    """The database behind a store failed; what was stored before is untouched."""


class MissingExtra(UserError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}", right=f"pip install 'archip[{extra}]'")


class CandidateError(ArchipError):
    """A candidate cannot be built, mapped or trained; its record carries this text as the reason."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt `name`: the nearest known one, or the list of all."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "one of: " + ", ".join(names) if names else "there is none"
