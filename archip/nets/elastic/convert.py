"""Any torch module → an elastic network: what can shrink or be left out does, what stays is told with the reason."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from archip.core.errors import UserError
from archip.nets.elastic._groups import Group, Spans, resolved
from archip.nets.elastic._trace import traced
from archip.nets.elastic.activity import activity_orders
from archip.nets.elastic.conv import ElasticConv
from archip.nets.elastic.coupling import Coupling, coupling
from archip.nets.elastic.depth import ElasticBlock
from archip.nets.elastic.layer import ElasticLayer
from archip.nets.elastic.linear import ElasticLinear
from archip.nets.elastic.network import ElasticNet
from archip.nets.elastic.norm import ElasticBatchNorm, ElasticGroupNorm, ElasticLayerNorm
from archip.nets.elastic.opened import opened
from archip.nets.elastic.repeats import Run, repeats
from archip.nets.elastic.rewrite import replace, rewritten
from archip.nets.elastic.size import Size, Span, sizes_of

__all__ = ["elastic"]


def elastic(
    module: nn.Module,
    x: Tensor | tuple[Tensor, ...],
    shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    sort: bool = True,
    depth: bool = True,
) -> ElasticNet:
    """The elastic network of a copy of `module`; the largest computes what `module` does.

    A width has the name of the first layer that gives it, ``NAME.heads`` if it counts heads; the number of repeated
    blocks is called ``STAGE.depth``.

    Args:
        module: trained or not; ``module(x)``, or ``module(*x)`` for a tuple, is its only call.
        x: an example of a batch of two samples or more; what is important shows better with more.
        shares: of every width and depth, what it may become; the last is 1.
        sort: put the most important channels, heads and neurons first; sums are then added in another order.
        depth: leave out residual blocks as well.

    Raises:
        UserError: the module cannot be traced, or nothing of it can shrink.
    """
    if list(shares) != sorted(set(shares)) or not shares or shares[0] <= 0 or shares[-1] != 1:
        raise UserError(f"{list(shares)}", "shares", "growing, above 0, the last 1")
    twin = opened(copy.deepcopy(module))
    trace = traced(copy.deepcopy(twin).eval(), x)
    found = coupling(trace)
    twin = rewritten(twin, trace, found)
    fixed = found.fixed
    runs = repeats(trace, fixed) if depth else []
    if not runs and len(found.fixed) == len(found.groups):
        reasons = "; ".join(f"{name}: {why}" for name, why in fixed.items())
        raise UserError(f"no width of {type(module).__name__} can shrink", right=reasons or "layers with weights")
    _wrap_layers(twin, found, shares)
    for run in runs:
        _wrap_blocks(twin, run, shares, fixed)
    net = ElasticNet(twin, fixed)
    was_training = {m: m.training for m in net.modules()}
    net.eval()
    if sort:
        net.sort(activity_orders(net, lambda: net(x)))
    _check(net, x)
    for m, mode in was_training.items():
        m.training = mode
    return net


def _wrap_layers(twin: nn.Module, found: Coupling, shares: Sequence[float]) -> None:
    """Put elastic layers in the place of those whose widths can shrink."""
    sizes: dict[Group, Size] = {}
    for group, _ in resolved([(g, 1) for g in found.groups]):
        values = tuple(sorted({max(1, round(group.size * s)) for s in shares}))
        sizes[group] = Size("", (group.size,)) if group.fixed else Size(group.name, values)
    wrapped: dict[int, ElasticLayer] = {}
    for name, (inputs, outputs) in found.layers.items():
        layer = twin.get_submodule(name)
        axes = tuple(_spans(spans, sizes) for spans in (inputs, outputs))
        if any(sizes_of(tuple(spans)) for spans in axes):
            wrapped[id(layer)] = _wrap(layer, *axes)
    for parent in list(twin.modules()):
        for name, child in parent._modules.items():
            if id(child) in wrapped and not isinstance(parent, ElasticLayer):
                parent._modules[name] = wrapped[id(child)]


def _spans(spans: Spans, sizes: Mapping[Group, Size]) -> list[Span]:
    return [Span(sizes.get(group) or Size("", (group.size,)), times) for group, times in resolved(spans)]


def _wrap_blocks(twin: nn.Module, run: Run, shares: Sequence[float], fixed: dict[str, str]) -> None:
    """Make the last blocks of a row ones that may be left out."""
    parent = twin.get_submodule(run.blocks[0].path.rpartition(".")[0])
    is_list = isinstance(parent, nn.Sequential | nn.ModuleList)
    if not is_list and any(block.n_arguments > 1 or block.in_tuple for block in run.blocks):
        fixed[run.name] = "the blocks have more than one input or output, and are in no list"
        return
    n = run.n_before + len(run.blocks)
    size = Size(run.name, tuple(sorted({max(1, round(n * s)) for s in shares})))
    for i, block in enumerate(run.blocks):
        wrapped = ElasticBlock(twin.get_submodule(block.path), size, run.n_before + i, block.first, block.in_tuple)
        replace(twin, block.path, wrapped)


def _wrap(layer: nn.Module, inputs: Sequence[Span], outputs: Sequence[Span]) -> ElasticLayer:
    if isinstance(layer, nn.Linear):
        return ElasticLinear(layer, inputs, outputs)
    if isinstance(layer, _ConvNd):
        return ElasticConv(layer, inputs, outputs)
    if isinstance(layer, _BatchNorm):
        return ElasticBatchNorm(layer, inputs)
    if isinstance(layer, nn.GroupNorm):
        return ElasticGroupNorm(layer, inputs)
    assert isinstance(layer, nn.LayerNorm)  # what else `coupling` finds
    return ElasticLayerNorm(layer, inputs)


@torch.no_grad()
def _check(net: ElasticNet, x: Any) -> None:
    """Run the smallest network once, and extracted; numbers written into a forward pass show here.

    Raises:
        UserError: it does not run, or what is extracted computes something else.
    """
    is_written_again = any(isinstance(m, fx.GraphModule) for m in net.modules())
    one = tuple(t[:1] for t in x) if isinstance(x, tuple) else x[:1]
    try:
        found = list(_tensors(net(x, net.smallest)))
        if is_written_again:
            net(one)
        alone = net.extract().eval()
        again = list(_tensors(alone(*x) if isinstance(x, tuple) else alone(x)))
    except (RuntimeError, IndexError) as error:
        raise UserError(
            f"the smallest network does not run: {error}", right="no widths as numbers in forward; or depth=False"
        ) from None
    if len(found) != len(again) or not all(torch.equal(a, b) for a, b in zip(found, again, strict=True)):
        raise UserError("the smallest network is another one when it is taken out", right="depth=False")
    net.choose({})


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list | dict):
        for part in output.values() if isinstance(output, dict) else output:
            yield from _tensors(part)
