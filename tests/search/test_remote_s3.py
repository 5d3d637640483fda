"""A run's folder in an S3 bucket, on moto's server at loopback."""

from __future__ import annotations

import pytest

from archip.core.errors import UserError
from archip.search.remote import staged


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(tmp_path / "one"),
    }.items():
        monkeypatch.setenv(name, value)
    import fsspec

    fsspec.filesystem("s3").makedirs("bucket", exist_ok=True)
    yield "s3://bucket/runs/first"
    fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


@pytest.mark.filterwarnings("ignore")
def test_a_run_goes_to_a_bucket_and_on_from_there(bucket, monkeypatch, tmp_path):
    with staged(bucket) as stage:
        (stage / "artifacts").mkdir()
        (stage / "artifacts" / "a.onnx").write_bytes(b"network")
        (stage / "records.sqlite").write_bytes(b"first")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    with staged(bucket) as stage:
        assert (stage / "artifacts" / "a.onnx").read_bytes() == b"network"
        (stage / "records.sqlite").write_bytes(b"second")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "one"))
    with staged(bucket) as stage:
        assert (stage / "records.sqlite").read_bytes() == b"second"


@pytest.mark.filterwarnings("ignore")
def test_a_bucket_that_is_not_there_is_told(bucket):
    with pytest.raises(UserError, match="cannot be used"), staged("s3://nowhere/run") as stage:
        (stage / "a").write_bytes(b"a")
