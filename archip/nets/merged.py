"""Merged: several networks of the same input run together, and what they have in common is computed once.

Sub-networks of a supernet often begin with the same layers and the same weights; those that an evolution keeps do so
more than others. Whatever follows from the same values by the same layers is computed for the first of them and used
by all. Results are those of the networks alone, bit for bit.
Source: ours; elimination of common subexpressions, over networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archip.nets.build import GraphModule
from archip.nets.torch_form import Weight

__all__ = ["Merged"]


@dataclass
class _Step:
    """One operator: values have numbers, those of the inputs come first."""

    compute: Callable[..., Any]
    reads: tuple[int, ...]
    writes: int
    dead: tuple[int, ...] = ()  # values that nobody reads behind this step


class Merged(nn.Module):
    """Runs `modules` in one pass and gives their outputs, in order.

    Layers with equal weights and equal inputs become one layer of all modules that have them: statistics that are
    measured here (`train.calibration.recalibrate`) are those of each module. A layer that is not torch's own, such as
    one that was put in the place of another, or one with hooks, stays as it is.

    Attributes:
        n_steps, n_alone: operators that a pass computes, and those of all modules one by one.
    """

    def __init__(self, modules: Sequence[GraphModule]) -> None:
        """The modules need equal inputs; they are used as they are, not copied."""
        super().__init__()
        self.networks = nn.ModuleList(modules)
        self._n_inputs = len(modules[0].graph.inputs)
        if any(module.graph.inputs != modules[0].graph.inputs for module in modules):
            raise ValueError("networks of different inputs cannot be merged")
        numbers: dict[Any, int] = {}  # what a value follows from → its number
        values = [self._numbered(module, numbers) for module in modules]
        self._outputs = [tuple(v[name] for name in m.graph.outputs) for m, v in zip(modules, values, strict=True)]
        self._steps: list[_Step] = []
        owners: dict[int, nn.Module] = {}
        # Neighbours in this order have the longest beginnings in common, so few values have to be kept.
        for i in sorted(range(len(modules)), key=lambda i: list(values[i].values())):
            self._add(modules[i], values[i], owners)
        self._free()
        self.n_steps, self.n_alone = len(self._steps), sum(len(module.graph.nodes) for module in modules)

    def forward(self, *inputs: Tensor) -> list[Any]:
        values: dict[int, Any] = dict(enumerate(inputs))
        for step in self._steps:
            found = step.compute(*[values[i] for i in step.reads])
            values[step.writes] = found[0] if isinstance(found, tuple) else found  # recurrent layers have states, too
            for i in step.dead:
                del values[i]
        outputs = [tuple(values[i] for i in numbers) for numbers in self._outputs]
        return [some if len(some) != 1 else some[0] for some in outputs]

    def _numbered(self, module: GraphModule, numbers: dict[Any, int]) -> dict[str, int]:
        """Every value of a module with its number, which it shares with equal values of other modules."""
        found = {value.name: i for i, value in enumerate(module.graph.inputs)}
        for node, (step, _, _) in zip(module.graph.nodes, module._steps, strict=True):
            layer = module.get_submodule(step) if isinstance(step, str) else None
            what = (node.op, node.attributes, _identity(layer), tuple(found[name] for name in node.inputs))
            found[node.name] = numbers.setdefault(what, self._n_inputs + len(numbers))
        return found

    def _add(self, module: GraphModule, values: dict[str, int], owners: dict[int, Any]) -> None:
        """Steps for what no module before has computed; layers of the others in the place of its own."""
        for node, (step, _, _) in zip(module.graph.nodes, module._steps, strict=True):
            number = values[node.name]
            if number in owners:
                if isinstance(step, str):
                    setattr(module, step, owners[number])
                continue
            owners[number] = module.get_submodule(step) if isinstance(step, str) else step
            self._steps.append(_Step(owners[number], tuple(values[name] for name in node.inputs), number))

    def _free(self) -> None:
        """Note after which step a value is not needed any more."""
        kept = {number for numbers in self._outputs for number in numbers}
        for step in reversed(self._steps):
            step.dead = tuple({*step.reads, step.writes} - kept)
            kept.update(step.dead)


def _identity(layer: nn.Module | None) -> Any:
    """Equal for layers that compute the same from the same input."""
    if layer is None:
        return None
    is_known = type(layer).__module__.startswith("torch.nn.modules.") or type(layer) is Weight
    if not is_known or layer._forward_hooks or layer._forward_pre_hooks:
        return id(layer)
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in layer.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return type(layer), layer.extra_repr(), digest.digest()
