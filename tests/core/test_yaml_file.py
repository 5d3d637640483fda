"""YAML files: what is read, and what is refused with file and line."""

from __future__ import annotations

from itertools import pairwise

import pytest

from archip.core.errors import UserError
from archip.core.yaml_file import read_yaml


def _repeated(form: str) -> str:
    """Nine aliases of nine aliases of …, which would be 9^8 values."""
    lines = ["a: &a {x: 1}"] + [f"{b}: &{b} " + form.format(", ".join([f"*{a}"] * 9)) for a, b in pairwise("abcdefghi")]
    return "\n".join(lines)


def test_reads_plain_values(tmp_path):
    (tmp_path / "a.yaml").write_text("a: {b: [1, 2.5, text]}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"b": [1, 2.5, "text"]}}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml: line 3: key 'a' is given twice"),
        ("a: [1\n", "a.yaml: line 2, column 1: not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("[" * 10000, "nested too deeply"),
        ("a: 2001-99-99\n", "a.yaml: line 1, column 4: not valid YAML: '2001-99-99' is no timestamp"),
        ("a: 1\nb: 0x_\n", "line 2, column 4: not valid YAML: '0x_' is no int"),
        ("a: " + "9" * 5000, "…' is no int"),
        ("a: !!bool maybe\n", "'maybe' is no bool"),
        ("a: !!timestamp today\n", "'today' is no timestamp"),
        ('a: "\\ud800"\n', "has characters that no text has"),
        ('a: "b\\0"\n', "has characters that no text has"),
        ("a: &a\n  b: *a\n", "an alias stands inside of what it names"),
        (_repeated("[{}]"), "aliases repeat its parts too often"),
        (_repeated("{{<<: [{}]}}"), "aliases repeat its parts too often"),
    ],
)
def test_what_is_refused(tmp_path, text, what):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read_yaml(tmp_path / "a.yaml")
    assert what in str(caught.value)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: no such file \(write one\)"):
        read_yaml(tmp_path / "none.yaml", missing="write one")


def test_aliases_may_be_used(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {x: 1}\nb: [*a, *a]\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}
