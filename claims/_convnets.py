"""Published convolutional networks as workloads, layer by layer."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from archip.ir.graph import GraphBuilder
from archip.ir.workload import Workload, workload

__all__ = [
    "Conv",
    "alexnet",
    "chain",
    "convolutions",
    "ds_cnn",
    "mobilenet_v1",
    "resnet8",
    "scaled",
    "vgg16",
    "with_zeros",
]


class Conv(NamedTuple):
    """One convolution; channels are those of all groups together."""

    name: str
    inputs: int
    outputs: int
    size: int  # rows and columns of the input
    kernel: int
    stride: int = 1
    groups: int = 1
    padding: int | None = None  # half the kernel where it is not given


def convolutions(rows: list[Conv], batch: int = 1, bits: int = 8) -> Workload:
    """One row a convolution, each with an input of its own."""
    graph = GraphBuilder()
    outputs = []
    for row in rows:
        image = graph.input(f"{row.name}.input", (batch, row.inputs, row.size, row.size), "NCHW")
        padding = row.kernel // 2 if row.padding is None else row.padding
        node = graph.add("conv", image, name=row.name, out_channels=row.outputs, kernel=(row.kernel, row.kernel),
                         stride=row.stride, padding=padding, groups=row.groups, bias=False)  # fmt: skip
        outputs.append(node)
    return workload(graph.finish(*outputs), weight_bits=bits, activation_bits=bits)


def alexnet() -> list[Conv]:
    """Convolutions of AlexNet as in Krizhevsky et al. 2012, with its groups."""
    return [
        Conv("conv1", 3, 96, 227, 11, stride=4, padding=0),
        Conv("conv2", 96, 256, 27, 5, groups=2),
        Conv("conv3", 256, 384, 13, 3),
        Conv("conv4", 384, 384, 13, 3, groups=2),
        Conv("conv5", 384, 256, 13, 3, groups=2),
    ]


def vgg16() -> list[Conv]:
    """Convolutions of VGG-16, Simonyan and Zisserman 2014, configuration D."""
    rows, channels = [], 3
    stages = ((64, 224, 2), (128, 112, 2), (256, 56, 3), (512, 28, 3), (512, 14, 3))
    for stage, (width, size, depth) in enumerate(stages, 1):
        for i in range(1, depth + 1):
            rows.append(Conv(f"conv{stage}-{i}", channels, width, size, 3))
            channels = width
    return rows


def mobilenet_v1() -> list[Conv]:
    """Convolutions of MobileNetV1, Howard et al. 2017, table 1."""
    rows, channels, size = [Conv("stem", 3, 32, 224, 3, stride=2)], 32, 112
    widths = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for i, (width, stride) in enumerate(widths, 1):
        rows.append(Conv(f"dw{i}", channels, channels, size, 3, stride=stride, groups=channels))
        size //= stride
        rows.append(Conv(f"pw{i}", channels, width, size, 1))
        channels = width
    return rows


def chain(rows: list[Conv], batch: int = 1) -> Workload:
    """The convolutions one after the other, as far as training cares: all but the first have a predecessor."""
    work = convolutions(rows, batch)
    return replace(work, predecessors=((), *((i,) for i in range(len(rows) - 1))))


def with_zeros(work: Workload, zeros: list[float]) -> Workload:
    """The same layers with these shares of zeros in their inputs; a layer's outputs have those of the next input."""
    inputs = 1 - np.array(zeros)
    outputs = np.append(inputs[1:], inputs[-1])
    return replace(work, density_LO=np.stack([np.ones(len(work)), inputs, outputs], 1))


def scaled(rows: list[Conv], width: float, size: float) -> list[Conv]:
    """The same network with `width` times the channels (multiples of 8; images keep 3) at `size` times the rows."""

    def channels(n: int) -> int:
        return n if n == 3 else max(8, round(n * width / 8) * 8)

    return [
        row._replace(
            inputs=channels(row.inputs),
            outputs=channels(row.outputs),
            size=max(row.kernel, round(row.size * size)),
            groups=channels(row.inputs) if row.groups == row.inputs else row.groups,
        )
        for row in rows
    ]


def resnet8(batch: int = 1) -> Workload:
    """ResNet-8 of MLPerf Tiny: 32 x 32 images, stages of 16, 32 and 64 channels, ten classes."""
    graph = GraphBuilder()

    def conv(x: str, name: str, channels: int, kernel: int, stride: int = 1) -> str:
        return graph.add("conv", x, name=name, out_channels=channels, kernel=(kernel, kernel), stride=stride,
                         padding=kernel // 2)  # fmt: skip

    x = graph.input("image", (batch, 3, 32, 32), "NCHW")
    x = graph.add("relu", conv(x, "stem", 16, 3), name="stem.relu")
    for i, (channels, stride) in enumerate(((16, 1), (32, 2), (64, 2)), 1):
        y = graph.add("relu", conv(x, f"{i}.a", channels, 3, stride), name=f"{i}.a.relu")
        y = conv(y, f"{i}.b", channels, 3)
        short = conv(x, f"{i}.short", channels, 1, stride) if stride > 1 else x
        x = graph.add("relu", graph.add("add", y, short, name=f"{i}.add"), name=f"{i}.relu")
    return workload(graph.finish(_classifier(graph, x, 10)))


def ds_cnn() -> Workload:
    """DS-CNN of MLPerf Tiny: 49 x 10 spectrogram, four separable convolutions of 64 channels, twelve words."""
    graph = GraphBuilder()
    x = graph.input("sound", (1, 1, 49, 10), "NCHW")
    x = graph.add("conv", x, name="stem", out_channels=64, kernel=(10, 4), stride=2, padding=(5, 1))
    for i in range(1, 5):
        x = graph.add("relu", x, name=f"{i}.relu")
        x = graph.add("conv", x, name=f"{i}.depthwise", out_channels=64, kernel=(3, 3), padding=1, groups=64)
        x = graph.add("conv", x, name=f"{i}.pointwise", out_channels=64, kernel=(1, 1))
    return workload(graph.finish(_classifier(graph, x, 12)))


def _classifier(graph: GraphBuilder, x: str, n_classes: int) -> str:
    pooled = graph.add("global_avg_pool", x, name="pool")
    return graph.add("linear", pooled, name="classes", out_features=n_classes)
