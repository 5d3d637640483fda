"""The cost stage of runs whose target is a device: what it measures or predicts, parameters and MACs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from archip.core.candidate import Candidate
from archip.core.errors import CandidateError
from archip.core.protocols import Progress, RunContext
from archip.core.record import Outcome, Status
from archip.evaluators._networks import about, deployed
from archip.hardware.devices._device import Device
from archip.hardware.devices.onnxruntime import OnnxRuntime
from archip.ir.workload import workload

__all__ = ["DeviceStage"]


class DeviceStage:
    """A device's costs, made ready for one run."""

    name = "cost"

    def __init__(self, run: RunContext, device: Device) -> None:
        self.run, self.device = run, device
        self.stays = isinstance(device, OnnxRuntime)  # what is measured is this machine, one network at a time
        self.reads = tuple(f"{kind}.{task.name}" for kind in ("net", "compress") for task in run.tasks)
        tasks = {task.name: about(task) for task in run.tasks}
        self.key: Mapping[str, Any] = {"tasks": tasks, "device": type(device).__name__, "depends on": device.key}

    def prepare(self, progress: Progress | None) -> None:
        """Nothing: devices are ready when they are made."""

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        return [self._outcome(candidate) for candidate in candidates]

    def _outcome(self, candidate: Candidate) -> Outcome:
        began = time.perf_counter()
        try:
            networks = [deployed(task, candidate) for task in self.run.tasks]
            works = [workload(n.graph, **n.bits) for n in networks]
            metrics = {"params": float(sum(w.params for w in works)), "macs": float(sum(w.macs for w in works))}
            metrics |= self.device.costs(networks)
        except CandidateError as error:
            return Outcome({}, Status.FAILED, str(error), time.perf_counter() - began)
        return Outcome(metrics, seconds=time.perf_counter() - began)
