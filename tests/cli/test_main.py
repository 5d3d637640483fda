"""The command line: verbs, exit codes, and messages for mistakes."""

from __future__ import annotations

import json

import pytest
import yaml
from _command import call


def test_list_names_the_kinds_and_the_methods_of_one(capsys):
    code, out, _ = call(capsys, "list", "--json")
    assert code == 0
    assert "strategies" in json.loads(out)
    _, out, _ = call(capsys, "list", "strategies", "--json")
    assert {"nsga2", "random_search", "local_search", "regularized_evolution"} <= json.loads(out).keys()


def test_show_has_the_source_and_the_options(capsys):
    code, out, _ = call(capsys, "show", "nsga2")
    assert code == 0
    assert "Deb" in out
    assert "population" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nsga3"], "nsga2"),
        (["list", "strategy"], "strategies"),
        (["check", "none.yaml"], "no such file"),
        (["run", "none.yaml"], "no such file"),
        (["init", "x.yaml", "--example", "two_task"], "two_tasks"),
        (["--log-level", "loud", "list"], "loud"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(capsys, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_init_writes_a_file_that_check_accepts(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "init")[0] == 0
    code, out, err = call(capsys, "check", "problem.yaml")
    assert code == 0, err
    resolved = yaml.safe_load(out)
    assert resolved["strategy"]["nsga2"]["population"] == 48
    assert call(capsys, "init")[0] == 2  # it never overwrites


def test_schema_is_json(capsys):
    assert json.loads(call(capsys, "schema")[1])["properties"]["tasks"]
