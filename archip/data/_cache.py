"""Where data files live, and how official ones get there.

Files are looked for in ``$ARCHIP_DATA``, then in the user's cache folder; downloads go to the first of these. Nothing
is downloaded unless `fetch` is called by name (`archip data get NAME`).
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import sys
import tarfile
import tempfile
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple
from urllib.error import HTTPError

from archip.core import registry
from archip.core.errors import UserError
from archip.core.files import replacing
from archip.core.protocols import Progress

__all__ = [
    "Availability",
    "Download",
    "Official",
    "available",
    "download",
    "fetch",
    "find_file",
    "find_official",
    "folders",
    "missing",
]

_PIECE_BYTES = 2**18
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Download:
    """One official file: address, size, and its digest as ``sha256:…`` or, where only that is published, ``md5:…``."""

    url: str
    digest: str
    n_bytes: int

    @property
    def file(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Official:
    """The official files of a data set; `members` are taken out of a tar archive, which is then dropped."""

    downloads: tuple[Download, ...]
    members: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that are kept."""
        return tuple(m.rsplit("/", 1)[-1] for m in self.members) or tuple(d.file for d in self.downloads)


class Availability(NamedTuple):
    """One row of ``archip data list``."""

    name: str
    is_present: bool
    where: str
    how: str  # how to get it


def folders() -> list[Path]:
    """The folders that are searched, in order."""
    chosen = os.environ.get("ARCHIP_DATA", "")
    return [*([Path(chosen).expanduser()] if chosen else []), _user_cache() / "archip"]


def _user_cache() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return xdg if xdg.is_absolute() else Path.home() / ".cache"  # the standard has relative paths ignored


def find_file(name: str) -> Path | None:
    """The first file or folder called `name` in the data folders."""
    return next((f / name for f in folders() if (f / name).exists()), None)


def user_file(path: str) -> Path:
    """The file or folder that an option `path` names: as it stands, or inside a data folder.

    Raises:
        UserError: there is no such file.
    """
    given = Path(path).expanduser()
    found = given if given.exists() else find_file(path)
    if found is None:
        looked = ", ".join(map(str, [Path.cwd(), *folders()]))
        raise UserError(f"{path} does not exist; looked in {looked}", "path", "the path of a file or folder of yours")
    return found


def find_official(name: str, official: Official) -> Path | None:
    """The first data folder's subfolder `name` that holds all official files."""
    return next((f / name for f in folders() if _is_complete(f / name, official)), None)


def _is_complete(folder: Path, official: Official) -> bool:
    return all((folder / file).is_file() for file in official.files)


def missing(file: str, how: str) -> UserError:
    """The error for a data file that is nowhere."""
    looked = ", ".join(map(str, folders()))
    return UserError(f"the data file {file} is missing; looked in {looked}", right=how)


def available() -> list[Availability]:
    """Every data set: whether it is here, where, and how to get it."""
    rows = []
    for name in registry.names("data"):
        cls = registry.find("data", name)
        where = cls.place()
        rows.append(Availability(name, bool(where), where, cls.how))
    return rows


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Download the official files of a data set; gives the folder that holds them. Does nothing if they are there.

    Raises:
        UserError: no such data set, none that can be downloaded, no connection, a wrong checksum, or no place.
    """
    cls = registry.find("data", name)
    official: Official | None = getattr(cls, "official", None)
    if official is None:
        right = cls.place() and f"it is here already: {cls.place()}"
        raise UserError(f"{name} is not a data set that can be downloaded", right=right or cls.how)
    return find_official(name, official) or download(official, folders()[0] / name, progress)


def download(official: Official, folder: Path, progress: Progress | None = None) -> Path:
    """Download `official` into `folder`. A file appears there only when it is whole and its checksum is right."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for item in official.downloads:
            if official.members:
                with tempfile.TemporaryDirectory(prefix=".archive.", dir=folder) as temporary:
                    archive = Path(temporary) / item.file
                    _download_file(item, archive, progress)
                    _unpack(archive, official.members, folder)
            elif not (folder / item.file).is_file():
                with replacing(folder / item.file) as part:
                    _download_file(item, part, progress)
    except OSError as error:
        right = "set ARCHIP_DATA to a folder with room that you can write to"
        raise UserError(f"cannot write: {error.strerror}", str(folder), right) from None
    return folder


def _download_file(item: Download, target: Path, progress: Progress | None) -> None:
    algorithm, _, expected = item.digest.partition(":")
    sha, n_bytes = hashlib.new(algorithm, usedforsecurity=False), 0
    response = _open(item.url)
    handle = progress.start(item.file, item.n_bytes) if progress else None
    with response, open(target, "wb") as out:
        while piece := _read(response, item.url):
            sha.update(piece)
            n_bytes += len(piece)
            if n_bytes > item.n_bytes:
                break
            out.write(piece)
            if progress:
                progress.advance(handle, len(piece))
    if progress:
        progress.finish(handle)
    if n_bytes != item.n_bytes:
        found = f"more than {item.n_bytes}" if n_bytes > item.n_bytes else str(n_bytes)
        raise UserError(f"the download has {found} bytes, not {item.n_bytes}", item.url, "try again later")
    if sha.hexdigest() != expected:
        text = f"the download has the {algorithm} checksum {sha.hexdigest()}"
        raise UserError(text, item.url, f"{expected}; the file was not kept")


def _open(url: str) -> IO[bytes]:
    try:
        return urllib.request.urlopen(url, timeout=_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        raise UserError(f"the server answers {error.code} {error.reason}", url, "try again later") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"cannot be reached: {reason}", url, "check the network connection") from None


def _read(response: IO[bytes], url: str) -> bytes:
    try:
        return response.read(_PIECE_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"the connection broke off: {error}", url, "try again") from None


def _unpack(archive: Path, members: tuple[str, ...], folder: Path) -> None:
    """Copy the named regular files out of a tar archive, each to its last name: no path of the archive is ever used."""
    try:
        with tarfile.open(archive) as tar:
            for member in members:
                info = tar.getmember(member)
                stream = tar.extractfile(info) if info.isreg() else None
                if stream is None:
                    raise UserError(f"{member} is no regular file", archive.name, "the official archive")
                with replacing(folder / member.rsplit("/", 1)[-1]) as part, open(part, "wb") as out:
                    while piece := stream.read(_PIECE_BYTES):
                        out.write(piece)
    except KeyError as error:
        raise UserError(str(error.args[0]), archive.name, "the official archive") from None
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"cannot be unpacked: {error}", archive.name, "the official archive") from None
