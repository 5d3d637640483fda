"""Inputs turned hostile: values in a tree of dicts and lists, cells of a table, and bytes of any file."""

from __future__ import annotations

import copy
import re
from random import Random
from typing import Any

__all__ = ["hostile_bytes", "hostile_cells", "hostile_tree"]

_NAMES = [
    "",
    " ",
    "name",
    "tasks",
    "target",
    "min",
    "x" * 3000,
    "a.b",
    "../../etc/passwd",
    "μ",
    "\u202e",
    "'",
    "$ref",
    "*",
    "[0]",
    "0",
    "null",
    "~",
    "W",
    "K",
    "G|K",
    "http://x:1",
    "a.yaml",
    "nvdla",
    "digits",
    "this",
    "e\u0301",
    "\U0001f4a5",
    "%",
    "{x}",
]
_VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    2**31,
    2**63,
    2**64,
    10**30,
    -(10**30),
    0.0,
    -0.0,
    0.5,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
    [],
    {},
    [[]],
    [{}],
    [None],
    {"": None},
    {1: 2},
    {None: None},
    {True: []},
    [1, "a", None],
    "1 s",
    "-1 GB/s",
    "1e309 B",
    "1e-320 pJ",
    "nan J",
    "inf",
    "5 parsecs",
    "1 GHz",
    "0 GB/s",
    "٣ ms",
    "1_000",
    "0x10",
    "1e3 cycles",
    "2026-11-21",
    "\x85",
    "\t",
    "a\nb",
    "x" * 4000,
    "9" * 5000,
]
_TOKENS = [
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\t",
    b": ",
    b"- ",
    b"{",
    b"}",
    b"[" * 3000,
    b"]",
    b"&a ",
    b"*a",
    b"&a [*a]",
    b"<<: *a\n",
    b"? ",
    b"!!python/object:os.system ",
    b"!!int x",
    b"!!int ''",
    b"!!float x",
    b"!!bool x",
    b"!!binary x",
    b"!!set {a}",
    b"!!omap [a: 1]",
    b"!!timestamp x",
    b"!!null x",
    b"!!map []",
    b"!!seq {}",
    b"2001-99-99",
    b"0x_",
    b"0b_",
    b"1:99:99",
    b"9" * 5000,
    b"---\n",
    b"...\n",
    b"%YAML 9.9\n",
    b"|\n",
    b">-\n",
    b"'",
    b'"',
    b"\\x",
    b'"\\ud800"',
    b",",
    b"\r",
    b"\n",
    b"#",
    b"\xc3",
    b".inf",
    b".nan",
    b"=",
    b"-0",
    b"1e999",
    b"\x1b[2J",
    b"\xe2\x80\xa8",
]
_BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 9)) for c in b"bcdefghi"
)
_MERGES = b"a: &a {x: 1}\n" + b"".join(
    b"%c: &%c {<<: [%s]}\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 9)) for c in b"bcdefghi"
)
_CELLS = [
    "",
    " ",
    "0",
    "-1",
    "1",
    "2",
    "1.5",
    "1e3",
    "nan",
    "inf",
    str(2**40),
    str(2**63),
    "9" * 5000,
    "x",
    "٣",
    "1_0",
    " 7 ",
    "conv",
    "gemm",
    "dwconv",
    '"',
    "\x00",
    "x" * 140_000,
    "\u2028",
    "1099511627775",
    "None",
    "[1]",
    "a,b",
    "a\nb",
    "+3",
    "-0",
]
_NUMBER = re.compile(r"[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?")
_UNITS = ["s", "ms", "B", "KiB", "GB/s", "pJ", "mm2", "GHz", "cycles", "%", "", "furlong"]


def hostile_tree(tree: Any, others: list[Any], rng: Random) -> Any:
    """A copy of `tree` with one to four changes; `others` lend their parts."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        places = list(_places(tree))
        if not places:
            return rng.choice(_VALUES)
        owner, key = rng.choice(places)
        _change(owner, key, rng.choice(others), rng)
    return tree if rng.random() > 0.01 else rng.choice(_VALUES)


def _places(tree: Any):
    """(container, key or index) of everything in a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _places(value)


def _change(owner: Any, key: Any, other: Any, rng: Random) -> None:
    value, choice = owner[key], rng.randrange(9)
    if choice <= 2:
        owner[key] = copy.deepcopy(rng.choice(_VALUES))
    elif choice == 3:
        owner[key] = _near(value, rng)
    elif choice == 4:
        del owner[key]
    elif choice == 5:
        owner[key] = rng.choice(
            ([value], {"x": value}, {rng.choice(_NAMES): value}, [value] * 20, str(value), _nested(40))
        )
    elif choice == 6 and isinstance(owner, dict):
        owner[rng.choice([*_NAMES, 1, None, True, 2.5])] = owner.pop(key)
    elif choice == 7 and isinstance(owner, dict):
        owner[rng.choice([*_NAMES, 1, None])] = rng.choice(_VALUES)
    else:
        places = list(_places(other))
        inside, at = rng.choice(places) if places else ([None], 0)
        owner[key] = copy.deepcopy(inside[at])


def _near(value: Any, rng: Random) -> Any:
    """A value of the same kind that is a little, or very, wrong."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return rng.choice(
            (-value, 0, value + 1, value * 10**9, value / 3, str(value), [value], value - 1, value * 10**18)
        )
    if isinstance(value, str):
        number = rng.choice(("-1", "0", "1e400", "1e-320", "nan", "1e18", "", "1.", "7e3"))
        parts = (
            _NUMBER.sub(number, value, count=1),
            re.sub(r"[A-Za-z/µ]+\d?$", rng.choice(_UNITS), value),
            value[: rng.randrange(len(value) + 1)],
            value + rng.choice(_NAMES),
            value.upper(),
            value * 3,
            "".join(rng.sample(value, len(value))),
        )
        return rng.choice(parts)
    if isinstance(value, list):
        return rng.choice((value + value, value[1:], value[::-1], value * 50, dict(enumerate(value))))
    return list(value) if rng.random() < 0.5 else {str(k).upper(): v for k, v in value.items()}


def _nested(depth: int) -> Any:
    value: Any = 1
    for i in range(depth):
        value = [value] if i % 2 else {"a": value}
    return value


def hostile_bytes(data: bytes, other: bytes, rng: Random) -> bytes:
    """`data` with one to six changes anywhere; `other` lends a piece."""
    if rng.random() < 0.01:
        return rng.choice((b"", _BOMB, _MERGES, _BOMB + data, data + b"\n" + _BOMB, rng.randbytes(200), other))
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 8, 40, 400)))
        piece = data[at:to]
        start = rng.randrange(len(other) + 1)
        lent = other[start : start + 60]
        replaced = rng.choice(
            (
                b"",
                piece * 2,
                rng.choice(_TOKENS),
                rng.choice(_TOKENS) + piece,
                bytes([rng.randrange(256)]),
                piece[::-1],
                lent,
                bytes(b ^ (1 << rng.randrange(8)) for b in piece[:1]) + piece[1:],
            )
        )
        data = data[:at] + replaced + data[to:] if rng.random() < 0.97 else data[:at]
    return data


def hostile_cells(lines: list[list[str]], rng: Random) -> str:
    """A CSV text whose cells, columns or lines are wrong in one to four places."""
    lines = [list(line) for line in lines]
    for _ in range(rng.choice((1, 1, 2, 4))):
        line = rng.choice(lines)
        at, choice = rng.randrange(len(line)) if line else 0, rng.randrange(8)
        if choice <= 3 and line:
            line[at] = rng.choice(_CELLS)
        elif choice == 4 and line:
            del line[at]
        elif choice == 5:
            line.insert(at, rng.choice(_CELLS))
        elif choice == 6:
            lines.insert(rng.randrange(len(lines)), list(line))
        elif len(lines) > 1:
            lines.remove(line)
    return rng.choice(("\n", "\n", "\n", "\r\n", "\r")).join(",".join(line) for line in lines)
