"""ONNX Runtime on this machine's CPU: measured latency of float networks.

Choose it to see what a network takes where archip runs (``target: {device: this}``), and to calibrate a device file.
Warm-up runs are dropped, the median of the repeats is reported. Where the second half of the repeats differs from the
first by more than `max_drift` the measurement is made again; the steadiest one counts, and its drift is told.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from archip.core.errors import CandidateError
from archip.hardware.devices._device import Deployed, Device
from archip.hardware.devices._onnx_model import onnx_model
from archip.hardware.devices._order import best_order
from archip.ir.graph import Graph
from archip.ir.workload import workload

__all__ = ["OnnxRuntime"]

_FLOAT_BITS = 32


@dataclass
class OnnxRuntime(Device):
    """Times one network at batch 1.

    Attributes:
        seconds: stop repeating after so long.
        max_drift, tries: measure again, up to so often, where the halves of the repeats differ by a larger share.
    """

    reads_bits: ClassVar[bool] = False

    threads: Annotated[int, Field(ge=1)] = 1  # of the runtime
    warmup: Annotated[int, Field(ge=0)] = 10  # runs that are dropped
    repeats: Annotated[int, Field(ge=4)] = 100  # runs of which the median counts
    seconds: Annotated[float, Field(gt=0)] = 1.0
    max_drift: Annotated[float, Field(gt=0)] = 0.1
    tries: Annotated[int, Field(ge=1)] = 3

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset({"latency_s", "memory_bytes"})

    @property
    def key(self) -> Any:
        return [self.machine, self.runtime, self.threads, self.warmup, self.repeats, self.seconds, self.max_drift]

    @property
    def runtime(self) -> str:
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    @cached_property
    def machine(self) -> str:
        """Processor and system, as far as the machine tells."""
        return f"{_processor()}, {platform.system()}"

    def costs(self, networks: Sequence[Deployed]) -> dict[str, float]:
        for network in networks:
            if network.bits:
                raise CandidateError("ONNX Runtime is measured with float networks; bits of a compression do not apply")
        latency_s = sum(self.measure_graph(n.graph)["latency_s"] for n in networks)
        return {"latency_s": latency_s, "memory_bytes": float_bytes([n.graph for n in networks])}

    def measure_graph(self, graph: Graph) -> dict[str, Any]:
        """What `measure` says of a graph with weights of any value.

        Raises:
            CandidateError: an operator that cannot be written as ONNX.
        """
        inputs = {
            i.name: np.ones(i.shape, np.int64) if i.is_tokens else np.full(i.shape, 0.5, np.float32)
            for i in graph.inputs
        }
        return self.measure(onnx_model(graph), inputs)

    def measure(self, model: Path | bytes, inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Median, 10th and 90th percentile [s], repeats, threads, and drift (second half's median over the first's)."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        source = model if isinstance(model, bytes) else str(model)
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        for _ in range(self.warmup):
            session.run(None, dict(inputs))
        measured = []
        for _ in range(self.tries):
            measured.append(self._repeated(session, dict(inputs)))
            if abs(measured[-1]["drift"] - 1) <= self.max_drift:
                break
        best = min(measured, key=lambda m: abs(m["drift"] - 1))
        return {**best, "tries": len(measured), "threads": self.threads, "runtime": self.runtime}

    def _repeated(self, session: Any, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
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
            "drift": float(np.median(times_s[half:]) / np.median(times_s[:half])),
        }


def float_bytes(graphs: Sequence[Graph]) -> float:
    """Memory of float networks: the weights of all, and the activations of the one that needs most."""
    weights = sum(workload(graph).params for graph in graphs) * _FLOAT_BITS / 8
    return weights + max(best_order(graph, _FLOAT_BITS).peak_bytes for graph in graphs)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
