"""Log: the last events of a run; from a log of any length only its end is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archip.dashboard.book import Entry

__all__ = ["log"]

_TAIL_BYTES, _MOST = 128 * 1024, 200


def log(entry: Entry) -> dict[str, Any]:
    """The last events, the newest first, and the problem as resolved."""
    columns = [
        {"key": "time", "title": "time", "row_head": True},
        {"key": "event", "title": "event"},
        {"key": "about", "title": "about", "wrap": True},
    ]
    path = entry.run.folder / "log.jsonl" if entry.run.folder else None
    events = last_events(path) if path is not None and path.is_file() else []
    rows = [_row(event) for event in reversed(events)]
    empty = "This run has no log on this machine." if path is None else "Nothing has happened yet."
    return {
        "events_table": {"columns": columns, "rows": rows, "empty": empty},
        "problem_yaml": entry.run.problem.to_yaml(),
    }


def last_events(path: Path) -> list[dict[str, Any]]:
    """At most 200 events from the end of a log; lines that are no JSON objects (cut by a kill) are left out."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().splitlines()
    whole = lines if size <= _TAIL_BYTES else lines[1:]
    events = []
    for line in whole[-_MOST:]:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def _row(event: dict[str, Any]) -> dict[str, Any]:
    about = ", ".join(f"{k} {_shown(v)}" for k, v in event.items() if k not in ("time", "event"))
    when = str(event.get("time", ""))[:19].replace("T", " ")
    return {"time": {"text": when}, "event": {"text": str(event.get("event", ""))}, "about": {"text": about[:2000]}}


def _shown(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
