"""Forward passes with open sizes: a reshape that writes a width as a number is written again with what is left over.

Only the module whose own code has the reshape is replaced, by a `torch.fx.GraphModule` that calls the same layers; the
modules inside and around it stay what they are.
"""

from __future__ import annotations

import operator
from functools import reduce
from inspect import Parameter
from typing import Any

from torch import fx, nn
from torch.fx.node import map_aggregate
from torch.nn import functional as F

from archip.nets.elastic._groups import fix, resolved
from archip.nets.elastic._rules import Open, axis_of
from archip.nets.elastic._trace import Call, Trace, target
from archip.nets.elastic.coupling import Coupling

__all__ = ["replace", "rewritten"]


class _Cannot(Exception):
    """A forward pass cannot be written again; the message says why."""


def rewritten(module: nn.Module, trace: Trace, found: Coupling) -> nn.Module:
    """`module` with open sizes wherever a width of `found` can shrink; what cannot be rewritten is fixed in `found`."""
    owners: dict[str, list[fx.Node]] = {}
    for node in found.open:
        owners.setdefault(trace.owner[node], []).append(node)
    graphs: dict[str, fx.Graph] = {}
    dropouts: dict[str, dict[str, float]] = {}
    for path, nodes in owners.items():
        try:
            copy = _Copy(trace, path, {node: found.open[node] for node in nodes})
            graphs[path], dropouts[path] = copy.graph, copy.dropouts
        except _Cannot as reason:
            for node in nodes:
                fix(found.open[node].spans, f"{path or 'the module'} writes it as a number in {node.name}: {reason}")
    for path in sorted(graphs, key=lambda p: p.count(".") + bool(p), reverse=True):  # inner ones first
        if any(not group.fixed for node in owners[path] for group, _ in resolved(found.open[node].spans)):
            owner = module.get_submodule(path)
            for name, p in dropouts[path].items():
                owner.add_module(name, nn.Dropout(p).train(owner.training))
            module = replace(module, path, fx.GraphModule(owner, graphs[path], type(owner).__name__))
    return module


def replace(module: nn.Module, path: str, new: nn.Module) -> nn.Module:
    """`module` with `new` at `path`."""
    if not path:
        return new
    parent, _, name = path.rpartition(".")
    module.get_submodule(parent)._modules[name] = new
    return module


class _Copy:
    """The forward pass of one module as a graph; the modules that it calls stay calls.

    Attributes:
        dropouts: names of new dropout layers, for dropout that is called as a function.

    Raises:
        _Cannot: it is called twice, has hooks, makes numbers of sizes, or uses values that it is not given.
    """

    def __init__(self, trace: Trace, path: str, opened: dict[fx.Node, Open]) -> None:
        self.graph, self.dropouts = fx.Graph(), {}
        self._prefix = f"{path}." if path else ""
        self._new: dict[fx.Node, fx.Node] = {}
        self._open = opened
        call = _only_call(trace, path)
        self._inputs(call)
        inner, i = list(call.inner), call.start
        while i < call.stop or inner:
            if inner and inner[0].start == i:
                self._call(inner[0])
                i = inner.pop(0).stop
            else:
                self._step(trace.steps[i])
                i += 1
        self.graph.output(self._known(call.result))

    def _inputs(self, call: Call) -> None:
        assert call.arguments is not None  # it was called with them
        for name, parameter in call.arguments.signature.parameters.items():
            given = call.arguments.arguments.get(name)
            if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
                if given:
                    raise _Cannot(f"it is called with *{name}")
                continue
            default = parameter.default
            node = (
                self.graph.placeholder(name)
                if default is Parameter.empty
                else self.graph.placeholder(name, default_value=default)
            )
            if isinstance(given, fx.Proxy):
                self._new.setdefault(given.node, node)

    def _call(self, call: Call) -> None:
        if not call.path.startswith(self._prefix) or call.arguments is None:
            raise _Cannot(f"it calls {call.path}, which is not its own")
        args, kwargs = self._known(call.arguments.args), self._known(call.arguments.kwargs)
        self._results(call.result, self.graph.call_module(call.path.removeprefix(self._prefix), args, kwargs))

    def _results(self, result: Any, node: fx.Node) -> None:
        if isinstance(result, fx.Proxy):
            self._new[result.node] = node
        elif isinstance(result, tuple | list | dict):
            for key in result if isinstance(result, dict) else range(len(result)):
                self._results(result[key], self.graph.call_function(operator.getitem, (node, key)))

    def _step(self, node: fx.Node) -> None:
        graph = self.graph
        if node in self._open:
            source, new = self._node(node.args[0]), self._open[node]
            arguments = [self._argument(source, argument) for argument in new.arguments]
            self._new[node] = graph.call_method(new.method, (source, *arguments))
        elif node.target is F.dropout:
            name = f"_{node.name}"
            self.dropouts[name] = float(axis_of(node, 1, "p", 0.5))
            self._new[node] = graph.call_module(name, (self._node(node.args[0]),))
        elif node.op == "get_attr":
            self._node(node)
        else:
            copied = graph.node_copy(node, self._node)
            copied.meta = {}
            if node.op == "call_module":
                copied.target = self._own(node)
            self._new[node] = copied

    def _argument(self, source: fx.Node, what: Any) -> Any:
        if isinstance(what, list):
            sizes = [self.graph.call_method("size", (source, axis)) for axis in what]
            return reduce(lambda a, b: self.graph.call_function(operator.mul, (a, b)), sizes)
        return self._node(what) if isinstance(what, fx.Node) else what

    def _node(self, node: Any) -> fx.Node:
        if node not in self._new:
            if node.op != "get_attr":
                raise _Cannot(f"it uses {node.name}, which it is not given")
            self._new[node] = self.graph.get_attr(self._own(node))
        return self._new[node]

    def _own(self, node: fx.Node) -> str:
        name = target(node)
        if not name.startswith(self._prefix) or name.startswith("_tensor_constant"):
            raise _Cannot(f"it uses {name}, which is not its own")
        return name.removeprefix(self._prefix)

    def _known(self, what: Any) -> Any:
        """A structure of proxies as one of nodes."""
        return map_aggregate(what, lambda p: self._node(p.node) if isinstance(p, fx.Proxy) else p)


def _only_call(trace: Trace, path: str) -> Call:
    calls = [call for call in trace.calls if call.path == path]
    module = trace.modules[path]
    if len(calls) != 1:
        raise _Cannot(f"it is called {len(calls)} times")
    if module._forward_hooks or module._forward_pre_hooks:
        raise _Cannot("it has hooks")
    if path in trace.numbers:
        raise _Cannot("it makes numbers of sizes")
    return calls[0]
