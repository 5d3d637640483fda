"""Ray nodes on this machine, as a cluster of several machines would have them, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["nodes"]

_STORE_BYTES = 2**27


@contextlib.contextmanager
def nodes(n: int) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of `n` nodes with one processor each, and a head without any."""
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - its name; at 15 whatever else runs here would starve them
    import ray
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # what is imported here is found there
    options = {"object_store_memory": _STORE_BYTES, "include_dashboard": False}
    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **options})
        for _ in range(n):
            cluster.add_node(num_cpus=1, object_store_memory=_STORE_BYTES, wait=False)
        cluster.wait_for_nodes()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
