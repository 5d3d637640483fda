import json
from pathlib import Path

import pytest

from archip.cli.main import run

GRID = str(Path(__file__).parent.parent / "data" / "tables" / "grid.yaml")


def archip(*arguments):
    """Exit code of the command."""
    with pytest.raises(SystemExit) as stop:
        run(["bench", *arguments, *(["--jobs", "1"] if arguments else [])])
    return stop.value.code


def test_json_has_what_was_promised_and_the_baselines(capsys):
    assert archip(GRID, "reinforce: {lr: 0.1}", "reinforce", "--seeds", "3", "--budget", "6", "--json") in (0, None)
    value = json.loads(capsys.readouterr().out)
    assert list(value["strategies"]) == ["reinforce", "reinforce 2", "random_search", "local_search"]
    assert all(len(s["mean"]) == len(s["std"]) == len(s["queries"]) == 6 for s in value["strategies"].values())


def test_the_table_on_the_screen_and_the_report(capsys, tmp_path):
    code = archip(
        GRID, "random_search", "--seeds", "3", "--budget", "6", "--limit", "latency=2 ms", "--out", str(tmp_path)
    )
    shown = capsys.readouterr().out
    assert code in (0, None)
    assert "phone.latency_s <= 2 ms" in shown
    assert "local_search" in shown
    assert {p.name for p in tmp_path.iterdir()} == {"report.md", "report.html", "curves.json"}


def test_without_a_table_the_known_ones_are_listed(capsys):
    assert archip() in (0, None)
    assert "nb201" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nb21"], "unknown table 'nb21'"),
        ([GRID, "nosuch"], "'nosuch'"),
        ([GRID, "reinforce: {rate: 1}"], "unknown option 'rate'"),
        ([GRID, "{a: 1, b: 2}"], "is not a strategy"),
        ([GRID, "--protocol", "half"], "full or early"),
        ([GRID, "--promote", "3"], "only the early protocol promotes"),
        ([GRID, "--limit", "latency"], "is no limit"),
        ([GRID, "--limit", "latency=5 mJ"], "is a quantity of energy, not of time"),
        ([GRID, "--limit", "energy=5 mJ"], "no metric 'energy'"),
        ([GRID, "--metric", "f1"], "no metric 'f1'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(capsys, arguments, message):
    assert archip(*arguments) == 2
    assert message in capsys.readouterr().err


def test_data_get_names_the_official_source_of_a_table(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHIP_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as stop:
        run(["data", "get", "nb101"])
    message = capsys.readouterr().err
    assert stop.value.code == 2
    assert "google-research/nasbench" in message
    assert str(tmp_path) in message
    (tmp_path / "nb101.npz").touch()
    with pytest.raises(SystemExit):
        run(["data", "get", "nb101"])
    assert "nb101.npz" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(["data", "list"])
    assert "nats_size" in capsys.readouterr().out
