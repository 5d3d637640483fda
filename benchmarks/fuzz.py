"""Does any input bring a traceback, a hang or a dead process?

    python -m benchmarks.fuzz                               100,000 inputs, some ten minutes on one core
    python -m benchmarks.fuzz --kind onnx --inputs 2000     one kind
    python -m benchmarks.fuzz --kind onnx --only 123        one input again, with the traceback that it brings

Expected before the first run: none. Each input is a real file (examples, shipped accelerators and tables, layer tables,
small ONNX models) made wrong in its values, its structure or its bytes, and is given to what the command line calls. It
must give a result or an `ArchipError` within the time limit. Wrong structures of problems and chips go in as dicts,
since reading YAML takes most of the time; the reader has its share with the other kinds and with wrong bytes. Inputs
depend on seed, kind and number only. They run in processes with limited memory; one that dies or that nothing
interrupts is a fault as well, and a new one goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from archip.core.errors import ArchipError
from benchmarks._fuzz_mutations import hostile_bytes, hostile_cells, hostile_tree
from benchmarks._fuzz_onnx import hostile_model, seed_models
from benchmarks._machine import write_result

__all__ = ["SHARES", "Fault", "attack"]

# Share of each kind in all inputs.
SHARES = {"problem": 0.2, "accelerator": 0.03, "layers": 0.25, "onnx": 0.3, "chip": 0.2, "table": 0.02}
LIMIT_S = 5.0
_AS_DICTS = ("problem", "chip")
_MEMORY = 6 * 2**30
_ROOT = Path(__file__).resolve().parent.parent
_LAYERS = """network,layer,op,N,K,C,OY,OX,FY,FX,stride,padding,groups,MACs,count
net,a,conv,1,64,3,16,16,3,3,2,1,1,442368,1
net,b,dwconv,1,64,64,16,16,3,3,1,1,64,147456,2
other,c,gemm,1,10,64,1,1,1,1,1,0,1,640,1"""
_TABLE = """title: a small grid
source: ours
official: nowhere
file: FILE
genes: [{column: width}, {column: ops, split: "-"}]
metrics: {val.accuracy: {column: acc, unit: "%"}, cpu.latency_s: {column: ms, unit: ms, may_miss: true}}
aliases: {latency: cpu.latency_s}
statistics: [{column: width, log: true}]
searches: {main: {full: val.accuracy, test: [val.accuracy]}}
networks: {space: resnet9, inputs: {main: "3x32x32:10"}}
"""
_ROWS = """width,ops,acc,ms
8,a-b,90.5,1.5
8,b-b,91,
16,a-b,92.25,3
16,b-b,93,4.5"""


class Hang(BaseException):
    """An input took longer than its limit."""


@dataclass(frozen=True)
class Fault:
    """What an input brought that is neither a result nor an `ArchipError`."""

    kind: str
    number: int
    error: str
    where: str


def main(inputs: int, seed: int, kinds: list[str], keep: Path) -> dict[str, Any]:
    """Attack with every kind, print faults with the files that bring them, return the figures."""
    result: dict[str, Any] = {"seed": seed, "limit_s": LIMIT_S, "memory_bytes": _MEMORY, "kinds": {}, "faults": []}
    whole = sum(SHARES[kind] for kind in kinds)
    for kind in kinds:
        start, n = time.perf_counter(), round(inputs * SHARES[kind] / whole)
        counts, faults = _in_processes(kind, n, seed)
        seconds = round(time.perf_counter() - start, 1)
        result["kinds"][kind] = {"inputs": n, **counts, "seconds": seconds}
        print(f"{kind}: {n} inputs, {counts}, {seconds} s", flush=True)
        for fault in faults:
            path = keep / f"{kind}_{fault.number}{_SUFFIX[kind]}"
            keep.mkdir(parents=True, exist_ok=True)
            data = made(kind, fault.number, seed)
            path.write_bytes(data if isinstance(data, bytes) else _dumped(data).encode("utf-8", "surrogatepass"))
            result["faults"].append(asdict(fault))
        for (error, where), n in Counter((f.error[:100], f.where) for f in faults).most_common():
            numbers = [f.number for f in faults if (f.error[:100], f.where) == (error, where)][:3]
            print(f"  {n} x {error} at {where}; inputs {numbers} in {keep}", flush=True)
    result["inputs"] = sum(kind["inputs"] for kind in result["kinds"].values())
    return result


def attack(
    kind: str, numbers: range, seed: int, limit_s: float = LIMIT_S, started: Any = None
) -> Iterator[str | Fault]:
    """What each input comes to: ``result``, ``refused``, or a `Fault`; `started`: shared number of the one at work."""
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder, warnings.catch_warnings(), _alarm() as alarm:
        warnings.simplefilter("ignore")
        _warm(kind, Path(folder))
        for number in numbers:
            if started is not None:
                started.value = number
            data = made(kind, number, seed)
            try:
                alarm(limit_s)
                _TRY[kind](data, Path(folder), number)
                outcome: str | Fault = "result"
            except ArchipError as error:
                outcome = "refused" if str(error).strip() else Fault(kind, number, "an error without text", "")
            except Hang:
                outcome = Fault(kind, number, f"longer than {limit_s} s", _place(sys.exc_info()[2]))
            except Exception as error:
                outcome = Fault(kind, number, f"{type(error).__name__}: {error}"[:200], _place(error.__traceback__))
            finally:
                alarm(0)
            yield outcome


def _memory_folder() -> str | None:
    """Where files cost no disk, if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _warm(kind: str, folder: Path) -> None:
    """Imports what a kind needs, outside of any limit, and sees that files as they are give results."""
    for data in _seeds(kind)[:1]:
        _TRY[kind](data, folder, 1)


def made(kind: str, number: int, seed: int) -> Any:
    """The input of this number: bytes of a file, or what a YAML file would hold."""
    rng = Random(f"{seed}/{kind}/{number}")
    seeds = _seeds(kind)
    data, other = rng.choice(seeds), rng.choice(seeds)
    by_structure = rng.random() < (0.85 if kind in _AS_DICTS else 0.7)
    if kind == "onnx" and by_structure:
        return hostile_model(data, rng)
    if kind == "layers" and by_structure:
        lines = [line.split(",") for line in data.decode().splitlines()]
        return hostile_cells(lines, rng).encode("utf-8", "surrogatepass")
    if by_structure:
        tree = hostile_tree(_tree(data), [_tree(data), _tree(other)], rng)
        return tree if kind in _AS_DICTS else _dumped(tree).encode("utf-8", "surrogatepass")
    return hostile_bytes(data, other, rng)


@lru_cache
def _seeds(kind: str) -> tuple[bytes, ...]:
    files = {
        "problem": [p for p in sorted((_ROOT / "examples").glob("*.yaml")) if b"\ntasks:" in p.read_bytes()],
        "chip": [_ROOT / "examples" / "chip.yaml"],
        "accelerator": [
            _ROOT / "examples" / "my_accelerator.yaml",
            *sorted((_ROOT / "archip/hardware/accelerators").glob("*.yaml")),
        ],
        "table": sorted((_ROOT / "archip/data/tables").glob("*.yaml")),
    }
    given = {"onnx": seed_models(), "layers": (_LAYERS.encode(),), "table": (_TABLE.encode(),) * 15}
    return (*given.get(kind, ()), *(path.read_bytes() for path in files.get(kind, ())))


@lru_cache(maxsize=64)
def _tree(data: bytes) -> Any:
    return yaml.safe_load(data)


def _dumped(tree: Any) -> str:
    """YAML in its JSON form where that can say it, which is faster to write."""
    if _is_json(tree):
        return json.dumps(tree, ensure_ascii=False).replace("NaN", ".nan").replace("Infinity", ".inf")
    return yaml.safe_dump(tree, allow_unicode=True)


def _is_json(tree: Any) -> bool:
    if isinstance(tree, dict):
        return all(isinstance(key, str) and _is_json(value) for key, value in tree.items())
    return all(map(_is_json, tree)) if isinstance(tree, list) else True


# --- What the command line does with each kind -----------------------------------------------------------------------


def _try_problem(data: Any, folder: Path, number: int) -> None:
    from archip.core.problem import Problem

    is_file = isinstance(data, bytes)
    problem = Problem.load(_written(folder / "problem.yaml", data)) if is_file else Problem.from_dict(data)
    if Problem.from_dict(problem.to_json()).id != problem.id:
        raise AssertionError("the resolved problem is another one")
    problem.to_yaml()


def _try_accelerator(data: bytes, folder: Path, number: int) -> None:
    from archip.hardware.instances import load_accelerator

    _ = load_accelerator(_written(folder / "accelerator.yaml", data)).digest


def _try_layers(data: bytes, folder: Path, number: int) -> None:
    from archip.ir.layer_table import LayerTable, from_table

    path = _written(folder / "layers.csv", data)
    _ = from_table(path).macs, from_table(path, "net"), LayerTable.read_csv(path).macs


def _try_onnx(data: bytes, folder: Path, number: int) -> None:
    from archip.ir.read_onnx import read_onnx
    from archip.ir.workload import workload

    graph = read_onnx(_written(folder / "model.onnx", data), {"batch": 1} if number % 2 and b"batch" in data else None,
                      allow_unknown=number % 3 > 0)  # fmt: skip
    _ = workload(graph).macs, graph.id


def _try_chip(data: Any, folder: Path, number: int) -> None:
    from archip.search.chip import load_spec

    if not isinstance(data, bytes | dict):
        return  # the command line gives files only
    spec = load_spec(_written(folder / "chip.yaml", data) if isinstance(data, bytes) else data)
    _ = spec.designs, spec.totals_R


def _try_table(data: bytes, folder: Path, number: int) -> None:
    from archip.data._table_spec import read_spec
    from archip.spaces.tabular import Tabular

    if b"nowhere" not in data:  # a shipped table, whose files are large or not there
        read_spec(str(_written(folder / f"table{number}.yaml", data)))
        return
    rng = Random(number)
    cells = [line.split(",") for line in _ROWS.splitlines()]
    rows = hostile_cells(cells, rng) if rng.random() < 0.5 else _ROWS
    _written(folder / f"rows{number}.csv", rows.encode("utf-8", "surrogatepass"))
    path = _written(folder / f"table{number}.yaml", data.replace(b"FILE", f"rows{number}.csv".encode()))
    table = Tabular(str(path)).rows
    for name in table.metrics:
        table.metric(name)
    _ = table.statistics_NS


_TRY: dict[str, Callable[[Any, Path, int], None]] = {
    "problem": _try_problem,
    "accelerator": _try_accelerator,
    "layers": _try_layers,
    "onnx": _try_onnx,
    "chip": _try_chip,
    "table": _try_table,
}
_SUFFIX = {"onnx": ".onnx", "layers": ".csv"} | dict.fromkeys(("problem", "accelerator", "chip", "table"), ".yaml")


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- Limits ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _alarm() -> Iterator[Callable[[float], None]]:
    """A function that raises `Hang` after so many seconds; 0 calls it off."""

    def ring(signum: int, frame: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _place(trace: Any) -> str:
    """``file.py:line`` of the innermost frame of archip in a traceback."""
    frames = [frame for frame in traceback.extract_tb(trace) if "/archip/" in frame.filename]
    return f"{frames[-1].filename.rpartition('/archip/')[2]}:{frames[-1].lineno}" if frames else "?"


def _in_processes(kind: str, n: int, seed: int) -> tuple[dict[str, int], list[Fault]]:
    """All inputs of a kind, by one process after the other: a new one where one has died."""
    context = multiprocessing.get_context("fork")
    counts, faults, first = Counter(result=0, refused=0), [], 0
    while first < n:
        started, (ours, theirs) = context.Value("q", first, lock=False), context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(kind, range(first, n), seed, started, theirs))
        worker.start()
        theirs.close()
        killed_at = None
        with contextlib.suppress(EOFError):
            while True:
                if not ours.poll(4 * LIMIT_S):  # nothing interrupts it
                    killed_at = started.value
                    worker.kill()
                outcome = ours.recv()
                if isinstance(outcome, Fault):
                    faults.append(outcome)
                else:
                    counts.update(outcome)
        worker.join()
        if worker.exitcode == 0:
            break
        what = "nothing interrupts it" if killed_at is not None else f"the process died ({worker.exitcode})"
        faults.append(Fault(kind, started.value, what, ""))
        first = started.value + 1
    return dict(counts), faults


def _work(kind: str, numbers: range, seed: int, started: Any, out: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    counts, sent = Counter[str](), time.monotonic()
    for outcome in attack(kind, numbers, seed, started=started):
        if isinstance(outcome, Fault):
            out.send(outcome)
        else:
            counts[outcome] += 1
        if time.monotonic() - sent > 1:
            out.send(counts)
            counts, sent = Counter[str](), time.monotonic()
    out.send(counts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=SHARES, action="append")
    parser.add_argument("--only", type=int, help="number of one input, tried again in this process")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="folder of the inputs that bring faults")
    arguments = parser.parse_args()
    if arguments.only is not None:
        for kind in arguments.kind or SHARES:
            with tempfile.TemporaryDirectory() as folder:
                _TRY[kind](made(kind, arguments.only, arguments.seed), Path(folder), arguments.only)
        sys.exit()
    figures = main(arguments.inputs, arguments.seed, arguments.kind or list(SHARES), arguments.keep)
    command = f"python -m benchmarks.fuzz --inputs {arguments.inputs} --seed {arguments.seed}"
    if arguments.kind is None:
        print(write_result("fuzz", command, figures))
    sys.exit(1 if figures["faults"] else 0)
