"""How many records a second do stores take, and does it matter how many they hold?

    python -m benchmarks.store_speed            up to 1,000,000 records; PostgreSQL where it is installed
    python -m benchmarks.store_speed --toy      seconds; what it measures then means nothing

Expected before the first run: eight processes that write one run in batches of 32 bring at least 2,000 records/s to
SQLite and 1,000/s to PostgreSQL; an append into 1,000,000 records takes at most 1.5 times the processor time of one
into 1,000; the exact front of all of them, counts and a sample of 2,000 for a plot are there within 2 s of opening.

Durable as in use: each outcome waits for the disk, PostgreSQL's server runs with its usual settings, and SQLite's
records follow from outcomes (`archip/store/sqlite.py`). Sizes are written in batches of 5,000, then 60 batches of 32
are timed. Each row says how busy the machine was beside it; processor times mean the same then, walls do not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Limit, Objective
from archip.core.pareto import non_dominated_mask
from archip.core.record import Outcome, Record, Status
from archip.search.runs import open_run
from archip.store._url import open_store
from archip.testing.postgres import reason_against, server
from benchmarks._machine import write_result

GOALS = Goals(
    (Objective("quality", 1), Objective("latency_s", -1), Objective("energy_j", -1)), (Limit("latency_s", 0.8),)
)
_BATCH, _LARGE, _TIMED, _SAMPLE = 32, 5_000, 60, 2_000
_PROBLEM = {"name": "big", "strategy": {"nsga2": {"population": 64}}}


def main(toy: bool, sizes: list[int], stores: list[str]) -> dict[str, Any]:
    """Measure, print the tables, return the figures."""
    seconds = 1.0 if toy else 15.0
    result: dict[str, Any] = {"load_before": os.getloadavg(), "writers": [], "growth": [], "opening": []}
    with tempfile.TemporaryDirectory() as folder, _places(Path(folder)) as place:
        for kind in stores:
            if place(kind, "x") is None:
                result[f"{kind}_left_out"] = reason_against()
                continue
            for what, batch in (("records", _BATCH), ("records", 1), ("outcomes", _BATCH)):
                where = place(kind, f"w{what}{batch}")
                result["writers"].append({"store": kind, **_writers(where, what, batch, seconds)})
                print(result["writers"][-1], flush=True)
            where = place(kind, "growth")
            for n in sizes:
                row = _in_own_process("grow", where, n)
                result["growth"].append({"store": kind, **row})
                print(result["growth"][-1], flush=True)
            result["opening"].append({"store": kind, **_in_own_process("opened", where, sizes[-1])})
            print(result["opening"][-1], flush=True)
    result["load_after"] = os.getloadavg()
    return result | {"holds": _holds(result)}


def _holds(result: dict[str, Any]) -> dict[str, bool]:
    rates = {row["store"]: row["per_s"] for row in result["writers"] if (row["what"], row["batch"]) == ("records", 32)}
    found = {f"{store} at least {least}/s": rates[store] >= least
             for store, least in (("sqlite", 2000), ("postgresql", 1000)) if store in rates}  # fmt: skip
    for store in rates:
        rows = [row for row in result["growth"] if row["store"] == store]
        found[f"{store}: no growth"] = rows[-1]["append_cpu_ms"] <= 1.5 * rows[0]["append_cpu_ms"]
    for row in result["opening"]:
        found[f"{row['store']}: {row['n']:,} records open in 2 s"] = row["seconds"] <= 2.0
        found[f"{row['store']}: front exact"] = row["front_is_exact"]
    return found


@contextlib.contextmanager
def _places(folder: Path) -> Iterator[Any]:
    """Gives the place of a new store of a kind; None where the kind cannot be had."""
    with contextlib.ExitStack() as stack:
        own = None if reason_against() else stack.enter_context(server(durable=True))

        def place(kind: str, name: str) -> str | None:
            if kind == "sqlite":
                return str(folder / f"{name}.sqlite")
            return None if own is None else own.url(name.lower())

        yield place


def records(start: int, stop: int, seed: int = 0) -> list[Record]:
    """Records with three objectives that pull against each other; each number has one candidate and one result."""
    rng = np.random.default_rng([seed, start])
    genes = rng.integers(0, 32, (stop - start, 12))
    x = rng.random((stop - start, 3))
    rows = zip(range(start, stop), genes.tolist(), x.tolist(), strict=True)
    return [
        Record(
            Candidate({"a": {f"g{i}": g for i, g in enumerate(row)} | {"n": n}}),
            {"a.accuracy": a, "quality": a, "latency_s": 0.5 * (a + b), "energy_j": 0.5 * (a * a + c)},
            Status.OK,
            "",
            0.25,
            n,
        )
        for n, row, (a, b, c) in rows
    ]


def _writers(place: str | None, what: str, batch: int, seconds: float, n_writers: int = 8) -> dict[str, Any]:
    """Records or outcomes a second of several processes that write one run."""
    command = [sys.executable, "-m", "benchmarks.store_speed", "--part", "write", "--place", str(place)]
    arguments = [
        ["--n", str(i), "--batch", str(batch), "--what", what, "--seconds", str(seconds)] for i in range(n_writers)
    ]
    processes = [
        subprocess.Popen([*command, *a], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for a in arguments
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    load = os.getloadavg()[0]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate()[0]) for process in processes]
    written, cpu_s, wall_s = (sum(t[i] for t in told) for i in range(3))
    return {
        "what": what,
        "writers": n_writers,
        "batch": batch,
        "n": written,
        "per_s": round(n_writers * written / wall_s),
        "cpu_us_each": round(1e6 * cpu_s / written, 1),
        "load": load,
    }


def write(place: str, writer: int, batch: int, what: str, seconds: float) -> None:
    """Part of a process: write for some seconds; say how much it was, and the processor and wall time of it."""
    store = open_store(place)
    store.begin("big", _PROBLEM, GOALS, "key")
    prepared = records(writer * 10_000_000, writer * 10_000_000 + 40_000)
    print("ready", flush=True)
    sys.stdin.readline()
    n, began, spent = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds and n + batch <= len(prepared):
        part = prepared[n : n + batch]
        if what == "records":
            n += store.append("big", "nsga2", part)
        else:
            store.put([(r.candidate.id, "cost", r.candidate.parts, Outcome(r.metrics, seconds=0.25)) for r in part])
            n += len(part)
    print([n, time.process_time() - spent, time.perf_counter() - began], flush=True)
    store.close()


def grow(place: str, n: int) -> dict[str, Any]:
    """Fill up to `n` records, then time appends."""
    store = open_store(place)
    store.begin("big", _PROBLEM, GOALS, "key")
    stored = sum(row.n_records for row in store.searches("big"))
    began = time.perf_counter()
    for start in range(stored, n, _LARGE):
        store.append("big", "nsga2", records(start, min(n, start + _LARGE)))
    filled_s = time.perf_counter() - began
    wall, cpu = [], []
    timed = records(n, n + _TIMED * _BATCH)
    for i in range(0, len(timed), _BATCH):
        began, spent = time.perf_counter(), time.process_time()
        store.append("big", "nsga2", timed[i : i + _BATCH])
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
    front = len(store.front("big", "nsga2"))
    store.close()
    return {
        "n": n,
        "append_ms": round(1e3 * statistics.median(wall), 3),
        "append_cpu_ms": round(1e3 * statistics.median(cpu), 3),
        "filled_per_s": round((n - stored) / filled_s) if n > stored else None,
        "front": front,
        "load": os.getloadavg()[0],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def opened(place: str, n: int) -> dict[str, Any]:
    """Open the run, ask for what a page shows, and compare the front with one of all records."""
    began, spent = time.perf_counter(), time.process_time()
    run = open_run(place, "big")
    front, counts, sample, state = run.front(), run.counts(), run.sample(None, _SAMPLE), run.state
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    total, losses, feasible = counts["records"], [], []
    for start in range(0, total, 20_000):
        part = [r for r in run.records(None, start, start + 20_000) if GOALS.feasible(r)]
        losses.append(GOALS.losses(part))
        feasible += [r.number for r in part]
    numbers = np.array(feasible)[non_dominated_mask(np.concatenate(losses))]
    run.close()
    return {
        "n": n,
        "seconds": round(seconds, 3),
        "cpu_s": round(cpu_s, 3),
        "records": total,
        "front": len(front),
        "sample": len(sample),
        "load": os.getloadavg()[0],
        "state": state,
        "peak_bytes": peak,
        "front_is_exact": [r.number for r in front] == numbers.tolist(),
    }


def _in_own_process(part: str, place: str | None, n: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.store_speed", "--part", part, "--place", str(place), "--n", str(n)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--out", type=Path, help="write the figures there, not to benchmarks/results")
    parser.add_argument("--part", choices=["write", "grow", "opened"])
    parser.add_argument("--place", default="")
    parser.add_argument("--n", type=int, default=0)
    parser.add_argument("--batch", type=int, default=_BATCH)
    parser.add_argument("--what", default="records")
    parser.add_argument("--seconds", type=float, default=1.0)
    return parser.parse_args()


if __name__ == "__main__":
    given = _parse()
    if given.part == "write":
        write(given.place, given.n, given.batch, given.what, given.seconds)
    elif given.part:
        print(json.dumps({"grow": grow, "opened": opened}[given.part](given.place, given.n)))
    else:
        figures = main(given.toy, [1_000, 2_000] if given.toy else given.sizes, given.stores)
        print(figures["holds"])
        if given.out:
            given.out.write_text(json.dumps(figures, indent=1) + "\n")
        elif not given.toy:
            write_result("store_speed", "python -m benchmarks.store_speed", figures)
