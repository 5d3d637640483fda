"""Sizes: named numbers that a network may choose (widths, kernels, depths), and the axes that are made of them.

Layers that name the same size shrink together: this is how channels that are added, normalised or convolved depthwise
stay coupled. A choice is a mapping {name of size: value}; a size that it does not name is the largest.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archip.core.errors import UserError
from archip.nets.part import Segments, joined, leading

__all__ = ["Axis", "Channels", "Choices", "Size", "Span", "axis", "chosen", "room", "segments", "sizes_of"]

Choices = Mapping[str, int]


@dataclass(frozen=True)
class Size:
    """A number to choose.

    Attributes:
        name: of the knob; sizes with one value need none.
        values: growing; the last is the size of the shared weights.
    """

    name: str
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.values or self.values[0] < 0 or any(a >= b for a, b in itertools.pairwise(self.values)):
            raise UserError(f"{self.values} are not growing numbers", self.name, "e.g. (8, 16, 32)")

    @property
    def largest(self) -> int:
        return self.values[-1]

    def of(self, choice: Choices) -> int:
        """The value that `choice` gives it."""
        return choice.get(self.name, self.values[-1])


@dataclass(frozen=True)
class Span:
    """Neighbouring channels: `size` units of `times` channels each: heads of an attention, pixels of a map."""

    size: Size
    times: int = 1


Axis = tuple[Span, ...]  # several where tensors are concatenated
Channels = int | Size | Span | Sequence[int | Size | Span]  # how a user writes an axis; a number is fixed


def axis(channels: Channels | None, whole: int, where: str) -> Axis:
    """The axis that `channels` say; None says that all are fixed.

    Raises:
        UserError: it has not `whole` channels, or a width of nothing.
    """
    several = channels if isinstance(channels, Sequence) else [whole if channels is None else channels]
    spans = tuple(map(_span, several))
    if room(spans) != whole:
        raise UserError(f"an axis of at most {room(spans)} channels", where, f"the layer has {whole}")
    if any(span.size.values[0] < 1 for span in spans):
        raise UserError("a width of 0", where, "at least 1")
    return spans


def _span(what: int | Size | Span) -> Span:
    if isinstance(what, int):
        return Span(Size("", (what,)))
    return Span(what) if isinstance(what, Size) else what


def room(spans: Axis) -> int:
    """Most channels."""
    return sum(span.size.largest * span.times for span in spans)


def chosen(spans: Axis, choice: Choices) -> int:
    """Channels under a choice."""
    return sum(span.size.of(choice) * span.times for span in spans)


def segments(spans: Axis, choice: Choices) -> Segments:
    """Places of the chosen channels among all: the leading ones of each span."""
    return joined([leading(s.size.of(choice) * s.times) for s in spans], [s.size.largest * s.times for s in spans])


def sizes_of(*axes: Axis) -> tuple[Size, ...]:
    """The sizes that can be chosen along some axes."""
    return tuple(span.size for spans in axes for span in spans if len(span.size.values) > 1)
