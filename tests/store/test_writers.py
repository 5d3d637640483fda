"""Several processes write one run; some are killed, the server restarts: nothing is lost, doubled, or off the front."""

import itertools
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from archip.core.errors import StoreError, UserError
from archip.core.pareto import front
from archip.core.record import Outcome, Status
from archip.store._url import open_store
from archip.testing.store import GOALS, toy_records

APPENDER = Path(__file__).with_name("_appender.py")
N = 600


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "records.sqlite")
    return request.getfixturevalue("postgres_url")()


@pytest.fixture
def own_server(postgres_server):
    if postgres_server.control is None:
        pytest.skip("the server of ARCHIP_POSTGRES is not ours to restart")
    return postgres_server


def start(place: str, n_writers: int, batch: int) -> list[subprocess.Popen]:
    """Writers that have opened the store and wait for a line."""
    writers = [
        subprocess.Popen(
            [sys.executable, str(APPENDER), place, str(N), str(i), str(n_writers), str(batch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(n_writers)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    return writers


def is_whole(place: str, records) -> None:
    """The store holds exactly `records`, their counts and their front."""
    store = open_store(place)
    assert sorted(store.records("a", "nsga2"), key=lambda r: r.number) == records
    assert store.front("a", "nsga2") == list(front(records, GOALS))
    (counts,) = store.searches("a")
    assert (counts.n_records, counts.n_feasible) == (len(records), sum(map(GOALS.feasible, records)))
    assert counts.n_failed == sum(r.status is Status.FAILED for r in records)
    store.close()


def test_three_processes_write_one_run(place):
    writers = start(place, 3, 20)
    answers = [line.split() for writer in writers for line in writer.communicate("go\n")[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sum(int(new) for new, _, _ in answers) == N  # each record was new to one of them only
    assert set(Counter(i for _, claimed, i in answers if claimed == "1").values()) == {1}  # as was each lease
    is_whole(place, toy_records(N))


def test_a_killed_writer_is_taken_over(place):
    writers = start(place, 2, 5)
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    writers[0].stdout.readline()
    writers[0].kill()
    for writer in writers:
        writer.communicate()
    assert writers[0].returncode != 0
    store = open_store(place)
    stored = store.records("a", "nsga2")
    assert 0 < len(stored) < N
    store.close()
    is_whole(place, sorted(stored, key=lambda r: r.number))
    store = open_store(place)  # another one does all of it again
    assert store.append("a", "nsga2", toy_records(N)) == N - len(stored)
    store.close()
    is_whole(place, toy_records(N))


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["fast", "immediate"], ids=["restart", "crash"])
def test_a_server_that_restarts_is_waited_for(own_server, postgres_url, mode):
    place = postgres_url()
    store, records, errors = open_store(place), toy_records(N), []
    store.begin("a", {"strategy": "nsga2"}, GOALS, "key")

    def write() -> None:
        for i in range(0, N, 4):
            try:
                store.append("a", "nsga2", records[i : i + 4])
                store.put([(f"k{i}", "cost", {}, Outcome({"macs": float(i)}))])
            except UserError as error:
                errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while store.searches("a") == [] or store.searches("a")[0].n_records < 50:
        time.sleep(0.01)
    own_server.stop(mode)
    assert writer.is_alive()
    time.sleep(0.3)
    own_server.start()
    writer.join()
    assert errors == []
    assert len(store.get([f"k{i}" for i in range(0, N, 4)])) == N / 4
    store.close()
    is_whole(place, records)


@pytest.mark.postgres
def test_a_server_that_stays_away_is_an_error_after_a_while(own_server, postgres_url, monkeypatch):
    slept = []
    store = open_store(postgres_url())
    own_server.stop()
    try:
        monkeypatch.setattr("archip.store._database.time.sleep", slept.append)
        with pytest.raises(StoreError, match="record store failed"):
            store.runs()
        with pytest.raises(StoreError, match=r"record store failed.*see that the server runs"):
            open_store(postgres_url())
    finally:
        own_server.start()
    store.close()
    assert store.patience_s <= sum(slept) < store.patience_s + 3  # the opening did not wait
    assert all(a <= b for a, b in itertools.pairwise(slept))
