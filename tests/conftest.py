"""Fixtures that several layers share."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from archip.testing.postgres import Server

# Tests run on all cores at once, so that one more thread in a process would only wait for the other processes; numba,
# which sets the number of threads for torch as well, has one of its own.
for _variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same examples in every run: a run that fails fails again. `HYPOTHESIS_PROFILE=new` looks at others.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("new", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """Networks and inputs that a test draws without a seed of its own are those of its last run."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(int(os.environ.get("ARCHIP_TEST_SEED", "0")))


@pytest.fixture
def shared_data() -> Path:
    """The folder of benchmark data sets; skips where it is absent."""
    folder = os.environ.get("ARCHIP_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("ARCHIP_DATA names no folder with the benchmark data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server of these tests; skips where there can be none."""
    from archip.testing.postgres import reason_against, server

    reason = reason_against()
    if reason:
        pytest.skip(reason)
    with server() as found:
        yield found


@pytest.fixture
def postgres_url(postgres_server: Server) -> Callable[[], str]:
    """Gives URLs of empty stores."""
    return lambda: postgres_server.url(f"test_{secrets.token_hex(8)}")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes with one processor each, on this machine; skips where Ray is not installed."""
    pytest.importorskip("ray")
    from archip.testing.ray_nodes import nodes

    with nodes(2) as cluster:
        yield cluster


@pytest.fixture
def toy_problem() -> dict:
    """A problem that runs in seconds: one synthetic task, a supernet of one epoch, one chip of two cores."""
    return {
        "name": "toy",
        "tasks": {"shapes": {"data": {"synthetic": {}}, "net": "resnet9"}},
        "target": {"chip": {"cores": 2, "pes": {"total": 512, "step": 64}}},
        "limits": {"latency": "1 ms", "energy": "1 mJ", "area": "10 mm2"},
        "strategy": {"nsga2": {"population": 8}},
        "evaluator": {"supernet": {"epochs": 1}},
        "budget": {"candidates": 24, "batch": 8},
        "finish": {"keep": 1, "epochs": 1},
        "seed": 0,
    }
