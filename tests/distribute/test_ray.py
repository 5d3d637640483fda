"""Ray: mistakes are told at once, a killed node costs only what it had, results are those of any other executor."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from archip.core import registry
from archip.core.errors import MissingExtra, UserError

sys.path.insert(0, str(Path(__file__).parent))  # before the nodes start, so that they find the functions


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    executor = registry.create("distribute", "ray")
    with pytest.raises(MissingExtra, match=r"archip\[ray\]"):
        _ = executor.n_workers


@pytest.mark.parametrize("address", ["ray://", "ray://host", "host:port", "somewhere"])
def test_what_is_no_address_is_told(address):
    pytest.importorskip("ray")
    with pytest.raises(UserError, match="is no address"):
        _ = registry.create("distribute", "ray", {"address": address}).n_workers


@pytest.mark.parametrize("form", ["ray://127.0.0.1:{}", "127.0.0.1:{}"])
def test_an_address_where_nothing_answers_is_told_at_once(form):
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = form.format(free.getsockname()[1])
    with pytest.raises(UserError, match="no Ray cluster answers"):
        _ = registry.create("distribute", "ray", {"address": address}).n_workers


@pytest.mark.ray
@pytest.mark.slow  # on a busy machine Ray takes long to see that a node is gone
@pytest.mark.filterwarnings("ignore")
def test_a_killed_node_costs_only_what_it_was_doing(ray_cluster, tmp_path):
    from _busy import marks

    extra = ray_cluster.add_node(num_cpus=1, object_store_memory=2**27)
    executor = registry.create("distribute", "ray", {"address": ray_cluster.address, "n": 3})
    items = [(str(tmp_path), i) for i in range(24)]
    results = executor.completed(marks, items)
    found = [next(results) for _ in range(6)]
    ray_cluster.remove_node(extra, allow_graceful=False)
    found += results
    executor.close()
    assert sorted(found) == [(i, i) for i in range(24)]
    calls = sum(len(path.read_text()) for path in tmp_path.iterdir())
    assert 24 <= calls <= 25  # the one that it had


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_resources_are_those_that_were_asked_for(ray_cluster):
    from _busy import own_resources

    executor = registry.create("distribute", "ray", {"address": ray_cluster.address, "num_cpus": 0.5})
    assert executor.n_workers >= 4  # two nodes of one processor, and maybe one that was just killed
    (own,) = executor.map(own_resources, [0])
    assert own["CPU"] == 0.5
    (asked,) = executor.map(own_resources, [0], resources={"num_cpus": 1, "memory": 2**20})
    assert (asked["CPU"], asked["memory"]) == (1, 2**20)
    executor.close()
