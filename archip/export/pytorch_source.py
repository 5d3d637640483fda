"""PyTorch source: the network as one readable .py file that imports only torch.

The file has the network as a class with named layers, the normalisation of its inputs, a reader of its safetensors
weights, and ``load(path)``, which gives the trained network in evaluation mode.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from archip.core.errors import UserError
from archip.export._network import Network, NetworkExporter
from archip.ir.graph import Graph
from archip.nets.torch_form import Call, Layer, Weight, attribute_names, registers, torch_form

__all__ = ["PytorchSource"]

_INFIX = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.matmul: "@",
}

_FILE = '''"""{name}: a network for {task}, found and trained by archip. This file needs torch and nothing else.

Input: {inputs}. Output: {outputs}, logits.
{metrics}
    network = load("{name}.safetensors")
    logits = network(normalise(raw))

Graph {graph}.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = {classes}
MEAN = {mean}
STD = {std}


class {cls}(nn.Module):
    """{cls}: {inputs} to {outputs}."""

    def __init__(self) -> None:
        super().__init__()
{layers}

    def forward({arguments}) -> {result}:
{steps}
        return {returned}


def normalise(raw: Tensor) -> Tensor:
    """Raw inputs {axes} as the network expects them: (raw - MEAN) / STD in every channel."""
{normalise}


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: the length of the header, the header as JSON, then the data."""
    dtypes = {{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
              "I64": torch.int64}}
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    header.pop("__metadata__", None)
    tensors = {{}}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(data[begin:end], dtype=dtypes[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def load(path: str | Path) -> {cls}:
    """The trained network, ready to use."""
    network = {cls}()
    network.load_state_dict(read_safetensors(path))
    return network.eval()
'''


@dataclass
class PytorchSource(NetworkExporter):
    """Writes ``<name>.py``."""

    suffix = ".py"

    def encode(self, network: Network) -> bytes:
        if not network.name.isidentifier():
            raise UserError(f"{network.name!r} cannot name a Python file", right="letters, digits and _")
        graph = network.graph
        layers, steps, returned = _body(graph)
        arguments = [f"{_variable(i)}: Tensor" for i in range(len(graph.inputs))]
        text = _FILE.format(
            name=network.name,
            task=network.task,
            metrics="".join(f"Measured: {name} {value:.6g}.\n" for name, value in sorted(network.metrics.items())),
            graph=graph.id,
            inputs=", ".join(_size(value.shape) for value in graph.inputs),
            outputs=", ".join(_size(graph.shapes[value]) for value in graph.outputs),
            axes=f"({', '.join(graph.inputs[0].axes)})",
            classes=tuple(network.classes),
            mean=tuple(network.mean),
            std=tuple(network.std),
            cls="".join(part[:1].upper() + part[1:] for part in network.name.split("_")) + "Net",
            layers="\n".join(f"        {line}" for line in layers) or "        pass",
            arguments=", ".join(["self", *arguments]),
            result="Tensor" if len(graph.outputs) == 1 else "tuple[Tensor, ...]",
            steps="\n".join(f"        {line}" for line in steps),
            returned=returned,
            normalise="\n".join(f"    {line}" for line in _normalise(network)),
        )
        return text.encode()


def _size(shape: Sequence[int]) -> str:
    return f"({', '.join(['N', *map(str, shape[1:])])})"


def _variable(register: int) -> str:
    return f"x{register}" if register else "x"


def _normalise(network: Network) -> list[str]:
    if not network.mean:
        return ["return raw"]
    size = (1, -1, *(1 for _ in network.graph.inputs[0].shape[2:]))
    return [
        f"mean, std = (torch.tensor(values, device=raw.device).reshape({size}) for values in (MEAN, STD))",
        "return (raw - mean) / std",
    ]


def _body(graph: Graph) -> tuple[list[str], list[str], str]:
    """Lines that make the layers, lines that use them, and what is returned."""
    names = attribute_names(graph)
    steps, outputs = registers(graph)
    made, used = [], []
    for node, reads, write in steps:
        form, given = torch_form(graph, node), [_variable(i) for i in reads]
        if isinstance(form, Layer) and form.cls is Weight:
            made.append(f'self.{names[node.name]} = nn.ParameterDict({{"weight": torch.empty({form.args})}})')
            line = f'{_variable(write)} = self.{names[node.name]}["weight"]'
        elif isinstance(form, Layer):
            options = [*map(repr, form.args), *(f"{k}={v!r}" for k, v in form.options.items())]
            made.append(f"self.{names[node.name]} = nn.{form.cls.__name__}({', '.join(options)})")
            line = (
                f"{_variable(write)} = self.{names[node.name]}({', '.join(given)}){'[0]' if form.gives_states else ''}"
            )
        else:
            line = f"{_variable(write)} = {_call(form, given)}"
        shape = graph.shapes[node.name]
        is_new = node.inputs and shape != graph.shapes[node.inputs[0]]
        used.append(f"{line}  # {_size(shape)}" if is_new else line)
    return made, used, ", ".join(_variable(i) for i in outputs)


def _call(form: Call, given: list[str]) -> str:
    if form.function in _INFIX:
        return f" {_INFIX[form.function]} ".join(given)
    if form.function is operator.getitem:
        return f"{given[0]}[{', '.join(map(_slice, form.args[0]))}]"
    inputs = [f"[{', '.join(given)}]"] if form.joined else given
    return f"{_name(form.function)}({', '.join([*inputs, *(f'{k}={v!r}' for k, v in form.options.items())])})"


def _slice(part: slice) -> str:
    start, stop = ("" if v is None else v for v in (part.start, part.stop))
    return f"{start}:{stop}" if part.step is None else f"{start}:{stop}:{part.step}"


def _name(function: Any) -> str:
    """How the file calls a function of torch."""
    for prefix, module in (("F", F), ("torch", torch)):
        if getattr(module, function.__name__, None) is function:
            return f"{prefix}.{function.__name__}"
    raise AssertionError(f"{function} is not one of torch's")
