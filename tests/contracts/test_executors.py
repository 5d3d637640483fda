import pytest

from archip.core import registry
from archip.testing.executor import ExecutorContract, PooledContract


@pytest.fixture(scope="module")
def processes():
    executor = registry.create("distribute", "processes", {"n": 2})
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def on_ray(ray_cluster):
    executor = registry.create("distribute", "ray", {"address": ray_cluster.address})
    yield executor
    executor.close()


def test_every_executor_is_under_contract():
    assert registry.names("distribute") == ["processes", "ray", "serial"]


class TestSerial(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return registry.create("distribute", "serial")


class TestProcesses(PooledContract):
    @pytest.fixture
    def executor(self, processes):
        return processes


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
class TestRay(PooledContract):
    @pytest.fixture
    def executor(self, on_ray):
        return on_ray
