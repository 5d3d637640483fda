"""PyTorch source: the network as one readable .py file that imports only torch.

The file has the network as a class with named layers, a reader of its safetensors weights in a dozen lines, and
``load(path)``, which gives the trained network in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archip.core.errors import CandidateError
from archip.core.files import write_text
from archip.export._network import Network
from archip.ir.graph import Node
from archip.ir.ops import attributes, weights

__all__ = ["PytorchSource"]

_FILE = '''"""{name}: {task}, found and trained by archip. Needs torch and nothing else.

Input: {shape}, channels scaled as (raw - MEAN) / STD. Output: {outputs}.

    network = load("{name}.safetensors")
    logits = network(x)
"""

import json
import struct

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = {classes}
MEAN = {mean}
STD = {std}


class {cls}(nn.Module):
    def __init__(self) -> None:
        super().__init__()
{layers}

    def forward(self, {given}: Tensor) -> Tensor:
{steps}
        return {result}


def read_safetensors(path: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file: eight bytes of header length, a JSON header, then the data."""
    dtypes = {{"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}}
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    tensors = {{}}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            flat = torch.frombuffer(data[begin:end], dtype=dtypes[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def load(path: str) -> {cls}:
    """The trained network, ready to use."""
    network = {cls}()
    network.load_state_dict(read_safetensors(path))
    return network.eval()
'''


@dataclass
class PytorchSource:
    """Writes ``<name>.py``."""

    def write(self, network: Network, folder: Path) -> Path:
        path = folder / f"{network.name}.py"
        write_text(path, source(network))
        return path


def source(network: Network) -> str:
    """The text of the file.

    Raises:
        CandidateError: an operator that the writer lacks; names the node.
    """
    graph = network.graph
    layers, steps = [], []
    names = {i.name: _variable(i.name) for i in graph.inputs}
    for node in graph.nodes:
        shapes = [graph.shapes[i] for i in node.inputs]
        read = [names[i] for i in node.inputs]
        names[node.name] = _variable(node.name)
        if weights(node, shapes) or node.op in _LAYERS:
            layers.append(f"        self.{_variable(node.name)} = {_layer(node, shapes)}")
            steps.append(f"        {names[node.name]} = self.{_variable(node.name)}({', '.join(read)})")
        else:
            steps.append(f"        {names[node.name]} = {_expression(node, read)}")
    given = graph.inputs[0]
    return _FILE.format(
        name=network.name,
        task=network.task,
        shape=f"({', '.join(['batch', *map(str, given.shape[1:])])}) as {given.axes}",
        outputs=f"({', '.join(['batch', *map(str, graph.shapes[graph.outputs[0]][1:])])}) logits",
        classes=tuple(network.classes),
        mean=tuple(network.mean),
        std=tuple(network.std),
        cls="".join(part.capitalize() for part in network.name.split("_")) or "Network",
        layers="\n".join(layers),
        given=names[given.name],
        steps="\n".join(steps),
        result=names[graph.outputs[0]],
    )


def _variable(value: str) -> str:
    return value.replace(".", "_")


def _layer(node: Node, shapes: list[tuple[int, ...]]) -> str:
    if node.op not in _LAYERS:
        raise CandidateError(f"node {node.name!r}: {node.op} cannot be written as PyTorch source")
    return "nn." + _LAYERS[node.op](attributes(node), shapes[0])


def _expression(node: Node, read: list[str]) -> str:
    if node.op not in _CALLS:
        raise CandidateError(f"node {node.name!r}: {node.op} cannot be written as PyTorch source")
    return _CALLS[node.op](attributes(node), *read)


def _conv(name: str) -> Callable[[Mapping[str, Any], tuple[int, ...]], str]:
    def text(a: Mapping[str, Any], shape: tuple[int, ...]) -> str:
        keys = [k for k in ("stride", "padding", "output_padding", "dilation", "groups") if a.get(k, 0) not in (0, 1)]
        options = [f"{k}={a[k]!r}" for k in keys] + ([] if a["bias"] else ["bias=False"])
        return f"{name}{len(a['kernel'])}d({', '.join(map(str, [shape[1], a['out_channels'], a['kernel'], *options]))})"

    return text


_LAYERS: dict[str, Callable[[Mapping[str, Any], tuple[int, ...]], str]] = {
    "conv": _conv("Conv"),
    "conv_transpose": _conv("ConvTranspose"),
    "linear": lambda a, s: f"Linear({s[-1]}, {a['out_features']}{'' if a['bias'] else ', bias=False'})",
    "embedding": lambda a, s: f"Embedding({a['n']}, {a['dim']})",
    "batch_norm": lambda a, s: f"BatchNorm{max(len(s) - 2, 1)}d({s[1]}, eps={a['eps']})",
    "layer_norm": lambda a, s: f"LayerNorm({s[-a['n_axes'] :]}, eps={a['eps']})",
    "dropout": lambda a, s: f"Dropout({a['p']})",
}


def _rank_name(kind: str) -> Callable[[Mapping[str, Any], str], str]:
    return lambda a, x: f"F.{kind}_pool{len(a['kernel'])}d({x}, {a['kernel']}, {a['stride']}, {a['padding']})"


def _reshape(a: Mapping[str, Any], x: str) -> str:
    first, *rest = a["shape"]
    return f"{x}.reshape({', '.join([f'{x}.shape[0]' if first == 1 else str(first), *map(str, rest)])})"


_CALLS: dict[str, Callable[..., str]] = {
    **{
        name: (lambda a, x, name=name: f"F.{name}({x})")
        for name in ("relu", "relu6", "gelu", "silu", "hardswish", "hardsigmoid")
    },
    "sigmoid": lambda a, x: f"torch.sigmoid({x})",
    "tanh": lambda a, x: f"torch.tanh({x})",
    "softmax": lambda a, x: f"F.softmax({x}, {a['axis']})",
    "add": lambda a, x, y: f"{x} + {y}",
    "sub": lambda a, x, y: f"{x} - {y}",
    "mul": lambda a, x, y: f"{x} * {y}",
    "div": lambda a, x, y: f"{x} / {y}",
    "matmul": lambda a, x, y: f"{x} @ {y}",
    "concat": lambda a, *x: f"torch.cat(({', '.join(x)},), {a['axis']})",
    "max_pool": _rank_name("max"),
    "avg_pool": _rank_name("avg"),
    "global_avg_pool": lambda a, x: f"{x}.flatten(2).mean(2)",
    "mean": lambda a, x: f"{x}.mean({a['axes']}, {a['keepdims']})",
    "upsample": lambda a, x: f"F.interpolate({x}, scale_factor={[float(f) for f in a['scale']]}, mode={a['mode']!r})",
    "pad": lambda a, x: f"F.pad({x}, {[size for pair in reversed(a['pads']) for size in pair]})",
    "flatten": lambda a, x: f"{x}.flatten(1)",
    "reshape": _reshape,
    "transpose": lambda a, x: f"{x}.permute({a['perm']})",
    "slice": lambda a, x: f"{x}[{':, ' * a['axis']}{a['start']}:{a['stop']}:{a['step']}]",
    "identity": lambda a, x: x,
}
