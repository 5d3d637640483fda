"""Kinds of genes, as networks that share weights tell them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
from archip.nets.supernet import SuperNet
from archip.spaces.conv1d import Conv1d
from archip.spaces.resnet9 import ResNet9
from archip.testing.elastic import elastic_net


def test_of_spaces():
    net = SuperNet(ResNet9(stem=(4, 8), filters=(4, 8), blocks=1), (1, 8, 8), 2, 0)
    assert net.kinds == {"fn0": "width", "fn1": "width", "sk1": "depth"}
    net = SuperNet(Conv1d(depths=(1, 2), widths=(4, 8), kernels=(3, 5)), (1, 16), 2, 0)
    kinds = {gene: net.kinds[gene] for gene in ("depth", "width1", "kernel1", "width2", "kernel2")}
    assert kinds == {"depth": "depth", "width1": "width", "kernel1": "kernel", "width2": "width", "kernel2": "kernel"}


def test_of_elastic_layers():
    kinds = {"side": "resolution", "width": "width", "depth": "depth", "kernel": "kernel"}
    assert elastic_net().kinds == kinds
