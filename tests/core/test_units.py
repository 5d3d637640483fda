from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archip.core.errors import UserError
from archip.core.units import Quantity, format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "value", "dimension"),
    [
        ("5 ms", 5e-3, "time"),
        ("5ms", 5e-3, "time"),
        (" .5 us ", 5e-7, "time"),
        ("3 µs", 3e-6, "time"),  # the micro sign
        ("3 μs", 3e-6, "time"),  # the Greek letter, as some keyboards give it
        ("2 min", 120.0, "time"),
        ("2 mJ", 2e-3, "energy"),
        ("1.5 pJ", 1.5e-12, "energy"),
        ("100 mW", 0.1, "power"),
        ("4 mm2", 4.0, "area"),
        ("4 mm²", 4.0, "area"),
        ("2e6 um2", 2.0, "area"),
        ("1 cm²", 100.0, "area"),
        ("8e5 cycles", 8e5, "cycles"),
        ("0.8 Mcycles", 8e5, "cycles"),
        ("200 MHz", 2e8, "frequency"),
        ("256 KB", 262144.0, "size"),
        ("1 MiB", 1048576.0, "size"),
        ("64 GB/s", 64e9, "bandwidth"),
        ("0.9", 0.9, "share"),
        ("90 %", 0.9, "share"),
        (0.9, 0.9, "share"),
        (12, 12.0, "share"),
    ],
)
def test_parse(text: object, value: float, dimension: str):
    quantity = parse_quantity(text)
    assert quantity.dimension == dimension
    assert quantity.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "dimensions", "message"),
    [
        ("five ms", ("time",), "'five ms' is not a quantity"),
        ("", ("time",), "'' is not a quantity"),
        ("1 2 ms", ("time",), "is not a quantity"),
        (True, ("share",), "True is not a quantity"),
        (None, ("share",), "None is not a quantity"),
        ("nan ms", ("time",), "is not a quantity"),
        ("1e999 ms", ("time",), "'1e999 ms' is not finite"),
        (float("inf"), ("share",), "is not a quantity"),
        ("5 msec", ("time",), r"unknown unit 'msec' .*did you mean 'ms'"),
        ("5 MS", ("time",), "unknown unit 'MS'"),
        ("5 ms", ("energy",), r"'5 ms' is a quantity of time, not of energy \(write e.g. 2 mJ"),
        ("5 GB", ("bandwidth",), "is a quantity of size"),
        ("5", ("time", "cycles"), r"'5' has no unit.*write e.g. 5 ms or 8e5 cycles"),
    ],
)
def test_refused(text: object, dimensions: tuple[str, ...], message: str):
    with pytest.raises(UserError, match=message) as caught:
        parse_quantity(text, *dimensions)
    assert caught.value.right


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (0.002, "energy", "2 mJ"),
        (5e-3, "time", "5 ms"),
        (0.00099996, "time", "1 ms"),
        (0.0009994, "time", "999.4 us"),
        (262144.0, "size", "256 KB"),
        (64e9, "bandwidth", "64 GB/s"),
        (3.14159, "area", "3.142 mm2"),
        (0.9123456, "share", "0.9123"),
        (-2e-3, "energy", "-2 mJ"),
        (0.0, "time", "0 s"),
        (5e-16, "energy", "0.0005 pJ"),
        (math.inf, "time", "inf"),
    ],
)
def test_format(value: float, dimension: str, text: str):
    assert format_quantity(value, dimension) == text


@given(
    st.floats(1e-12, 1e12),
    st.sampled_from(["time", "energy", "power", "area", "cycles", "frequency", "size", "bandwidth", "share"]),
)
def test_what_is_printed_can_be_read_back(value: float, dimension: str):
    again = parse_quantity(str(Quantity(value, dimension)), dimension)
    assert again.dimension == dimension
    assert again.value == pytest.approx(value, rel=5.1e-4)
