"""A run's folder by URL: fetched, worked on here, sent back; another machine goes on from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from archip.core.errors import MissingExtra, UserError
from archip.search.remote import is_url, staged

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that makes this process another machine by the name given."""
    return lambda name: monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))


@pytest.fixture
def url():
    files = fsspec.filesystem("memory")
    yield "memory://bucket/run"
    files.rm("/bucket", recursive=True)


def at(url):
    files, root = fsspec.core.url_to_fs(url)
    return {path[len(root) :].lstrip("/"): files.cat_file(path) for path in files.find(root)}


@pytest.mark.parametrize(
    ("where", "is_one"),
    [("s3://b/run", True), ("memory://run", True), ("runs/a", False), ("/a//b", False), (Path("runs"), False)],
)
def test_what_is_a_url(where, is_one):
    assert is_url(where) == is_one


def test_what_is_made_is_sent_and_another_machine_goes_on(machine, url):
    machine("one")
    with staged(url) as stage:
        assert stage.name == "run"
        (stage / "artifacts").mkdir()
        (stage / "artifacts" / "a.onnx").write_bytes(b"network")
        (stage / "records.sqlite").write_bytes(b"first")
        (stage / "records.sqlite-wal").write_bytes(b"open")
    assert at(url) == {"artifacts/a.onnx": b"network", "records.sqlite": b"first"}
    machine("two")
    with staged(url) as stage:
        assert (stage / "records.sqlite").read_bytes() == b"first"
        (stage / "records.sqlite").write_bytes(b"second")
    machine("one")
    with staged(url) as stage:
        assert (stage / "records.sqlite").read_bytes() == b"second"
        assert (stage / "artifacts" / "a.onnx").read_bytes() == b"network"


def test_what_a_killed_driver_left_is_not_overwritten(machine, url):
    machine("one")
    with staged(url) as stage:
        (stage / "records.sqlite").write_bytes(b"first")
    (stage / "records.sqlite").write_bytes(b"more, then killed")
    with staged(url) as stage:
        assert (stage / "records.sqlite").read_bytes() == b"more, then killed"
    assert at(url)["records.sqlite"] == b"more, then killed"


def test_a_run_that_fails_sends_what_it_has(machine, url):
    machine("one")

    def interrupted() -> None:
        with staged(url) as stage:
            (stage / "records.sqlite").write_bytes(b"some")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert at(url) == {"records.sqlite": b"some"}


def test_what_cannot_be_reached_is_told(machine, tmp_path):
    machine("one")
    with pytest.raises(UserError, match="Protocol not known"), staged("nonsense://a/b"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be used"), staged(f"file://{tmp_path}/file/run") as stage:
        (stage / "a").touch()


def test_a_missing_package_is_named(machine, monkeypatch):
    machine("one")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(MissingExtra, match=r"archip\[remote\]"), staged("s3://bucket/run"):
        pass
