import itertools

import pytest

from archip.core import registry
from archip.testing.store import StoreContract


@pytest.fixture(params=registry.names("store"))
def make(request, tmp_path):
    number = itertools.count()
    options = {"sqlite": lambda: {"path": tmp_path / f"{next(number)}.sqlite"}}
    return lambda: registry.create("store", request.param, options.get(request.param, dict)())


class TestStores(StoreContract):
    pass
