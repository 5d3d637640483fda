"""Remote: a run whose folder is a URL (``s3://bucket/run``, or whatever fsspec speaks).

The run works in a local folder, its stage. At the beginning whatever the URL has and the stage lacks or has in an older
version is fetched; at the end, however it comes, everything that is new is sent. Only a driver that was killed sends
nothing: begun again on the same machine it goes on from its stage. The records are one SQLite file of the stage, which
is sent when it is closed; where several machines write at once, or look on, keep them in a PostgreSQL store.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archip.core.candidate import digest
from archip.core.errors import MissingExtra, UserError
from archip.core.files import make_folder, replacing, write_text

__all__ = ["is_url", "staged"]

_LIST = ".sent.json"  # of the stage: what both sides had when they were last equal
_BUCKETS = {"s3", "gs", "az"}  # have no folders; to make one would make the bucket
_RIGHT = "see that the bucket exists and that its credentials are set"


def is_url(where: str | Path) -> bool:
    """Whether a folder is meant that is not of this machine's file system."""
    return re.match(r"[a-z][a-z0-9+.-]+://", str(where)) is not None


@contextlib.contextmanager
def staged(url: str) -> Iterator[Path]:
    """A local folder that has what the URL has; what becomes of it there is sent at the end.

    Raises:
        MissingExtra: no package speaks the URL's protocol.
        UserError: it cannot be reached, read or written.
    """
    files, root = _open(url)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    stage = make_folder(cache / "archip" / "remote" / digest(url) / root.rstrip("/").rpartition("/")[2])
    with _told(url):
        _fetch(files, root, stage)
    try:
        yield stage
    finally:
        with _told(url):
            _send(files, root, stage)


def _open(url: str) -> tuple[Any, str]:
    protocol = url.partition("://")[0]
    try:
        import fsspec
    except ImportError:
        raise MissingExtra("fsspec", "remote", f"--out {url}") from None
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingExtra({"s3": "s3fs"}.get(protocol, protocol), "remote", f"--out {url} ({error})") from None
    except ValueError as error:
        raise UserError(str(error), f"--out {url}", "e.g. s3://bucket/run") from None


def _fetch(files: Any, root: str, stage: Path) -> None:
    known = _known(stage)
    files.invalidate_cache()
    for remote in files.find(root) if files.exists(root) else []:
        name = remote[len(root) :].lstrip("/")
        path, seen = stage / name, files.checksum(remote)
        if name in known and known[name][1] == seen and path.is_file():
            continue  # what is here is that, or what came of it
        make_folder(path.parent)
        with replacing(path) as temporary:
            files.get_file(remote, str(temporary))
        known[name] = [_state(path), seen]
    write_text(stage / _LIST, json.dumps(known))


def _send(files: Any, root: str, stage: Path) -> None:
    known = _known(stage)
    for path in sorted(stage.rglob("*")):
        name = str(path.relative_to(stage))
        if not path.is_file() or path.name == _LIST or path.name.endswith((".part", "-wal", "-shm")):
            continue
        if known.get(name, [None])[0] != _state(path):
            remote = f"{root.rstrip('/')}/{name}"
            if not _BUCKETS & {files.protocol, *files.protocol}:
                files.makedirs(remote.rpartition("/")[0], exist_ok=True)
            files.put_file(str(path), remote)
            files.invalidate_cache()
            known[name] = [_state(path), files.checksum(remote)]
    write_text(stage / _LIST, json.dumps(known))


def _known(stage: Path) -> dict[str, list[Any]]:
    path = stage / _LIST
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Errors of the other side become errors for the user."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot be used: {error}", f"--out {url}", _RIGHT) from None
    except Exception as error:
        if type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp")):
            raise UserError(f"cannot be used: {error}", f"--out {url}", _RIGHT) from None
        raise
