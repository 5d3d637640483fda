"""Contracts that every implementation of an interface has to keep, as test classes for pytest.

A package that adds a method derives a test class from its contract and gives it a fixture that makes the object::

    class TestMine(StrategyContract):
        @pytest.fixture
        def make(self):
            return lambda: MyStrategy(population=8)

To see which assertion failed, put ``pytest.register_assert_rewrite("archip.testing")`` into ``conftest.py``.
"""

from archip.testing.evaluator import EvaluatorContract
from archip.testing.executor import ExecutorContract, PooledContract
from archip.testing.mapper import MapperContract
from archip.testing.scheduler import SchedulerContract
from archip.testing.space import NetworkSpaceContract, SpaceContract
from archip.testing.store import StoreContract
from archip.testing.strategy import StrategyContract

__all__ = [
    "EvaluatorContract",
    "ExecutorContract",
    "MapperContract",
    "NetworkSpaceContract",
    "PooledContract",
    "SchedulerContract",
    "SpaceContract",
    "StoreContract",
    "StrategyContract",
]
