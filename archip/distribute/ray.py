"""Ray: workers on a cluster of machines, or on a local cluster that is started for the run.

Choose it (``workers: ray``, ``workers: ray://HOST:10001``, ``workers: HOST:6379``) for more than one machine. Each
worker is an actor that occupies `num_cpus`, `num_gpus` and `memory_bytes`; Ray decides where. A worker that was lost
with its machine is replaced where there is room, and costs only the item that it had. Ray itself retries nothing.

archip and what it needs must be installed on every machine, in the same versions.
Source: https://docs.ray.io/en/latest/ray-core/actors.html.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from archip.core.errors import MissingExtra, UserError
from archip.distribute._pool import Pool, Worker
from archip.distribute._worker import Functions

__all__ = ["Ray"]

_CONNECT_S = 5.0
_OBJECT_STORE_BYTES = 2**28  # of a local cluster: what travels is small
_RIGHT = "start one with `ray start --head`, or write workers: ray for a local one"


@dataclass(eq=False)
class Ray(Pool):
    """Actors on a Ray cluster that stay for the whole run."""

    address: str | None = None  # ray://HOST:PORT, HOST:PORT or auto; none: a local cluster
    n: Annotated[int, Field(ge=1)] | None = None  # workers; none: as many as the cluster has room for at the start
    num_cpus: Annotated[float, Field(gt=0)] = 1.0  # of each worker, also its threads
    num_gpus: Annotated[float, Field(ge=0)] = 0.0  # of each worker
    memory_bytes: Annotated[float, Field(ge=0)] = 0.0  # that Ray sets aside for each
    retries: Annotated[int, Field(ge=0)] = 2  # of an item whose worker was lost

    def __post_init__(self) -> None:
        self._ray: Any = None
        self._is_ours = False
        self._capacity = 0
        self.begin()

    @property
    def n_workers(self) -> int:
        self._connect()
        return self.n or self._capacity

    def open_worker(
        self,
        resources: Mapping[str, float] | None,
        answer: Callable[[Worker, Any], None],
        lost: Callable[[Worker, str], None],
    ) -> Worker:
        own = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "memory": self.memory_bytes}
        return _Actor(self._ray, own | dict(resources or {}), answer, lost)

    def shut(self) -> None:
        if self._is_ours and self._ray.is_initialized():
            self._ray.shutdown()
        self._ray, self._is_ours = None, False

    def _connect(self) -> None:
        with self._lock:
            if self._ray is not None:
                return
            ray = _package()
            self._is_ours = not ray.is_initialized()
            if self._is_ours:
                _init(ray, self.address)
            self._ray = ray
            self._capacity = _room(ray.cluster_resources(), self.num_cpus, self.num_gpus)
        if not self._capacity and not self.n:
            self.shut()
            raise UserError("the cluster has no room for one worker", "workers", "smaller num_cpus or num_gpus")


class _Actor(Worker):
    def __init__(
        self,
        ray: Any,
        resources: Mapping[str, float],
        answer: Callable[[Worker, Any], None],
        lost: Callable[[Worker, str], None],
    ) -> None:
        self.ray, self.answer, self.lost = ray, answer, lost
        wanted = {name: value for name, value in resources.items() if value}
        self.actor = ray.remote(Functions).options(max_restarts=0, **wanted).remote()
        self._then(self.actor.ready.remote())

    def load(self, key: str, packed: bytes, forget: bool) -> None:
        self._then(self.actor.load.remote(key, packed, forget))

    def call(self, key: str, item: Any) -> None:
        self._then(self.actor.call.remote(key, item))

    def kill(self) -> None:
        with contextlib.suppress(self.ray.exceptions.RayError):
            self.ray.kill(self.actor)

    def _then(self, reference: Any) -> None:
        """Report what comes of it, from a thread of Ray's in which nothing may be asked of Ray."""

        def ended(future: Any) -> None:
            try:
                result = future.result()
            except self.ray.exceptions.RayError as error:
                self.lost(self, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
            else:
                self.answer(self, result)

        reference.future().add_done_callback(ended)


def _package() -> Any:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise MissingExtra("ray", "ray", "workers: ray") from None
    return ray


def _init(ray: Any, address: str | None) -> None:
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the same machine finds the same modules
        ray.init(object_store_memory=_OBJECT_STORE_BYTES, runtime_env={"env_vars": path}, **quiet)
        return
    if address != "auto":
        _reach(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
        raise UserError(str(error).partition("\n")[0], f"workers: {address}", _RIGHT) from None


def _reach(address: str) -> None:
    """Say at once that nothing answers; Ray itself would try for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise UserError("is no address", f"workers: {address}", "ray://HOST:PORT or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"no Ray cluster answers: {error}", f"workers: {address}", _RIGHT) from None


def _room(resources: Mapping[str, float], num_cpus: float, num_gpus: float) -> int:
    """Workers that fit the cluster as a whole."""
    by_cpu = resources.get("CPU", 0.0) / num_cpus
    return int(min(by_cpu, resources.get("GPU", 0.0) / num_gpus) if num_gpus else by_cpu)
