"""Fixtures of a dashboard that really listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the dashboard needs the extra serve")
pytest.importorskip("uvicorn", reason="the dashboard needs the extra serve")
httpx = pytest.importorskip("httpx", reason="tests of the dashboard need httpx")

from _runs import made_run  # noqa: E402
from _served import TOKEN, Served, serving  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _patience():
    """A made-up run gives no signs of life; on a busy machine it would soon count as interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("archip.search.runs.LOST_S", 1e9)
        yield


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """A folder with two runs, one of which goes on, and something that is none."""
    root = tmp_path_factory.mktemp("runs")
    made_run(root / "first")
    made_run(root / "second", n=40, is_done=False)
    (root / "secret.txt").write_text("not for visitors")
    (root / "notes").mkdir()
    return root


@pytest.fixture(scope="session")
def served(runs) -> Iterator[Served]:
    with serving(runs) as found:
        yield found


@pytest.fixture(scope="session")
def guarded(runs) -> Iterator[Served]:
    """One that asks for a token."""
    with serving(runs, token=TOKEN) as found:
        yield found


@pytest.fixture
def get(served) -> Callable[..., httpx.Response]:
    with served.client() as client:
        yield client.get
