from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Annotated, Literal

import pytest
from pydantic import Field

from archip.core import registry
from archip.core.errors import ArchipError, UserError


@dataclass
class Method:
    """A method with options of several types."""

    width: Annotated[int, Field(ge=1)]
    mode: Literal["fast", "exact"] = "fast"
    rates: list[float] = field(default_factory=lambda: [0.1])
    state: int = field(default=0, init=False)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Entry points of the group archip.data, as name → value; to be filled by the test."""
    points: dict[str, str] = {}

    def entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint(n, v, group) for n, v in points.items() if group == "archip.data"]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    registry._plugins.cache_clear()
    yield points
    registry._plugins.cache_clear()


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_method_file_has_one_class_a_summary_and_typed_options(kind: str):
    for name in registry.names(kind):
        cls = registry.find(kind, name)
        assert dataclasses.is_dataclass(cls), f"{kind}/{name}"
        assert registry.describe(kind, name).endswith((".", "…")), f"{kind}/{name}: {registry.describe(kind, name)!r}"
        registry.option_table(cls)


def test_listing_imports_no_method():
    code = (
        "import sys; from archip.core import registry as r; [r.describe(k, n) for k in r.KINDS for n in r.names(k)];"
        "print([m for m in sys.modules if m == 'torch' or m.startswith('archip.data')])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_the_last_part_of_a_kind_is_enough():
    assert registry.names("mappers") == registry.names("hardware/mappers")
    with pytest.raises(UserError, match=r"unknown kind 'mapper' \(did you mean 'mappers'"):
        registry.names("mapper")


def test_unknown_name():
    with pytest.raises(UserError, match=r"unknown data set 'digit' \(did you mean 'digits'"):
        registry.find("data", "digit")
    with pytest.raises(UserError, match="unknown"):
        registry.find("data", "_dataset")


def test_options_are_checked():
    assert registry.validate(Method, {"width": 3, "rates": [1, 2]}) == Method(3, "fast", [1.0, 2.0])
    for options, message in [
        ({"widthx": 3}, r"widthx: unknown option 'widthx' \(did you mean 'width'"),
        ({}, "width: .*required"),
        ({"width": 0}, "width: .*greater than or equal to 1, got 0"),
        ({"width": "many"}, "width: .*got 'many'"),
        ({"width": 1, "mode": "slow"}, "mode: .*'fast' or 'exact', got 'slow'"),
        ({"width": 1, "rates": [0.1, "x"]}, r"rates\.1: .*got 'x'"),
        ({"width": 1, "state": 1}, "unknown option 'state'"),
    ]:
        with pytest.raises(UserError, match=message):
            registry.validate(Method, options)


def test_create_says_which_method():
    with pytest.raises(UserError) as caught:
        registry.create("data", "digits", {"limit": 0})
    assert caught.value.where == "digits.limit"


def test_option_table():
    rows = {name: default for name, _, default in registry.option_table(Method)}
    assert rows == {"width": "required", "mode": "'fast'", "rates": "[0.1]"}


def test_plugins(plugin: dict[str, str]):
    plugin["mine"] = f"{__name__}:Method"
    assert "mine" in registry.names("data")
    assert registry.find("data", "mine") is Method
    assert registry.describe("data", "mine") == f"plug-in {__name__}:Method"
    assert "mine" not in registry.names("spaces")


def test_a_plugin_may_not_take_a_built_in_name(plugin: dict[str, str]):
    plugin["digits"] = f"{__name__}:Method"
    with pytest.raises(ArchipError, match="takes the name of the built-in data/digits"):
        registry.names("data")
