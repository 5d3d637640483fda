"""Blocks that several spaces share: convolution with norm and activation, squeeze-and-excitation, resized inputs."""

from __future__ import annotations

from collections.abc import Sequence

from archip.core.errors import UserError
from archip.ir.graph import GraphBuilder

__all__ = ["conv_norm", "divisible", "odd", "same_padding", "sized_input", "squeeze_excite"]


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of `by`, at least `by`, and not more than a tenth below `channels`.

    Source: the rule of MobileNets (``make_divisible``), which once-for-all networks and EfficientTDNN use as well.
    """
    made = max(by, int(channels + by / 2) // by * by)
    return made + by if made < 0.9 * channels else made


def odd(kernels: Sequence[int], option: str) -> None:
    """Refuse kernels without a centre.

    Raises:
        UserError: naming the option.
    """
    if any(kernel % 2 == 0 for kernel in kernels):
        raise UserError(f"{list(kernels)} has an even kernel", option, "odd ones, which have a centre")


def same_padding(kernel: Sequence[int], dilation: int = 1) -> tuple[int, ...]:
    """Padding with which odd kernels leave the size as it is."""
    return tuple(dilation * (k // 2) for k in kernel)


def conv_norm(
    g: GraphBuilder,
    x: str,
    name: str,
    channels: int,
    kernel: Sequence[int],
    *,
    stride: int | tuple[int, ...] = 1,
    groups: int = 1,
    act: str | None = None,
) -> str:
    """Convolution without bias, batch-norm, and the activation `act`; with stride 2, n elements become ceil(n / 2)."""
    options = {"kernel": tuple(kernel), "stride": stride, "padding": same_padding(kernel), "groups": groups}
    x = g.add("conv", x, name=f"{name}.conv", out_channels=channels, bias=False, **options)
    x = g.add("batch_norm", x, name=f"{name}.norm")
    return g.add(act, x, name=f"{name}.{act}") if act else x


def squeeze_excite(
    g: GraphBuilder, x: str, name: str, channels: int, squeezed: int, n_axes: int = 2, gate: str = "hardsigmoid"
) -> str:
    """`x` times a gate for each channel, computed from the means of all channels by two layers.

    Source: Hu et al. 2018, arXiv:1709.01507; the hard sigmoid: Howard et al. 2019, arXiv:1905.02244.
    """
    one = (1,) * n_axes
    y = g.add("mean", x, name=f"{name}.mean", axes=tuple(range(2, 2 + n_axes)), keepdims=True)
    y = g.add("conv", y, name=f"{name}.squeeze", out_channels=squeezed, kernel=one)
    y = g.add("relu", y, name=f"{name}.relu")
    y = g.add("conv", y, name=f"{name}.excite", out_channels=channels, kernel=one)
    return g.add("mul", x, g.add(gate, y, name=f"{name}.gate"), name=f"{name}.mul")


def sized_input(
    g: GraphBuilder, axes: str, input_shape: Sequence[int], side: int | None = None
) -> tuple[str, tuple[int, ...]]:
    """The input, resized linearly if its shortest side is not `side`, and the sides that it then has.

    Longer sides keep their ratio to the shortest.
    """
    x = g.input("image" if axes == "NCHW" else "series", (1, *input_shape), axes)
    sides = tuple(input_shape[1:])
    wanted = sides if side is None else tuple(max(1, round(s * side / min(sides))) for s in sides)
    if wanted != sides:
        x = g.add("resize", x, name="resize", size=wanted, mode="bilinear")
    return x, wanted
