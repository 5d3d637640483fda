"""Evaluation by workers: the same records with any number of them, failures with their reasons, leases."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from _stages import GOALS, SPACE, TASK, Call, Toy

from archip.core import registry
from archip.core.problem import Budget
from archip.core.record import Status
from archip.core.rng import generator
from archip.search.cascade import Cascade
from archip.search.loop import search
from archip.search.work import Work
from archip.store.memory import Memory
from archip.strategies.nsga2 import NSGA2


@pytest.fixture(scope="module")
def processes():
    executor = registry.create("distribute", "processes", {"n": 3, "retries": 0})
    yield executor
    executor.close()


def run(stage: Toy, executor=None, store=None, limit_s=None, **budget):
    store = store or Memory()
    cascade = Cascade([stage], GOALS, store, [TASK], work=Work(store, executor, Call, limit_s))
    records = []
    search(NSGA2(population=8), SPACE, cascade, GOALS, Budget(**budget), 0, records.extend)
    return [replace(r, seconds=0.0) for r in records], cascade


def test_workers_and_their_order_change_nothing(processes):
    expected, _ = run(Toy(), candidates=48, batch=8)
    found, cascade = run(Toy(seconds=0.004), processes, candidates=48, batch=8)
    assert found == expected
    assert [r.number for r in found] == list(range(48))
    assert cascade.counts.evaluated == 48


@pytest.mark.parametrize("lag", [1, 3])
def test_a_lag_gives_the_same_records_here_and_on_workers(processes, lag):
    here, _ = run(Toy(), candidates=64, batch=8, lag=lag)
    there, _ = run(Toy(seconds=0.004), processes, candidates=64, batch=8, lag=lag)
    assert there == here
    assert here != run(Toy(), candidates=64, batch=8)[0]  # the lag itself does change what is asked


def test_a_lag_lets_asks_overlap(processes):
    events = []
    store = Memory()
    cascade = Cascade([Toy()], GOALS, store, [TASK], work=Work(store, processes, Call))
    strategy = NSGA2(population=8)
    ask, tell = strategy.ask, strategy.tell
    strategy.ask = lambda n, rng: events.append("ask") or ask(n, rng)
    strategy.tell = lambda records: events.append("tell") or tell(records)
    search(strategy, SPACE, cascade, GOALS, Budget(candidates=24, batch=8, lag=1), 0)
    assert events == ["ask", "ask", "tell", "ask", "tell", "tell"]


def test_a_lag_resumes_to_the_same_records():
    store = Memory()
    first, _ = run(Toy(), store=store, candidates=24, batch=8, lag=2)
    longer, cascade = run(Toy(), store=store, candidates=48, batch=8, lag=2)
    assert longer[:24] == first
    assert cascade.counts.cached >= 24
    assert longer == run(Toy(), candidates=48, batch=8, lag=2)[0]


def test_a_candidate_that_kills_its_worker_fails_alone(processes):
    found, cascade = run(Toy(dies_at=_first_i()), processes, candidates=24, batch=24)
    failed = [r for r in found if r.status is Status.FAILED]
    assert {r.candidate.net["a"]["i"] for r in failed} == {_first_i()}
    assert all("worker was lost" in r.reason and "exit code 9" in r.reason for r in failed)
    assert cascade.counts.failed == len(failed)
    expected = {r.candidate.id: r.metrics for r in run(Toy(), candidates=24, batch=24)[0]}
    assert all(r.metrics == expected[r.candidate.id] for r in found if r.status is Status.OK)


def test_a_candidate_that_hangs_fails_alone(processes):
    found, _ = run(Toy(hangs_at=_first_i()), processes, limit_s=0.5, candidates=24, batch=24)
    failed = [r for r in found if r.status is Status.FAILED]
    assert {r.candidate.net["a"]["i"] for r in failed} == {_first_i()}
    assert all(r.reason == "took longer than 0.5 s" for r in failed)


def _first_i() -> int:
    """The gene of the first candidate that a search of seed 0 asks for."""
    strategy = NSGA2(population=8)
    strategy.start(SPACE, GOALS)
    return strategy.ask(1, generator(0, "ask", 0))[0].net["a"]["i"]


def test_what_the_surroundings_do_ends_the_run(processes, tmp_path):
    """A log that cannot be written stands for a disk that is full: nothing of it is kept as a fault of candidates."""
    store = Memory()
    with pytest.raises(OSError, match="No such file"):
        run(Toy(log=tmp_path / "missing" / "log"), processes, store=store, candidates=8, batch=8)
    found, _ = run(Toy(), store=store, candidates=8, batch=8)
    assert all(r.status is Status.OK for r in found)


def test_two_drivers_share_the_work_and_end_with_the_same_records(tmp_path):
    """Two drivers with stores of their own on one file, as two terminals have; expensive candidates are leased."""
    log, records = tmp_path / "log", {}

    def drive(name: str) -> None:
        store = registry.create("store", "sqlite", {"path": tmp_path / "records.sqlite"})
        records[name], _ = run(Toy(seconds=0.06, log=log), store=store, candidates=12, batch=8)
        store.close()

    drivers = [threading.Thread(target=drive, args=(name,)) for name in "ab"]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert records["a"] == records["b"] == run(Toy(), candidates=12, batch=8)[0]
    evaluated = [line.split()[0] for line in log.read_text().splitlines()]
    assert len(evaluated) == len(set(evaluated)) == 12


def test_leases_of_the_dead_are_taken_over(monkeypatch):
    monkeypatch.setattr("archip.search.work._LEASE_S", 0.3)
    store = Memory()
    strategy = NSGA2(population=8)
    strategy.start(SPACE, GOALS)
    cascade = Cascade([Toy()], GOALS, store, [TASK])
    (candidate,) = strategy.ask(1, generator(0, "ask", 0))
    keys = []
    monkeypatch.setattr(store, "get", lambda wanted, get=store.get: keys.extend(wanted) or get(wanted))
    cascade.evaluate([candidate])
    fresh = Memory()
    assert fresh.claim(keys[:1], "a dead driver", 0.3) == keys[:1]
    (record,) = Cascade([Toy()], GOALS, fresh, [TASK]).evaluate([candidate])
    assert record.status is Status.OK
