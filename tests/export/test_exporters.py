"""What all exporters of networks share: whole files or none, and what a network says of itself."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal

import pytest

from archip.core import registry
from archip.core.errors import UserError

KINDS = ("onnx", "pytorch_source", "safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_writes_one_file_of_the_networks_name_in_a_new_folder(kind, make_network, tmp_path):
    network, folder = make_network("conv1d"), tmp_path / "a" / "b"
    path = registry.create("export", kind).write(network, folder)
    assert [path] == list(folder.iterdir())
    assert path.stem == network.name


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_network_gives_the_same_file(kind, make_network):
    exporter = registry.create("export", kind)
    assert exporter.encode(make_network("conv1d", 1)) == exporter.encode(make_network("conv1d", 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_a_file_is_one_clear_message(kind, make_network, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written"):
        registry.create("export", kind).write(make_network("conv1d"), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_clear_message(make_network, tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match="cannot be written"):
        registry.create("export", "safetensors").write(make_network("conv1d"), tmp_path)


@contextlib.contextmanager
def full_disk():
    """No file may grow beyond 2 KB; writing more fails in the middle."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(kind, make_network, tmp_path):
    network, exporter = make_network("conv1d"), registry.create("export", kind)
    exporter.encode(network)  # whatever is imported may write its byte code now
    old = tmp_path / f"{network.name}{exporter.suffix}"
    old.write_text("the file of an earlier run")
    with full_disk(), pytest.raises(UserError, match="cannot be written: File too large"):
        exporter.write(network, tmp_path)
    assert old.read_text() == "the file of an earlier run"
    assert list(tmp_path.iterdir()) == [old]


def test_metadata_are_text_that_gives_back_what_went_in(make_network):
    network = make_network("resnet9")
    metadata = network.metadata
    assert all(isinstance(value, str) for value in metadata.values())
    assert json.loads(metadata["classes"]) == list(network.classes) == ["a, b", 'c"', "d\\"]
    assert json.loads(metadata["std"]) == list(network.std)
    assert json.loads(metadata["metrics"]) == {"test.accuracy": 0.875}
    assert (metadata["name"], metadata["task"], metadata["graph"]) == (
        "resnet9_0",
        "classification",
        network.graph.id,
    )
