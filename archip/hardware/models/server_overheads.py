"""Server overheads: latency and throughput of a whole request, from the image's bytes to the answer.

Choose it to see what a faster network is worth behind decoding, resizing, normalising, copying and a broker: the
overhead's share of the latency, the stage that binds the throughput, and the waiting at a given load.
Source: Beyond Inference: Performance Analysis of DNN Server Overheads for Computer Vision, 2024, arXiv:2403.12981.
Waiting is that of an M/G/1 queue (Pollaczek and Khinchine): lambda E[S^2] / (2 (1 - rho)).
Choices: a stage takes a + b pixels for the first item of a batch and `marginal` of that for each further one. `workers`
says who shares a worker: all stages (`serial`), those of one device (`device`), or none (`pipelined`). A worker with
several stages serves them as one queue of jobs. A batch waits until it is full. Each queue's arrivals count as random,
though those behind another stage are more regular, so waiting is rather over- than underestimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from archip.core.errors import UserError
from archip.hardware.models._light import Count, Floats, Positive, Table

__all__ = ["ServerOverheads"]

NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Stage:
    """One step of a request."""

    name: str
    seconds: NotNegative = 0.0  # a, of the first item
    seconds_per_pixel: NotNegative = 0.0  # b; a copy has bytes of a pixel over the link's bytes a second
    device: str = "cpu"
    batch: Count = 1
    marginal: Annotated[float, Field(gt=0, le=1)] = 1.0  # time of a further item of a batch over the first's
    variation: NotNegative = 0.0  # standard deviation of the time over its mean

    def batch_s(self, pixels: ArrayLike) -> Floats:
        """Time of one batch."""
        first = self.seconds + self.seconds_per_pixel * np.asarray(pixels, np.float64)
        return first * (1 + (self.batch - 1) * self.marginal)


_EXAMPLE = (
    Stage("decode", 5e-3),
    Stage("resize", 1e-3),
    Stage("copy", 0.5e-3),
    Stage("inference", 4e-3, device="gpu"),
)


@dataclass(frozen=True)
class ServerOverheads:
    """A pipeline of stages; the default has times of the order of the paper's medium images."""

    stages: tuple[Stage, ...] = _EXAMPLE
    workers: Literal["serial", "device", "pipelined"] = "device"
    inference: str = "inference"  # the stage that is no overhead
    images: Positive = 224.0 * 224.0  # pixels, where a call does not say

    def __post_init__(self) -> None:
        if self.inference not in (names := [stage.name for stage in self.stages]):
            raise UserError(f"there is no stage {self.inference!r}", "inference", f"one of {', '.join(names)}")

    def evaluate(self, arrival_per_s: ArrayLike = 0.0, pixels: ArrayLike | None = None) -> Table:
        """Requests at these rates, of images of this size; both broadcast.

        Returns:
            `latency_s` with waiting (infinite from the capacity on), `waiting_s`, `service_s` without waiting,
            `overhead_share` of the service that is not inference, `capacity_per_s`, and the `bottleneck`: the slowest
            worker's stages.
        """
        size = self.images if pixels is None else pixels
        rate, size = np.broadcast_arrays(np.asarray(arrival_per_s, np.float64), np.asarray(size, np.float64))
        times = {stage.name: stage.batch_s(size) for stage in self.stages}
        service = sum(times.values(), np.zeros(rate.shape))
        groups = self._groups()
        needs = np.array([sum(times[stage.name] / stage.batch for stage in group) for group in groups])
        waiting = sum((self._waiting(group, rate, times) for group in groups), np.zeros(rate.shape))
        names = np.array([" + ".join(stage.name for stage in group) for group in groups])
        return {
            "latency_s": service + waiting,
            "waiting_s": waiting,
            "service_s": service,
            "overhead_share": 1 - times[self.inference] / service,
            "capacity_per_s": 1 / needs.max(0),
            "bottleneck": names[needs.argmax(0)],
        }

    def _groups(self) -> list[list[Stage]]:
        """Stages of each worker."""
        label = {"serial": lambda s: "", "device": lambda s: s.device, "pipelined": lambda s: s.name}[self.workers]
        groups: dict[str, list[Stage]] = {}
        for stage in self.stages:
            groups.setdefault(label(stage), []).append(stage)
        return list(groups.values())

    def _waiting(self, group: Sequence[Stage], rate: Floats, times: Table) -> Floats:
        """Of one request at one worker, for each of its stages: in the queue, and for its batch to fill.

        Stages without batches are one job after the other for the same request: the queue is entered once.
        """
        load, square = np.zeros(rate.shape), np.zeros(rate.shape)
        single = [stage for stage in group if stage.batch == 1]
        batched = [[stage] for stage in group if stage.batch > 1]
        jobs = [single, *batched] if single else batched
        for job in jobs:
            mean = sum(times[stage.name] for stage in job)
            variance = sum((stage.variation * times[stage.name]) ** 2 for stage in job)
            load = load + rate / job[0].batch * mean
            square = square + rate / job[0].batch * (mean**2 + variance)
        with np.errstate(divide="ignore"):
            queue = np.where(load < 1, square / np.maximum(2 * (1 - load), 0), np.inf)
            fill = sum((np.where(rate > 0, (b.batch - 1) / (2 * rate), 0.0) for [b] in batched), np.zeros(rate.shape))
        return len(jobs) * queue + fill
