"""How long does a run take to open in the dashboard, by its number of records?

A run of synthetic records is written as a run writes them; then a fresh `archip serve` answers its first requests:
the overview (with the exact front), the figure, a page of candidates, and a filtered and sorted page, which scans.
The front on the page is compared with one that is computed from all records.

    python -m benchmarks.dashboard [toy|full]
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from archip.core.candidate import Candidate
from archip.core.files import write_text
from archip.core.pareto import non_dominated_mask
from archip.core.problem import Problem
from archip.core.record import Record
from archip.search.recorder import Recorder

SIZES = {"toy": (1_000,), "full": (1_000, 10_000, 100_000, 1_000_000)}
_CHUNK = 5_000
_PAGES = {
    "overview": "/runs/big/overview",
    "figure": "/runs/big/figures/front.json",
    "candidates": "/runs/big/candidates?page=7",
    "comparison": "/runs/big/comparison",
    "filter and sort": "/runs/big/candidates?status=ok&metric=latency_s&high=0.5+ms&sort=-quality",
}


def main(size: str = "toy") -> None:
    rows = [_measured(n) for n in SIZES[size]]
    for row in rows:
        print(
            f"{row['records']:>9,} records: " + ", ".join(f"{k} {v:.2f} s" for k, v in row["seconds"].items()), end=""
        )
        print(f"; page {row['overview_bytes'] / 1024:.0f} KiB; front of {row['front']} exact: {row['is_exact']}")
    if size == "full":
        about = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
        out = Path(__file__).parent / "results" / "dashboard.json"
        write_text(out, json.dumps({"question": __doc__.splitlines()[0], **about, "rows": rows}, indent=1) + "\n")


def _problem(n: int) -> Problem:
    return Problem.from_dict(
        {
            "name": "big",
            "tasks": {"digits": {"data": "digits", "net": "resnet9"}},
            "target": {"chip": {"cores": 2}},
            "limits": {"latency": "1 ms"},
            "budget": {"candidates": n},
        }
    )


def _losses(n: int) -> np.ndarray:
    """[n, (quality, latency, energy, area)] of a trade-off with noise; the front has hundreds of records."""
    rng = np.random.default_rng(0)
    latency_s = 10 ** rng.uniform(-5, -2.9, n)
    energy_j = 1e-4 * (latency_s / 1e-4) ** -0.4 * np.exp(0.4 * rng.normal(size=n))
    quality = 0.99 - 0.06 * rng.random(n) - 1e-6 / latency_s
    return np.stack([quality, latency_s, energy_j, rng.uniform(1, 9, n)], 1)


def _records(values: np.ndarray, first: int) -> Iterator[Record]:
    for i, (quality, latency_s, energy_j, area_mm2) in enumerate(values.tolist(), first):
        metrics = {"latency_s": latency_s, "energy_j": energy_j, "area_mm2": area_mm2, "quality": quality}
        yield Record(Candidate(net={"digits": {"number": i}}, hw={"core0.pes": i % 64}), metrics, seconds=0.1, number=i)


def _measured(n: int) -> dict[str, object]:
    values = _losses(n)
    with tempfile.TemporaryDirectory() as root:
        folder, problem = Path(root) / "big", _problem(n)
        folder.mkdir()
        write_text(folder / "problem.yaml", problem.to_yaml())
        with Recorder(problem, folder, None) as recorder:
            for first in range(0, n, _CHUNK):
                recorder.told("nsga2", list(_records(values[first : first + _CHUNK], first)))
            recorder.done({"name": "big"})
        feasible = values[values[:, 1] <= 1e-3]
        expected = int(non_dominated_mask(feasible * [-1, 1, 1, 1]).sum())
        command = [sys.executable, "-m", "archip", "serve", root, "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = next(word for word in server.stdout.readline().split() if word.startswith("http"))
            base = address.removesuffix("/runs")
            urllib.request.urlopen(f"{base}/assets/style.css").read()  # it listens now
            seconds, sizes = {}, {}
            for name, path in _PAGES.items():
                began = time.perf_counter()
                sizes[name] = len(urllib.request.urlopen(base + path).read())
                seconds[name] = round(time.perf_counter() - began, 3)
            with urllib.request.urlopen(f"{base}/runs/big/overview.json") as answer:
                shown = json.load(answer)["run"]["n_front"]
        finally:
            server.terminate()
            server.wait()
    exact = shown == expected
    return {"records": n, "seconds": seconds, "overview_bytes": sizes["overview"], "front": shown, "is_exact": exact}


if __name__ == "__main__":
    main(*sys.argv[1:])
