import pytest

from archip.core import registry
from archip.testing.mapper import MapperContract


def makers(names):
    return [pytest.param(lambda n=n, **options: registry.create("mappers", n, options), id=n) for n in names]


class TestMappers(MapperContract):
    @pytest.fixture(params=makers(registry.names("mappers")))
    def make(self, request):
        return request.param
