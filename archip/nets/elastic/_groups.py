"""Groups: channels that shrink together, and the axes that are made of them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Group", "Spans", "Value", "become", "fix", "join", "pieces", "resolved", "split"]


@dataclass(eq=False)
class Group:
    """Units that shrink together.

    Attributes:
        order: of its layer among all that give widths.
        fixed: why it has to stay.
        is_read: a layer has them as inputs.
        becomes: what has been found to be in its place: the group that it is a part of, its heads, its parts.
    """

    name: str
    size: int
    order: int = -1
    fixed: str = ""
    is_read: bool = False
    becomes: Spans | None = None


Spans = list[tuple[Group, int]]  # a group and how many neighbouring channels each of its units has


@dataclass
class Value:
    """A traced value: the axis along which its channels lie, and the channels."""

    axis: int
    spans: Spans


def resolved(spans: Spans) -> Spans:
    """The groups that are there now."""
    found: Spans = []
    for group, times in spans:
        inner = None if group.becomes is None else resolved(group.becomes)
        found += [(group, times)] if inner is None else [(g, n * times) for g, n in inner]
    return found


def fix(spans: Spans, why: str) -> None:
    for group, _ in resolved(spans):
        group.fixed = group.fixed or why


def become(group: Group, spans: Spans) -> None:
    """Put `spans` in the place of `group`."""
    group.becomes = spans
    for other, _ in resolved(spans):
        other.fixed, other.is_read = other.fixed or group.fixed, other.is_read or group.is_read


def join(a: Spans, b: Spans, why: str) -> None:
    """Make the groups of two axes one, if they are cut in the same way or only one is cut; else they stay."""
    a, b = resolved(a), resolved(b)
    if len(a) == len(b) == 1 and a[0][0] is not b[0][0]:
        for (group, times), (whole, one) in ((a[0], b[0]), (b[0], a[0])):
            if one == 1 and times > 1 and whole.size == group.size * times:
                become(whole, [(group, times)])
                return
    if [(g.size, n) for g, n in a] != [(g.size, n) for g, n in b]:
        fix([*a, *b], why)
        return
    for left, right in zip(a, b, strict=True):
        one, other = sorted((resolved([s])[0][0] for s in (left, right)), key=lambda group: group.order)
        if one is not other:  # the first gives the name
            become(other, [(one, 1)])


def split(spans: Spans, n: int, each: int, copies: int = 1) -> Group | None:
    """The heads of an axis that is cut into `copies` of `n` heads of `each` channels; None if it cannot be."""
    now = resolved(spans)
    first, times = now[0]
    if len(now) == copies and times == each and first.size == n and all(s == now[0] for s in now):
        return first  # cut before
    if len(now) > 1 or times > 1 or first.size != copies * n * each:
        return None
    heads = Group(f"{first.name}.heads", n, first.order)
    become(first, [(heads, each)] * copies)
    return heads


def pieces(spans: Spans, n: int) -> Spans | None:
    """The channels of each of `n` equal pieces of an axis, which then shrink alike; None if there are no such."""
    now = resolved(spans)
    if len(now) == 1 and now[0][1] == 1 and now[0][0].size % n == 0:
        whole = now[0][0]
        piece = Group(f"{whole.name}.piece", whole.size // n, whole.order)
        become(whole, [(piece, 1)] * n)
        return [(piece, 1)]
    each = len(now) // n
    cut = [now[i * each : i * each + each] for i in range(n)]
    if len(now) % n or any([(g.size, t) for g, t in piece] != [(g.size, t) for g, t in cut[0]] for piece in cut):
        return None
    for piece in cut[1:]:
        join(cut[0], piece, "")
    return cut[0]
