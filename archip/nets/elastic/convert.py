"""Any torch module → an elastic network: every width that can shrink does, and what stays is told with the reason."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from archip.core.errors import UserError
from archip.nets.elastic.conv import ElasticConv
from archip.nets.elastic.coupling import Group, coupling
from archip.nets.elastic.layer import ElasticLayer
from archip.nets.elastic.linear import ElasticLinear
from archip.nets.elastic.network import ElasticNet
from archip.nets.elastic.norm import ElasticBatchNorm, ElasticGroupNorm, ElasticLayerNorm
from archip.nets.elastic.size import Size, Span, sizes_of
from archip.nets.elastic.sort import sort_channels

__all__ = ["elastic"]


def elastic(
    module: nn.Module, x: Tensor, shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0), sort: bool = True
) -> ElasticNet:
    """The elastic network of a copy of `module`; the largest computes what `module` does.

    Sizes have the name of the first layer that gives the width.

    Args:
        module: trained or not; `module(x)` is its only call.
        x: an example of a batch of two samples or more.
        shares: of every width, what it may become; the last is 1.
        sort: put the most important channels first; sums are then added in another order.

    Raises:
        UserError: the module cannot be traced, or nothing of it can shrink.
    """
    if list(shares) != sorted(set(shares)) or not shares or shares[0] <= 0 or shares[-1] != 1:
        raise UserError(f"{list(shares)}", "shares", "growing, above 0, the last 1")
    found = coupling(copy.deepcopy(module).eval(), x)
    sizes = {group.root(): _size(group.root(), shares) for group in found.groups}
    fixed = {group.name: group.root().fixed for group in found.groups if group.root().fixed}
    if len(fixed) == len(found.groups):
        reasons = "; ".join(f"{name}: {why}" for name, why in fixed.items())
        raise UserError(f"no width of {type(module).__name__} can shrink", right=reasons)
    twin = copy.deepcopy(module)
    wrapped = {}
    for name, (inputs, outputs) in found.layers.items():
        layer = twin.get_submodule(name)
        axes = tuple([_span(span, sizes) for span in spans] for spans in (inputs, outputs))
        if any(sizes_of(tuple(spans)) for spans in axes):
            wrapped[id(layer)] = _wrap(layer, *axes)
    for parent in list(twin.modules()):
        for name, child in parent._modules.items():
            if id(child) in wrapped and not isinstance(parent, ElasticLayer):
                parent._modules[name] = wrapped[id(child)]
    net = ElasticNet(twin, fixed)
    if sort:
        sort_channels(net)
    _check(net, x)
    return net


def _size(group: Group, shares: Sequence[float]) -> Size:
    n = group.size
    return Size("", (n,)) if group.fixed else Size(group.name, tuple(sorted({max(1, round(n * s)) for s in shares})))


def _span(span: tuple[Group, int], sizes: Mapping[Group, Size]) -> Span:
    group, times = span
    root = group.root()
    return Span(sizes[root] if root in sizes else Size("", (root.size,)), times)


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
def _check(net: ElasticNet, x: Tensor) -> None:
    """Run the smallest network once; numbers that are written into a forward pass show here.

    Raises:
        UserError: it does not run.
    """
    was_training = {m: m.training for m in net.modules()}
    try:
        net.eval()(x, net.smallest)
    except RuntimeError as error:
        raise UserError(
            f"the narrowest network does not run: {error}", right="no widths as numbers in forward"
        ) from None
    for m, mode in was_training.items():
        m.training = mode
    net.choose({})
