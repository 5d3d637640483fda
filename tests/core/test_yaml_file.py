"""YAML files: what is read, and what is refused with file and line."""

from __future__ import annotations

import pytest

from archip.core.errors import UserError
from archip.core.yaml_file import read_yaml


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
