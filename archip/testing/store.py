"""What every store must keep (`core/protocols.py: Store`)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from archip.core.protocols import Store
from archip.core.record import Outcome, Status

__all__ = ["StoreContract"]

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
