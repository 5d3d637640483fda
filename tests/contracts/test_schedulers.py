import pytest

from archip.core import registry
from archip.hardware.schedule._schedule import policies
from archip.testing.scheduler import SchedulerContract


class TestSchedulers(SchedulerContract):
    @pytest.fixture(params=policies())
    def make(self, request):
        return lambda: registry.create("hardware/schedule", request.param)
