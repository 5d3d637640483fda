from __future__ import annotations

import functools
import hashlib
import io
import os
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.data._cache import Download, Official, available, download, fetch, find_file, folders, user_file
from archip.data.fashion_mnist import FashionMnist

CONTENT = bytes(range(256)) * 4000  # four pieces


class Handler(BaseHTTPRequestHandler):
    """Serves `files`; a path that starts with /cut stops half-way, /long sends more than it announces."""

    def __init__(self, files: dict[str, bytes], *args: object) -> None:
        self.files = files
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        content = self.files.get(self.path.rsplit("/", 1)[-1])
        if content is None:
            return self.send_error(404)
        self.send_response(200)
        if not self.path.startswith("/long"):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path.startswith("/cut") else content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Address of a server on this machine, and the files that it serves."""
    files: dict[str, bytes] = {"a.bin": CONTENT}
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, files))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", files
    server.shutdown()
    thread.join()
    server.server_close()


def item(url: str, content: bytes = CONTENT, algorithm: str = "sha256", n_bytes: int | None = None) -> Official:
    digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    return Official((Download(url, digest, len(content) if n_bytes is None else n_bytes),))


class Recorder:
    def __init__(self) -> None:
        self.calls: list[object] = []

    def start(self, description: str, total: int) -> str:
        self.calls.append((description, total))
        return "handle"

    def advance(self, handle: object, n: int = 1, **fields: object) -> None:
        self.calls.append(n)

    def finish(self, handle: object) -> None:
        self.calls.append("end")


def everything_below(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_download(served: tuple[str, dict], tmp_path: Path, algorithm: str):
    progress = Recorder()
    folder = download(item(f"{served[0]}/a.bin", algorithm=algorithm), tmp_path / "new" / "toy", progress)
    assert everything_below(tmp_path) == [folder / "a.bin"]
    assert (folder / "a.bin").read_bytes() == CONTENT
    first, *advances, last = progress.calls
    assert (first, last, sum(advances)) == (("a.bin", len(CONTENT)), "end", len(CONTENT))  # type: ignore[arg-type]


def test_what_is_there_is_not_downloaded_again(tmp_path: Path):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    download(item("http://127.0.0.1:9/a.bin"), tmp_path)  # nobody listens there
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("official", "message"),
    [
        (lambda base: item(f"{base}/a.bin", CONTENT[::-1]), "sha256 checksum .* was not kept"),
        (lambda base: item(f"{base}/cut/a.bin"), "broke off|has 512000 bytes, not 1024000"),
        (lambda base: item(f"{base}/long/a.bin", n_bytes=1000), "has more than 1000 bytes, not 1000"),
        (lambda base: item(f"{base}/b.bin"), "the server answers 404"),
        (lambda base: item("http://127.0.0.1:9/a.bin"), "cannot be reached.*check the network"),
        (lambda base: item("http://no-such-host.invalid/a.bin"), "cannot be reached.*check the network"),
    ],
    ids=["checksum", "truncated", "too long", "404", "refused", "no name"],
)
def test_failed_download_leaves_nothing(served: tuple[str, dict], tmp_path: Path, official, message: str):
    with pytest.raises(UserError, match=message) as caught:
        download(official(served[0]), tmp_path / "toy")
    assert "http://" in str(caught.value)
    assert everything_below(tmp_path) == []


def test_folder_that_cannot_be_made(served: tuple[str, dict], tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write.*set ARCHIP_DATA"):
        download(item(f"{served[0]}/a.bin"), tmp_path / "file" / "toy")


def tar_of(**members: bytes | None) -> bytes:
    """A tar.gz with these members (None: a symbolic link to /etc/passwd)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


def served_tar(served: tuple[str, dict], content: bytes) -> Official:
    served[1]["a.tar.gz"] = content
    return Official(item(f"{served[0]}/a.tar.gz", content).downloads, ("top/one.bin", "top/two.bin"))


def test_members_of_an_archive(served: tuple[str, dict], tmp_path: Path):
    content = tar_of(**{"top/one.bin": b"1" * 600_000, "top/two.bin": b"22", "top/other": b"3"})
    download(served_tar(served, content), tmp_path)
    assert sorted(everything_below(tmp_path)) == [tmp_path / "one.bin", tmp_path / "two.bin"]
    assert (tmp_path / "one.bin").read_bytes() == b"1" * 600_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar_of(**{"../../one.bin": b"1", "/top/two.bin": b"2"}), "'top/one.bin' not found"),
        (tar_of(**{"top/../../evil": b"1", "top/one.bin": None}), "top/one.bin is no regular file"),
        (b"no archive at all", "cannot be unpacked"),
        (tar_of(**{"top/one.bin": os.urandom(100_000), "top/two.bin": b"2"})[:60_000], "cannot be unpacked"),
    ],
    ids=["traversal", "link", "garbage", "truncated"],
)
def test_bad_archive_is_refused(served: tuple[str, dict], tmp_path: Path, content: bytes, message: str):
    folder = tmp_path / "a" / "b" / "toy"
    with pytest.raises(UserError, match=message):
        download(served_tar(served, content), folder)
    assert everything_below(tmp_path) == []


def test_fetch_by_name(served: tuple[str, dict], data_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FashionMnist, "official", item(f"{served[0]}/a.bin"))
    assert fetch("fashion_mnist") == data_folder / "fashion_mnist"
    served[1].clear()
    assert fetch("fashion_mnist") == data_folder / "fashion_mnist"  # nothing left to do


def test_fetch_of_what_cannot_be_fetched(data_folder: Path):
    with pytest.raises(UserError, match="it is here already: scikit-learn"):
        fetch("digits")
    with pytest.raises(UserError, match=r"put nuclei128.npz into the data folder"):
        fetch("nuclei")
    with pytest.raises(UserError, match="did you mean 'cifar10'"):
        fetch("cifar_10")


def test_the_data_folder_comes_before_the_cache(data_folder: Path, tmp_path: Path):
    cache = tmp_path / "cache" / "archip"
    cache.mkdir(parents=True)
    assert folders() == [data_folder, cache]
    (cache / "a.npz").touch()
    assert find_file("a.npz") == cache / "a.npz"
    (data_folder / "a.npz").touch()
    assert find_file("a.npz") == data_folder / "a.npz"
    assert find_file("b.npz") is None


@pytest.mark.skipif(sys.platform != "linux", reason="the XDG rules")
def test_user_cache(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ARCHIP_DATA", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert folders() == [Path("/home/someone/.cache/archip")]
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert folders() == [Path("/elsewhere/archip")]


def test_user_file(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (data_folder / "a.csv").touch()
    assert user_file("a.csv") == data_folder / "a.csv"
    (tmp_path / "a.csv").touch()
    assert user_file("a.csv") == Path("a.csv")
    with pytest.raises(UserError, match=r"b.csv does not exist; looked in .*data") as caught:
        user_file("b.csv")
    assert caught.value.where == "path"


def test_available_lists_every_data_set(data_folder: Path):
    rows = {row.name: row for row in available()}
    assert sorted(rows) == registry.names("data")
    assert rows["digits"].is_present
    assert (rows["nuclei"].is_present, rows["nuclei"].where) == (False, "")
    assert rows["cifar10"].how == "archip data get cifar10"
    (data_folder / "nuclei128.npz").touch()
    assert {r.name: r.where for r in available()}["nuclei"] == str(data_folder / "nuclei128.npz")


@pytest.mark.parametrize(
    ("name", "file", "how"),
    [
        ("cifar10", "data_batch_1.bin", "archip data get cifar10"),
        ("fashion_mnist", "fashion_mnist.npz", "archip data get fashion_mnist"),
        ("nuclei", "nuclei128.npz", "put nuclei128.npz"),
        ("fsdd", "fsdd_logmel.npz", "put fsdd_logmel.npz"),
    ],
)
def test_missing_data(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, file: str, how: str
):
    monkeypatch.setattr("archip.data.fashion_mnist._DEBIAN", tmp_path / "absent")
    with pytest.raises(UserError) as caught:
        registry.create("data", name).load()
    for part in (file, str(data_folder), "cache/archip", how):
        assert part in str(caught.value)
