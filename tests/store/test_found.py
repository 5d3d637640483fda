"""Found records are those that a scan in Python finds, in the same order, in every store."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Objective
from archip.core.protocols import Wanted
from archip.core.record import Record, Status
from archip.store.memory import Memory
from archip.store.sqlite import SQLite

N = 200


def records() -> list[Record]:
    rng = random.Random(0)
    made = []
    for i in range(N):
        metrics = {"params": float(rng.randrange(20)), "digits.accuracy": rng.random()}
        if rng.random() < 0.3:
            del metrics["digits.accuracy"]
        status = rng.choice(list(Status))
        made.append(Record(Candidate(net={"digits": {"g": i}}), metrics, status, "", rng.random(), i))
    return made


@pytest.fixture(params=["sqlite", "memory"])
def store(request, tmp_path):
    opened = SQLite(tmp_path / "records.sqlite") if request.param == "sqlite" else Memory()
    opened.begin("run", {}, Goals((Objective.of("params"),)), "key")
    opened.append("run", "a", records())
    opened.append("run", "b", [replace(records()[0], number=0)])
    yield opened
    opened.close()


def value(record: Record, key: str):
    return {"number": record.number, "seconds": record.seconds}.get(key, record.metrics.get(key))


@pytest.mark.parametrize("status", ["", "failed"])
@pytest.mark.parametrize(
    ("metric", "low", "high"), [("", None, None), ("digits.accuracy", 0.2, None), ("params", 3, 9)]
)
@pytest.mark.parametrize("sort", ["number", "seconds", "params", "digits.accuracy"])
@pytest.mark.parametrize("is_descending", [False, True])
def test_found_is_what_a_scan_finds(store, status, metric, low, high, sort, is_descending):
    wanted = Wanted(status, metric, low, high, sort, is_descending)
    left = [r for r in records() if not status or r.status == status]
    if metric:
        left = [r for r in left if metric in r.metrics and (low or 0) <= r.metrics[metric] <= (high or 99)]
    with_value = [r for r in left if value(r, sort) is not None]
    expected = sorted(with_value, key=lambda r: value(r, sort), reverse=is_descending)
    expected_values = [value(r, sort) for r in expected] + [None] * (len(left) - len(expected))

    total, page = store.found("run", "a", wanted, 10, 25)
    assert total == len(left)
    assert [value(r, sort) for r in page] == expected_values[10:35]
    _, everything = store.found("run", "a", wanted, 0, N)
    assert {r.number for r in everything} == {r.number for r in left}


def test_a_metric_name_is_never_sql(store):
    hostile = "params') OR 1=1 --"
    assert store.found("run", "a", Wanted(metric=hostile), 0, 5) == (0, [])
