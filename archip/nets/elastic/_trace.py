"""A trace of a module that knows values: what one call with an example does, step by step and module by module.

`torch.fx` follows the forward pass; beside it every step is computed for the example. So shapes are known at once,
may be unpacked, looped over and compared; a decision on the values of a tensor ends the trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg
from torch.fx.proxy import TraceError

from archip.core.errors import UserError

__all__ = ["Call", "Trace", "shape_of", "target", "traced", "why_not"]


class _Inputs(nn.Module):
    """Hands over the example, so that the trace sees no argument that is left out."""

    def __init__(self, module: nn.Module, several: bool) -> None:
        super().__init__()
        self.module, self.several = module, several

    def forward(self, x: Any) -> Any:
        return self.module(*x) if self.several else self.module(x)


@dataclass
class Call:
    """One call of a module that the trace went into.

    Attributes:
        start, stop: of its steps among all.
        inner: calls within it, without theirs.
    """

    path: str
    arguments: inspect.BoundArguments | None
    start: int
    stop: int = 0
    result: Any = None
    inner: list[Call] = field(default_factory=list)


@dataclass
class Trace:
    """All steps in their order, and all calls, outer ones first.

    Attributes:
        modules: by name in the given module.
        numbers: names of modules whose steps turn a size into a number that the trace does not follow.
    """

    steps: list[fx.Node]
    calls: list[Call]
    modules: dict[str, Any]
    numbers: set[str]
    owner: dict[fx.Node, str]  # step → module whose forward pass has it


def traced(module: nn.Module, x: Any) -> Trace:
    """Follow ``module(x)``, or ``module(*x)`` if `x` is a tuple.

    Raises:
        UserError: what the module does depends on the values of its inputs, or its calls cannot be followed.
    """
    recorder = _Recorder(x)
    root = _Inputs(module, isinstance(x, tuple))
    try:
        with torch.no_grad():
            recorder.trace(root)
    except (TraceError, TypeError, RuntimeError, NotImplementedError, ValueError) as error:
        raise UserError(
            f"{type(module).__name__} cannot be traced: {error}", right="no control flow on values"
        ) from None
    for node in recorder.steps:
        value = node.meta.pop("value")
        node.meta["shape"] = tuple(value.shape) if isinstance(value, Tensor) else ()
        if isinstance(value, tuple | list) and value and all(isinstance(v, Tensor) for v in value):
            node.meta["shapes"] = [tuple(v.shape) for v in value]
    modules = {_local(name): m for name, m in root.named_modules() if name}
    return Trace(recorder.steps, recorder.calls, modules, recorder.numbers, recorder.owner)


def shape_of(node: fx.Node) -> tuple[int, ...]:
    return node.meta["shape"]


def target(node: fx.Node) -> str:
    """Name of a layer or tensor in the given module."""
    return _local(str(node.target))


def _local(name: str) -> str:
    return name.removeprefix("module").removeprefix(".")


class _Recorder(fx.Tracer):
    proxy_buffer_attributes = True

    def __init__(self, example: Any) -> None:
        super().__init__()
        self.example = example
        self.steps: list[fx.Node] = []
        self.calls: list[Call] = []
        self.numbers: set[str] = set()
        self.owner: dict[fx.Node, str] = {}
        self._within: list[Call] = []
        self._computes = False  # modules and attributes are real ones, not steps

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Known(node, self)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        return iter([obj[i] for i in range(len(obj.node.meta["value"]))])  # pyright: ignore[reportIndexIssue]

    def to_bool(self, obj: fx.Proxy) -> bool:
        value = obj.node.meta["value"]
        return super().to_bool(obj) if isinstance(value, Tensor) else bool(value)

    def number(self, proxy: fx.Proxy) -> Any:
        value = proxy.node.meta["value"]
        if isinstance(value, Tensor):
            raise TraceError(f"the value of {proxy.node.name} becomes a number")
        self.numbers.add(self._path())
        return value

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        return attr_val if self._computes else super().getattr(attr, attr_val, parameter_proxy_cache)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self._computes:
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        if self.is_leaf_module(m, path):
            return super().call_module(m, forward, args, kwargs)
        call = Call(_local(path), _bound(m, args, kwargs), len(self.steps))
        self.calls.append(call)
        if self._within:
            self._within[-1].inner.append(call)
        self._within.append(call)
        call.result = super().call_module(m, forward, args, kwargs)
        self._within.pop()
        call.stop = len(self.steps)
        return call.result

    def create_node(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
    ) -> fx.Node:
        node = super().create_node(kind, target, args, kwargs, name, type_expr)
        self._computes = True
        try:
            node.meta["value"] = self._value(node)
        finally:
            self._computes = False
        self.steps.append(node)
        self.owner[node] = self._path()
        return node

    def _path(self) -> str:
        return self._within[-1].path if self._within else ""

    def _value(self, node: fx.Node) -> Any:
        known = [map_arg(a, lambda n: n.meta["value"]) for a in (node.args, node.kwargs)]
        args: Any = known[0]
        kwargs: Any = known[1]
        found: Any = node.target
        if node.op == "call_function":
            return found(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], found)(*args[1:], **kwargs)
        if node.op == "call_module":
            return self.root.get_submodule(found)(*args, **kwargs)
        if node.op == "get_attr":
            parent, _, name = found.rpartition(".")
            return getattr(self.root.get_submodule(parent), name)
        return self.example if node.op == "placeholder" else None


class _Known(fx.Proxy):
    """A proxy that knows how long it is, its number if it is one, and what no input changes."""

    tracer: _Recorder

    def __getattr__(self, k: str) -> Any:
        if k == "shape":
            return self.tracer.create_proxy("call_function", getattr, (self, k), {})
        value = self.node.meta["value"]
        is_known = k in ("dtype", "ndim") and isinstance(value, Tensor)
        return getattr(value, k) if is_known else super().__getattr__(k)

    def __iter__(self) -> Iterator[Any]:
        return self.tracer.iter(self)

    def __len__(self) -> int:
        return len(self.node.meta["value"])

    def __index__(self) -> int:
        return int(self.tracer.number(self))

    __int__ = __index__

    def __float__(self) -> float:
        return float(self.tracer.number(self))


def _bound(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
    """The arguments by name; None if they do not fit, as the call will tell."""
    try:
        return inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError:
        return None


def why_not(layer: Any, n_owners: int) -> str:
    """Why a layer cannot be wrapped; empty if it can."""
    if any(getattr(layer, hooks) for hooks in ("_forward_hooks", "_forward_pre_hooks")):
        return "has hooks"
    if hasattr(layer, "parametrizations"):
        return "has parametrised weights"
    if n_owners > 1:
        return "shares a weight with another layer"
    is_other = getattr(layer, "padding_mode", "zeros") != "zeros" or isinstance(getattr(layer, "padding", 0), str)
    return "has padding other than by numbers of zeros" if is_other else ""
