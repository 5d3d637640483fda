"""Repeated blocks: residual blocks, each called with the result of the one before; the last ones may be left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from archip.nets.elastic._rules import EACH, SUMS
from archip.nets.elastic._trace import Call, Trace, shape_of, target

__all__ = ["Block", "Run", "repeats"]


@dataclass(frozen=True)
class Block:
    """A block that may be left out: its name, its first argument, and the form of its result."""

    path: str
    first: str
    n_arguments: int
    in_tuple: bool


@dataclass
class Run:
    """Blocks of equal structure in a row.

    Attributes:
        n_before: 1 if a block of the same kind that changes the shape leads them, as in the stages of a ResNet, else 0.
    """

    name: str
    n_before: int
    blocks: list[Block] = field(default_factory=list)


def repeats(trace: Trace, fixed: dict[str, str]) -> list[Run]:
    """All runs of two blocks or more, leaders included; rows of equal blocks that are not residual go to `fixed`."""
    often = Counter(call.path for call in trace.calls)
    rows: dict[str, list[Call]] = {}
    for call in trace.calls:
        if often[call.path] == 1 and call.path:
            rows.setdefault(call.path.rpartition(".")[0], []).append(call)
    found: list[Run] = []
    for container, calls in rows.items():
        runs = _runs(trace, calls, fixed)
        for run in runs:
            is_list = isinstance(trace.modules[container], nn.Sequential | nn.ModuleList)
            stage = container if len(runs) == 1 and is_list else run.blocks[0].path
            run.name = f"{stage}.depth" if stage else "depth"
        found += runs
    return found


def _runs(trace: Trace, calls: list[Call], fixed: dict[str, str]) -> list[Run]:
    """The runs among calls of modules that are held together, in their order."""
    found: list[Run] = []
    before: Call | None = None
    run: Run | None = None
    for call in calls:
        modules = [trace.modules[c.path] for c in (before, call) if c is not None]
        follows = before is not None and _result(before) is not None and _result(before) is _first(call)
        is_equal = follows and _structure(modules[0]) == _structure(modules[-1])
        if not _keeps_shape(call, modules[-1]):
            run = None
        elif not _is_residual(trace, call):
            if is_equal:
                fixed.setdefault(f"{call.path.rpartition('.')[0] or 'blocks'}.depth", "the blocks are not residual")
            run = None
        elif is_equal and run is not None:
            run.blocks.append(_block(call))
        else:
            leads = follows and type(modules[0]) is type(modules[-1]) and before is not None and run is None
            run = Run("", int(leads), [_block(call)])
            found.append(run)
        before = call
    return [run for run in found if len(run.blocks) + run.n_before > 1]


def _block(call: Call) -> Block:
    assert call.arguments is not None  # it has a first one
    given = [value for value in call.arguments.arguments.values() if value is not None]
    return Block(call.path, next(iter(call.arguments.arguments)), len(given), isinstance(call.result, tuple))


def _first(call: Call) -> fx.Node | None:
    values = list(call.arguments.arguments.values()) if call.arguments else []
    return values[0].node if values and isinstance(values[0], fx.Proxy) else None


def _result(call: Call) -> fx.Node | None:
    result: Any = call.result[0] if isinstance(call.result, tuple) and len(call.result) == 1 else call.result
    return result.node if isinstance(result, fx.Proxy) else None


def _keeps_shape(call: Call, module: nn.Module) -> bool:
    first, result = _first(call), _result(call)
    if first is None or result is None or first is result or next(module.parameters(), None) is None:
        return False
    return shape_of(first) == shape_of(result) != ()


def _is_residual(trace: Trace, call: Call) -> bool:
    """The input reaches the result through sums, norms and activations alone."""
    reached = {_first(call)}
    for node in trace.steps[call.start : call.stop]:
        layer = trace.modules[target(node)] if node.op == "call_module" else None
        passes = node.target in SUMS | EACH[1] or isinstance(layer, EACH[0]) or "Norm" in type(layer).__name__
        if passes and reached.intersection(node.all_input_nodes):
            reached.add(node)
    return _result(call) in reached


def _structure(module: nn.Module) -> tuple[Any, ...]:
    return type(module), repr(module), [(name, tuple(t.shape)) for name, t in module.state_dict().items()]
