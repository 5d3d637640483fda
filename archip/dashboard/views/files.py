"""Files of a run that may be looked at: what is found below its folder, and nothing that a link or ``..`` leads to."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from archip.dashboard.book import Entry, NotHere
from archip.dashboard.views.quantities import quantity

__all__ = ["files", "opened"]

_SHOWN = ("report.html", "summary.json", "problem.yaml", "log.jsonl")
_BELOW = "artifacts"
_MOST = 2000


def files(entry: Entry) -> dict[str, Any]:
    """The table of files, those of the run itself first."""
    columns = [
        {"key": "file", "title": "file", "row_head": True},
        {"key": "size", "title": "size", "number": True},
        {"key": "about", "title": ""},
    ]
    empty = "Files come at the end of a run." if entry.run.folder else "The run's folder is on another machine."
    return {"files": {"columns": columns, "rows": _rows(entry), "empty": empty}}


def _rows(entry: Entry) -> list[dict[str, Any]]:
    folder = entry.run.folder
    if folder is None:
        return []
    names = [name for name in _SHOWN if (folder / name).is_file()]
    for inside, inner, found in os.walk(folder / _BELOW):  # does not follow links
        inner.sort()
        below = PurePosixPath(Path(inside).relative_to(folder).as_posix())
        names += [str(below / name) for name in sorted(found)]
        if len(names) > _MOST:
            break
    rows = []
    for name in names[:_MOST]:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            continue
        size = path.stat().st_size
        told = "opens here" if name == "report.html" else ""
        shown = {"text": name, "url": f"{entry.url}/files/{quote(name)}"}
        rows.append({"file": shown, "size": {"text": quantity(size, "size"), "value": size}, "about": {"text": told}})
    return rows


def opened(entry: Entry, name: str) -> tuple[Path, os.stat_result]:
    """The path of a file that `files` lists, links resolved, and what it is.

    Raises:
        NotHere: it is not one of them: another place, a link, a folder, a pipe, or nothing at all.
    """
    refused = NotHere("there is no such file in this run", name[:80])
    folder = entry.run.folder
    parts = PurePosixPath(name).parts
    is_named = name in _SHOWN or (len(parts) > 1 and parts[0] == _BELOW)
    is_plain = "\0" not in name and "\\" not in name and not any(p in ("..", ".", "/") for p in name.split("/"))
    if folder is None or not is_named or not is_plain:
        raise refused
    root = folder.resolve()
    try:
        path = (root / name).resolve(strict=True)
        about = path.lstat()
    except (OSError, ValueError):
        raise refused from None
    if path != root / name or not path.is_relative_to(root) or not stat.S_ISREG(about.st_mode):
        raise refused
    return path, about
