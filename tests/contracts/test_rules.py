"""Every training rule for shared weights keeps its contract."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
from archip.core import registry
from archip.testing.rule import RuleContract


@pytest.fixture(params=registry.names("train/rules"))
def rule_name(request):
    return request.param


class TestRules(RuleContract):
    pass
