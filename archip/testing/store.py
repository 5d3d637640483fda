"""What every store must keep (`core/protocols.py: Store`)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.errors import ArchipError, UserError
from archip.core.objectives import Goals, Limit, Objective
from archip.core.pareto import front
from archip.core.protocols import RunStore, Store
from archip.core.record import Outcome, Record, Status

__all__ = ["RunStoreContract", "StoreContract", "toy_records"]

_FULL = Outcome(
    {"latency_s": 1.0 / 3.0, "area_mm2": 1e-300, "quality": 0.1 + 0.2},
    seconds=1.25,
    details={"text": "µ 日本 '\"\\ \n", "nested": {"list": [1, 2.5, None, True]}},
)
_FAILED = Outcome({}, Status.FAILED, "out of memory in 'stem'", 0.5)
_BROKEN = Outcome({"area_mm2": 5.0}, Status.INFEASIBLE, "breaks area_mm2 <= 4 mm2")


class StoreContract:
    """Derive a test class and give it the fixture `make`: a function that makes a new, empty store."""

    @pytest.fixture
    def store(self, make: Callable[[], Store]):
        store = make()
        yield store
        store.close()

    def test_follows_the_protocol(self, store: Store):
        assert isinstance(store, Store)

    def test_knows_nothing_at_first(self, store: Store):
        assert store.get(["a", "b"]) == {}
        assert store.get([]) == {}

    @pytest.mark.parametrize("outcome", [_FULL, _FAILED, _BROKEN], ids=["ok", "failed", "infeasible"])
    def test_gives_back_what_was_put(self, store: Store, outcome: Outcome):
        store.put([("a", "cost", {"hw": {"pes": 64, "tiles": [1, 2]}}, outcome)])
        assert store.get(["b", "a", "a"]) == {"a": outcome}

    def test_never_changes_an_outcome(self, store: Store):
        store.put([("a", "cost", {}, _FULL), ("a", "cost", {}, _FAILED)])
        store.put([("a", "cost", {}, _BROKEN), ("b", "cost", {}, _FAILED)])
        assert store.get(["a", "b"]) == {"a": _FULL, "b": _FAILED}

    def test_batched_equals_one_by_one(self, store: Store, make: Callable[[], Store]):
        items = [(f"k{i}", "cost", {"net.t": i}, Outcome({"macs": float(i)}, seconds=i / 7)) for i in range(2500)]
        keys = [key for key, *_ in items]
        store.put(iter(items))
        other = make()
        for item in items[:50]:
            other.put([item])
        assert len(store.get(keys)) == 2500
        assert store.get(keys[:50]) == other.get(keys)
        other.close()

    def test_a_put_is_whole_or_not_at_all(self, store: Store):
        def items():
            yield ("a", "cost", {}, _FULL)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.put(items())
        store.put([])
        assert store.get(["a"]) == {}

    def test_keeps_json_only(self, store: Store):
        details = {"pair": (1, 2), "by size": {3: "x"}, "loss": [0.5, math.nan, math.inf]}
        store.put([("a", "train", {}, Outcome(details=details))])
        assert store.get(["a"])["a"].details == {"pair": [1, 2], "by size": {"3": "x"}, "loss": [0.5, None, None]}

    def test_keeps_any_text_as_reason(self, store: Store):
        store.put([("a", "train", {}, Outcome({}, Status.FAILED, "NUL \0 and half a character \ud800, µ 日本"))])
        assert store.get(["a"])["a"].reason == "NUL \ufffd and half a character ?, µ 日本"


GOALS = Goals((Objective("quality", +1), Objective("latency_s", -1)), (Limit("latency_s", 0.9),))
_PROBLEM = {"name": "toy", "strategy": {"nsga2": {"population": 8}}}


def toy_records(n: int, seed: int = 0, start: int = 0) -> list[Record]:
    """Records with ties, failures, broken limits and missing metrics; numbers and candidates from `start`."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(start, start + n):
        quality, latency_s = (float(x) for x in rng.integers(1, 40, 2) / 40)
        fate = rng.integers(0, 10)
        metrics = {"quality": quality, "latency_s": latency_s}
        status, reason = Status.OK, ""
        if fate == 0:
            metrics, status, reason = {}, Status.FAILED, "out of memory"
        elif latency_s > 0.9:
            metrics, status, reason = {"latency_s": latency_s}, Status.INFEASIBLE, "breaks latency_s <= 0.9 s"
        elif fate == 1:
            del metrics["latency_s"]
        records.append(Record(Candidate({"t": {"gene": [number, "µ"]}}), metrics, status, reason, 0.25, number))
    return records


class RunStoreContract:
    """The same for stores that keep runs (`core/protocols.py: RunStore`): also needs the fixture `make`."""

    @pytest.fixture
    def store(self, make: Callable[[], RunStore]):
        store = make()
        yield store
        store.close()

    @pytest.fixture
    def run(self, store: RunStore) -> RunStore:
        """The store with a run called a."""
        store.begin("a", _PROBLEM, GOALS, "key", "me")
        return store

    def test_follows_the_protocol(self, store: RunStore):
        assert isinstance(store, RunStore)

    def test_knows_no_runs_at_first(self, store: RunStore):
        assert store.runs() == []
        assert store.find("a") is None
        assert store.searches("a") == []
        assert store.records("a", "nsga2") == store.front("a", "nsga2") == []
        assert store.revision("a") == 0
        assert store.record("a", "0" * 16) is None

    def test_a_run_that_has_not_begun_takes_no_records(self, store: RunStore):
        with pytest.raises(ArchipError, match="not begun"):
            store.append("a", "nsga2", toy_records(1))

    def test_keeps_what_a_run_says_of_itself(self, run: RunStore):
        stored = run.find("a")
        assert stored is not None
        assert (stored.name, stored.key, stored.problem, stored.goals) == ("a", "key", _PROBLEM, GOALS)
        assert (stored.state, stored.owner, stored.summary) == ("running", "me", None)
        assert 0 <= stored.idle_s < 60
        run.end("a", "done", {"feasible": True, "pair": (1, 2)})
        ended = run.find("a")
        assert ended is not None
        assert (ended.state, ended.summary) == ("done", {"feasible": True, "pair": [1, 2]})
        assert ended.revision > stored.revision

    def test_gives_back_records_by_number(self, run: RunStore):
        records = toy_records(60)
        assert run.append("a", "nsga2", records[30:]) == 30
        assert run.append("a", "nsga2", records[:30]) == 30
        assert run.records("a", "nsga2") == records
        assert run.records("a", "nsga2", 10, 20) == records[10:20]
        assert run.records("a", "nsga2", 55) == records[55:]
        assert run.numbered("a", "nsga2", [40, 3, 3, 99]) == [records[3], records[40]]
        assert run.record("a", records[7].candidate.id) == records[7]
        assert run.records("a", "other") == []

    def test_writes_a_record_once(self, run: RunStore):
        records = toy_records(40)
        run.append("a", "nsga2", records)
        revision, counts, best = run.revision("a"), run.searches("a"), run.front("a", "nsga2")
        assert run.append("a", "nsga2", records[5:25]) == 0
        assert run.append("a", "nsga2", []) == 0
        assert (run.revision("a"), run.searches("a"), run.front("a", "nsga2")) == (revision, counts, best)
        assert run.append("a", "nsga2", [*records, *toy_records(5, start=40)]) == 5
        assert run.revision("a") > revision

    def test_loses_no_record_whose_number_is_taken(self, run: RunStore):
        first, second = toy_records(10), toy_records(10, start=100)
        run.append("a", "nsga2", first)
        clash = [Record(r.candidate, r.metrics, r.status, r.reason, r.seconds, i) for i, r in enumerate(second)]
        assert run.append("a", "nsga2", clash) == 10
        stored = run.records("a", "nsga2")
        assert [r.number for r in stored] == list(range(20))
        assert [r.candidate for r in stored] == [r.candidate for r in first + second]
        assert run.append("a", "nsga2", clash) == 0

    @pytest.mark.parametrize("seed", range(3))
    def test_keeps_the_exact_front_and_counts(self, run: RunStore, seed: int):
        records, rng = toy_records(400, seed), np.random.default_rng(seed)
        order = [int(i) for i in rng.permutation(400)]
        while order:
            n = int(rng.integers(1, 60))
            part, order = order[:n], order[n:]
            run.append("a", "nsga2", [records[i] for i in part])
            told = [r for r in records if r.number not in set(order)]
            assert run.front("a", "nsga2") == list(front(told, GOALS))
        (counts,) = run.searches("a")
        assert counts.n_records == 400
        assert counts.n_feasible == sum(map(GOALS.feasible, records))
        assert counts.n_failed == sum(r.status is Status.FAILED for r in records)

    def test_runs_and_searches_do_not_mix(self, run: RunStore):
        run.begin("b", _PROBLEM, GOALS, "key", "me")
        run.append("a", "baseline random_search", toy_records(7))
        run.append("a", "nsga2", toy_records(5))
        run.append("b", "nsga2", toy_records(3))
        assert [(s.name, s.n_records) for s in run.searches("a")] == [("nsga2", 5), ("baseline random_search", 7)]
        assert [r.name for r in run.runs()] == ["a", "b"]
        assert len(run.records("b", "nsga2")) == 3

    def test_the_same_problem_continues_and_another_begins_anew(self, run: RunStore):
        run.append("a", "nsga2", toy_records(8))
        run.end("a", "interrupted")
        run.put([("outcome", "cost", {}, _FULL)])
        run.begin("a", {**_PROBLEM, "budget": 9}, GOALS, "key", "other")
        stored = run.find("a")
        assert stored is not None
        assert (stored.state, stored.problem["budget"]) == ("running", 9)
        assert len(run.records("a", "nsga2")) == 8
        revision = run.revision("a")
        run.begin("a", _PROBLEM, GOALS, "other key", "other")
        assert run.records("a", "nsga2") == run.front("a", "nsga2") == run.searches("a") == []
        assert run.revision("a") > revision
        assert run.get(["outcome"]) == {"outcome": _FULL}
        run.append("a", "nsga2", toy_records(8))
        assert run.front("a", "nsga2") == list(front(toy_records(8), GOALS))

    def test_a_run_of_somebody_else_and_another_problem_is_refused(self, run: RunStore):
        run.append("a", "nsga2", toy_records(8))
        with pytest.raises(UserError, match="another problem"):
            run.begin("a", _PROBLEM, GOALS, "other key", "somebody")
        assert len(run.records("a", "nsga2")) == 8

    def test_a_lease_is_held_by_one(self, store: RunStore):
        assert store.claim(["x", "y", "x"], "one", 60) == ["x", "y"]
        assert store.claim(["y", "z"], "two", 60) == ["z"]
        assert store.claim(["x"], "one", 60) == ["x"]
        assert store.renew(["x", "z"], "two", 60) == ["z"]
        store.release(["x", "z"], "one")
        assert store.claim(["x", "z"], "three", 60) == ["x"]
        assert store.claim([], "one", 60) == []

    def test_a_lease_expires_whatever_the_clock_does(self, store: RunStore):
        store.clock = lambda: 1000.0  # type: ignore[attr-defined]
        assert store.claim(["x"], "one", 60) == ["x"]
        for now_s, got in [(1059.0, []), (1060.0, ["x"])]:
            store.clock = lambda now_s=now_s: now_s  # type: ignore[attr-defined]
            assert store.claim(["x"], "two", 60) == got
        store.clock = lambda: 10.0  # set back, by somebody  # type: ignore[attr-defined]
        assert store.claim(["x"], "three", 60) == ["x"]
        assert store.renew(["x"], "two", 60) == []
        store.clock = lambda: 5000.0  # set forward  # type: ignore[attr-defined]
        assert store.renew(["x"], "three", 60) == ["x"]
        assert store.claim(["x"], "two", 60) == []
