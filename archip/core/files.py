"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from archip.core.errors import UserError

__all__ = ["digest_of", "make_folder", "replacing", "write_text"]


def make_folder(path: Path) -> Path:
    """Create a folder that can be written to.

    Raises:
        UserError: it cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise UserError(
            f"the folder cannot be written: {error.strerror}", str(path), "choose another with --out"
        ) from None


def digest_of(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", str(path)) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; it takes the place of `path` when the block ends well, and vanishes otherwise.

    The file is flushed to the disk first, so that a kill or power loss leaves the old file or the new one.

    Raises:
        UserError: there is no such folder, or `path` is one.
    """
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {str(path.parent)!r}", str(path), "make it first, or name another")
    if path.is_dir():
        raise UserError("is a folder", str(path), "the name of a file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
