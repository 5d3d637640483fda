"""Does a run survive what machines do? Each disturbed run, continued until it is done, ends as an undisturbed one does.

    python -m benchmarks.chaos               200 runs (make chaos)
    python -m benchmarks.chaos --runs 14     two of each disturbance, as CI does (make chaos RUNS=14)

Disturbances, drawn for each run: ``driver``: kill -9 of the driver, one to three times; ``worker``: kill -9 of a
worker, one to three times; ``disk``: a disk that is full (a small tmpfs; where mounting is not allowed, a limit on the
size of files) and gets room again; ``database``: a crash and restart of PostgreSQL; ``clock``: a clock that jumps by
up to a day; ``hang``: a candidate that never ends; ``two``: two drivers at once, one of which is killed.

Expected: no run differs from the undisturbed one in its records (numbers, candidates, metrics, status) or its front.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archip.core.errors import UserError
from archip.search.runs import open_run
from archip.testing.postgres import Server, reason_against, server
from benchmarks._chaos_run import SEARCH
from benchmarks._machine import write_result

_HANGS_AT = 3
_ATTEMPTS, _PATIENCE_S = 30, 180.0
_FULL_BYTES = 300_000  # of the small disk: room for the tables, not for all records
_KINDS = ("driver", "worker", "disk", "database", "clock", "hang", "two")


def main(runs: int, seed: int) -> dict[str, Any]:
    """Disturb `runs` runs; counts by disturbance and everything that went wrong."""
    rng, reason = random.Random(seed), reason_against()
    kinds = [k for k in _KINDS if k != "database" or not reason]
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        root = Path(temporary)
        postgres = stack.enter_context(server(durable=True)) if not reason else None
        expected = {hang: _undisturbed(root / f"expected-{hang}", hang) for hang in (False, True)}
        counts, attempts, wrong = Counter(), 0, []
        for number in range(runs):
            kind = kinds[number % len(kinds)]
            one = _Run(kind, root / str(number), postgres, random.Random(rng.random()))
            n_attempts, found = one.until_done()
            counts[kind] += 1
            attempts += n_attempts
            if found != expected[kind == "hang"]:
                wrong.append({"run": number, "kind": kind, "differs": _difference(found, expected[kind == "hang"])})
            print(number, kind, n_attempts, "attempts", "differs" if wrong and wrong[-1]["run"] == number else "same",
                  flush=True)  # fmt: skip
            shutil.rmtree(root / str(number), ignore_errors=True)
    note = f"no database: {reason}" if reason else ""
    return {"runs": runs, "seed": seed, "kinds": dict(counts), "attempts": attempts, "wrong": wrong, "note": note}


class _Run:
    """One run, begun again until it ends well."""

    def __init__(self, kind: str, folder: Path, postgres: Server | None, rng: random.Random) -> None:
        self.kind, self.folder, self.postgres, self.rng = kind, folder, postgres, rng
        self.store = postgres.url(f"chaos_{os.getpid()}_{folder.name}") if kind == "database" and postgres else None
        self.left = rng.randint(1, 3)  # disturbances to come
        self.limit: int | None = None  # on the size of files, where no disk can be mounted

    def until_done(self) -> tuple[int, Any]:
        """(attempts, what the store has at the end)."""
        self.folder.mkdir(parents=True)
        with self._disk() as roomy:
            for attempt in range(1, _ATTEMPTS + 1):
                if self._attempt():
                    return attempt, _told(self.folder, self.store)
                roomy(attempt)
        raise RuntimeError(f"{self.kind}: not done after {_ATTEMPTS} attempts")

    def _attempt(self) -> bool:
        driver = self._start()
        other = self._start() if self.kind == "two" else None
        limit = time.monotonic() + _PATIENCE_S
        while self.left and self.kind in ("driver", "worker", "database", "two"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                driver.wait(self.rng.uniform(0.3, 3.0))
            if driver.poll() is not None:
                break
            self.left -= 1
            self._disturb(driver)
        ended = [process.wait(max(1.0, limit - time.monotonic())) for process in (driver, other) if process]
        return 0 in ended

    def _disturb(self, driver: subprocess.Popen[bytes]) -> None:
        if self.kind in ("driver", "two"):
            driver.kill()
        elif self.kind == "worker":
            for pid in self.rng.sample(workers := _children(driver.pid), min(1, len(workers))):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        elif self.postgres is not None:
            self.postgres.stop("immediate")
            time.sleep(self.rng.uniform(0.0, 0.5))
            self.postgres.start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "benchmarks._chaos_run", str(self.folder / "run")]
        command += ["--store", self.store] if self.store else []
        command += ["--hangs-at", str(_HANGS_AT)] if self.kind == "hang" else []
        command += ["--clock", str(self.rng.randrange(1000))] if self.kind == "clock" else []
        command += ["--file-bytes", str(self.limit)] if self.kind == "disk" and self.limit else []
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[Any]:
        """A function that gives the disk more room after an attempt."""
        if self.kind != "disk":
            yield lambda attempt: None
        elif _mounted(self.folder):
            try:
                yield lambda attempt: _resize(self.folder, _FULL_BYTES * (attempt + 1))
            finally:
                subprocess.run(["umount", "-l", str(self.folder)], check=True)
        else:
            self.limit = _FULL_BYTES
            yield lambda attempt: setattr(self, "limit", _FULL_BYTES * (attempt + 1))


def _mounted(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={_FULL_BYTES}", "tmpfs", str(folder)]
    return shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0


def _resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def _undisturbed(folder: Path, hang: bool) -> Any:
    one = _Run("hang" if hang else "none", folder, None, random.Random(0))
    one.left = 0
    return one.until_done()[1]


def _told(folder: Path, store: str | None) -> Any:
    """Records and front of a run that is done."""
    run = open_run(store or folder / "run" / "records.sqlite", "run")
    try:
        records = [(r.number, r.candidate.id, sorted(r.metrics.items()), str(r.status)) for r in run.records(SEARCH)]
        return {"records": records, "front": [r.candidate.id for r in run.front(SEARCH)], "state": run.state,
                "summary": run.summary}  # fmt: skip
    except UserError as error:
        return {"records": [], "front": [], "state": str(error), "summary": None}
    finally:
        run.close()


def _difference(found: Any, expected: Any) -> dict[str, Any]:
    """What is not as it should be, in short."""
    ours, theirs = ({tuple(map(str, row)) for row in told["records"]} for told in (found, expected))
    return {
        "records": len(found["records"]),
        "numbers": len({row[0] for row in found["records"]}),
        "candidates": len({row[1] for row in found["records"]}),
        "other records": sorted(ours - theirs)[:3],
        "same front": found["front"] == expected["front"],
        "state": found["state"],
    }


def _children(pid: int) -> list[int]:
    """Processes that `pid` started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return sorted(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = main(options.runs, options.seed)
    print({key: value for key, value in result.items() if key != "wrong"}, "wrong:", result["wrong"])
    if options.runs > 20:
        write_result("chaos", " ".join(sys.orig_argv[1:]), result)
    sys.exit(1 if result["wrong"] else 0)
