from pathlib import Path

import pytest

from archip.core import registry
from archip.testing.space import NetworkSpaceContract, SpaceContract
from archip.testing.toy import ToyKnobs

SMALL_CHIP = {"pes": {"total": 256, "step": 32}, "bandwidth": {"total": "16 GB/s", "step": "4 GB/s"}}
TOY_OPTIONS = {
    "chip": SMALL_CHIP,
    "compression": {"layers": ["stem", "head"], "weight_bits": [2, 4, 8], "activation_bits": [4, 8]},
    "nb101": {"channels": 8, "stacks": 2, "cells": 1},
    "transnas_macro": {"channels": 8},
    "tabular": {"table": str(Path(__file__).parent.parent / "data" / "tables" / "grid.yaml")},
    "product": {"parts": {"net.a": ToyKnobs(2), "net.b": ToyKnobs(3), "hw": ToyKnobs(1)}},
}
INPUT_SHAPES = {"NCHW": (3, 32, 32), "NCL": (6, 64), "NT": (12,)}


def is_network(name):
    return hasattr(registry.find("spaces", name), "graph")


def makers(names):
    return [pytest.param(lambda n=n: registry.create("spaces", n, TOY_OPTIONS.get(n)), id=n) for n in names]


NETWORKS = [name for name in registry.names("spaces") if is_network(name)]
OTHERS = [name for name in registry.names("spaces") if not is_network(name)]


class TestSpaces(SpaceContract):
    @pytest.fixture(params=makers(OTHERS))
    def make(self, request):
        return request.param


class TestNetworkSpaces(NetworkSpaceContract):
    @pytest.fixture(params=makers(NETWORKS))
    def make(self, request):
        return request.param

    @pytest.fixture
    def input_shape(self, space):
        return INPUT_SHAPES[space.axes]


class TestToyKnobs(SpaceContract):
    @pytest.fixture
    def make(self):
        return ToyKnobs
