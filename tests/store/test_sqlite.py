import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.record import Outcome
from archip.store import _schema
from archip.store.sqlite import SQLite

WRITER = Path(__file__).with_name("_writer.py")


def items(n, prefix="k"):
    return [(f"{prefix}{i}", "cost", {"hw": {"pes": i}}, Outcome({"macs": float(i)})) for i in range(n)]


def keys(n, prefix="k"):
    return [f"{prefix}{i}" for i in range(n)]


@pytest.fixture
def path(tmp_path):
    """A store of 100 outcomes, closed."""
    store = SQLite(tmp_path / "records.sqlite")
    store.put(items(100))
    store.close()
    return tmp_path / "records.sqlite"


def refusal(path):
    with pytest.raises(UserError) as error:
        SQLite(path)
    assert str(path) in str(error.value)
    return str(error.value)


def read(path, n=100):
    store = SQLite(path)
    found = store.get(keys(n))
    store.close()
    return found


def test_outcomes_outlive_the_object(path):
    assert read(path)["k42"].metrics == {"macs": 42.0}
    assert len(read(path)) == 100


def test_the_file_holds_json_that_other_tools_read(path):
    with sqlite3.connect(path) as db:
        row = db.execute("SELECT stage, parts, metrics, status FROM outcomes WHERE key = 'k7'").fetchone()
        assert row == ("cost", '{"hw": {"pes": 7}}', '{"macs": 7.0}', "ok")
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_notes_are_kept_and_never_changed(path):
    store = SQLite(path)
    store.note("problem", {"seed": 0, "tasks": ("digits",)})
    store.note("problem", {"seed": 1})
    store.note("version", "0.1.0")
    assert store.notes() == {"problem": {"seed": 0, "tasks": ["digits"]}, "version": "0.1.0"}
    store.close()


def test_every_commit_waits_for_the_disk(path):
    store = SQLite(path)
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    store.close()


# Bad files: one clear message, and nothing is changed.


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "records.sqlite"
    path.write_text("name: two_tasks\n" * 100)
    assert "not a database" in refusal(path)
    assert path.read_text() == "name: two_tasks\n" * 100


def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "records.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE photos (name TEXT)")
    db.close()
    before = path.read_bytes()
    assert "not one of archip's" in refusal(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_archip_is_refused(path):
    with sqlite3.connect(path) as db:
        db.execute("UPDATE archip_version SET version = 99")
    db.close()
    before = path.read_bytes()
    assert "newer archip (version 99" in refusal(path)
    assert path.read_bytes() == before


def test_an_older_file_is_brought_up_to_date(path, monkeypatch):
    def add_column(connection):
        connection.exec_driver_sql("ALTER TABLE outcomes ADD COLUMN machine TEXT DEFAULT 'unknown'")

    monkeypatch.setattr(_schema, "MIGRATIONS", (*_schema.MIGRATIONS, add_column))
    assert len(read(path)) == 100
    assert len(read(path)) == 100  # the second opening migrates nothing
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT version FROM archip_version").fetchall() == [(len(_schema.MIGRATIONS),)]
        assert db.execute("SELECT DISTINCT machine FROM outcomes").fetchall() == [("unknown",)]
    db.close()


def test_a_migration_that_fails_changes_nothing(path, monkeypatch):
    def breaks(connection):
        connection.exec_driver_sql("DROP TABLE outcomes")
        raise RuntimeError("migration")

    monkeypatch.setattr(_schema, "MIGRATIONS", (*_schema.MIGRATIONS, breaks))
    with pytest.raises(RuntimeError, match="migration"):
        SQLite(path)
    monkeypatch.undo()
    assert len(read(path)) == 100


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_a_truncated_file_is_an_error_for_the_user(path, share):
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(UserError, match=r"records\.sqlite.*(damaged|not a database)"):
        read(path)


def test_overwritten_pages_are_an_error_for_the_user(path):
    with open(path, "rb+") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(UserError, match=r"records\.sqlite"):
        read(path)


@pytest.mark.parametrize("where", ["missing/records.sqlite", "file/records.sqlite", "."])
def test_a_path_that_cannot_be_opened_is_refused(tmp_path, where):
    (tmp_path / "file").touch()
    assert "choose a folder" in refusal(tmp_path / where)


@contextlib.contextmanager
def without_rights():
    """The rights of a user who owns nothing; needed where the tests run as root, whom no mode bit stops."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("name", ["records.sqlite", "new.sqlite"])
def test_a_read_only_folder_is_refused(path, name):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, folder)
        (Path(folder) / "records.sqlite").chmod(0o444)
        Path(folder).chmod(0o555)
        with without_rights():
            assert "choose a folder" in refusal(Path(folder) / name)
        assert [p.name for p in Path(folder).iterdir()] == ["records.sqlite"]
        assert (Path(folder) / "records.sqlite").read_bytes() == path.read_bytes()
        Path(folder).chmod(0o755)


def test_a_full_disk_keeps_what_was_stored(path):
    """SQLite's own limit on the size of the file gives the error that a full disk gives (SQLITE_FULL)."""
    store = SQLite(path)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 20")
    with pytest.raises(UserError, match=r"full.*free some space"):
        store.put(items(5000, "x"))
    assert len(store.get(keys(100))) == 100
    assert store.get(keys(5000, "x")) == {}
    store.close()


def test_a_write_that_the_system_refuses_keeps_what_was_stored(path):
    """A limit on file sizes makes write() itself fail, as a full disk or quota does."""
    code = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[2]); from test_sqlite import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); store = SQLite(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: store.put(items(5000, 'x'))\n"
        "except UserError as error: print(error, len(store.get(keys(100))), len(store.get(keys(5000, 'x'))))"
    )
    command = [sys.executable, "-c", code, str(path), str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "what was stored before is untouched" in result.stdout, result.stderr
    assert result.stdout.split()[-2:] == ["100", "0"]
    assert len(read(path)) == 100


def test_a_lock_that_is_not_given_back_is_an_error_for_the_user(path):
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(UserError, match="another process is writing"):
        SQLite(path, timeout_s=0.1)
    blocker.close()


# Several writers, and kills.


def test_threads_share_a_store(path):
    store = SQLite(path)
    threads = [threading.Thread(target=store.put, args=(items(50, name),)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(store.get(keys(50, name))) == 50 for name in "abcd")
    store.close()


def kill_round(path, names, rng):
    """Start one writer a name on one file, kill each at a random moment; the keys they were told are stored."""
    command = [sys.executable, str(WRITER), str(path)]
    writers = [
        subprocess.Popen([*command, name, str(rng.integers(10**6))], stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    for writer in writers:
        assert writer.stdout.readline()  # it has begun
    for writer in rng.permutation(np.array(writers, dtype=object)):
        time.sleep(rng.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
    return [key for writer in writers for line in writer.communicate()[0].splitlines() for key in line.split()]


def check_kills(path, n_rounds, n_writers, seed):
    rng = np.random.default_rng(seed)
    told = []
    for n in range(n_rounds):
        told += kill_round(path, [chr(ord("a") + n * n_writers + i) for i in range(n_writers)], rng)
        store = SQLite(path)
        found = store.get(told)
        assert len(found) == len(told) > 0
        assert all(found[key].metrics == {"macs": float(key[1:])} for key in told)
        store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


def test_what_a_killed_process_put_is_there(tmp_path):
    """Three processes create and write one file at once and are killed; no put that returned is lost."""
    check_kills(tmp_path / "records.sqlite", n_rounds=1, n_writers=3, seed=0)


@pytest.mark.slow
def test_what_thirty_killed_processes_put_is_there(tmp_path):
    check_kills(tmp_path / "records.sqlite", n_rounds=10, n_writers=2, seed=1)


@pytest.mark.slow
def test_speed(tmp_path):
    store = SQLite(tmp_path / "records.sqlite")
    began = time.perf_counter()
    everything = items(8000)
    for i in range(0, 8000, 32):
        store.put(everything[i : i + 32])
    assert 8000 / (time.perf_counter() - began) > 2000  # 22,000/s on an idle core
    store.close()
