import itertools

import pytest

from archip.core import registry
from archip.testing.store import RunStoreContract, StoreContract

MARKS = {"postgresql": [pytest.mark.postgres]}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, [])) for name in registry.names("store")])
def make(request, tmp_path):
    number = itertools.count()

    def options():
        if request.param == "sqlite":
            return {"path": tmp_path / f"{next(number)}.sqlite"}
        return {"url": request.getfixturevalue("postgres_url")()} if request.param == "postgresql" else {}

    return lambda: registry.create("store", request.param, options())


class TestStores(StoreContract):
    pass


class TestRunStores(RunStoreContract):
    pass
