"""Every quantiser keeps its contract."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
from archip.core import registry
from archip.testing.quantizer import QuantizerContract


@pytest.fixture(params=registry.names("compress/quantize"))
def quantizer_name(request):
    return request.param


class TestQuantizers(QuantizerContract):
    pass
