"""ONNX Runtime on this machine's CPU: measured latency of an ONNX file.

Choose it to see what a network takes where archip runs. Warm-up runs are dropped, the median of the repeats is
reported, and the drift between the first and the second half says how far to trust it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

__all__ = ["OnnxRuntime"]


@dataclass
class OnnxRuntime:
    """Times one file at batch 1."""

    threads: Annotated[int, Field(ge=1)] = 1
    warmup: Annotated[int, Field(ge=0)] = 10
    repeats: Annotated[int, Field(ge=4)] = 100
    seconds: Annotated[float, Field(gt=0)] = 2.0  # stop repeating after so long

    def measure(self, path: Path, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
        """Median, 10th and 90th percentile [s], repeats, threads, and drift (second half's median over the first's)."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(self.warmup):
            session.run(None, inputs)
        times_s: list[float] = []
        began = time.perf_counter()
        while len(times_s) < 4 or (len(times_s) < self.repeats and time.perf_counter() - began < self.seconds):
            start = time.perf_counter()
            session.run(None, inputs)
            times_s.append(time.perf_counter() - start)
        half = len(times_s) // 2
        low, median, high = np.percentile(times_s, [10, 50, 90])
        return {
            "latency_s": float(median),
            "p10_s": float(low),
            "p90_s": float(high),
            "repeats": len(times_s),
            "threads": self.threads,
            "drift": float(np.median(times_s[half:]) / np.median(times_s[:half])),
            "runtime": f"onnxruntime {onnxruntime.__version__}",
        }
