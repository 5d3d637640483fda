"""The card's arithmetic, and waiting against a queue that is run request by request."""

from dataclasses import replace

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.server_overheads import ServerOverheads, Stage

SERVER = ServerOverheads()
WITHOUT_DECODE = ServerOverheads(stages=SERVER.stages[1:])


def test_overhead_and_capacities_of_the_card():
    assert SERVER.evaluate()["overhead_share"] == pytest.approx(0.619, abs=5e-4)
    for stages, serial, pipelined, binds in ((SERVER, 95.2, 200, "decode"), (WITHOUT_DECODE, 181.8, 250, "inference")):
        assert replace(stages, workers="serial").evaluate()["capacity_per_s"] == pytest.approx(serial, abs=0.05)
        found = replace(stages, workers="pipelined").evaluate()
        assert found["capacity_per_s"] == pytest.approx(pipelined)
        assert found["bottleneck"] == binds


def test_stages_of_a_device_share_it():
    found = SERVER.evaluate()
    assert found["capacity_per_s"] == pytest.approx(1 / 6.5e-3)
    assert found["bottleneck"] == "decode + resize + copy"


def simulated(rate, service, seed=0, n=400_000):
    """Mean waiting at one worker: each request waits for what is left of the one before."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / rate, n)
    slack = np.append(0, service(rng, n)[:-1] - gaps[1:])
    walk = np.cumsum(slack)
    return float((walk - np.minimum.accumulate(walk)).mean())


@pytest.mark.parametrize(("load", "variation"), [(0.3, 0.0), (0.7, 0.0), (0.6, 1.0)])
def test_waiting_of_one_queue(load, variation):
    model = ServerOverheads(stages=(Stage("inference", 0.01, variation=variation),))
    draw = (lambda rng, n: np.full(n, 0.01)) if variation == 0 else (lambda rng, n: rng.exponential(0.01, n))
    found = model.evaluate(load / 0.01)["waiting_s"]
    assert found == pytest.approx(simulated(load / 0.01, draw), rel=0.03)


def test_a_serial_worker_is_one_queue():
    found = replace(SERVER, workers="serial").evaluate(50.0)
    assert found["waiting_s"] == pytest.approx(simulated(50.0, lambda rng, n: np.full(n, 10.5e-3)), rel=0.03)


def test_beyond_the_capacity_the_queue_grows_without_end():
    found = SERVER.evaluate(np.array([100.0, 153.0, 154.0, 1e6]))
    assert np.isfinite(found["latency_s"]).tolist() == [True, True, False, False]
    assert (np.diff(found["latency_s"][:2]) > 0).all()


def test_batches_raise_the_capacity_and_the_latency():
    """Four items take 1 + 3 x 0.2 times as long as one."""
    one, four = (ServerOverheads(stages=(Stage("inference", 0.01, batch=b, marginal=0.2),)) for b in (1, 4))
    assert four.evaluate()["capacity_per_s"] == pytest.approx(4 / 0.016)
    assert four.evaluate()["service_s"] == pytest.approx(0.016)
    # A batch fills in (4 - 1) / 2 arrivals in the mean; jobs of 16 ms come at a quarter of the rate.
    waiting = 3 / (2 * 100) + 25 * 0.016**2 / (2 * (1 - 0.4))
    assert four.evaluate(100.0)["waiting_s"] == pytest.approx(waiting)
    assert four.evaluate(20.0)["latency_s"] > one.evaluate(20.0)["latency_s"]


def test_decoding_grows_with_the_image():
    model = ServerOverheads(stages=(Stage("decode", 1e-3, seconds_per_pixel=1e-8), Stage("inference", 2e-3)))
    found = model.evaluate(pixels=np.array([1e5, 1e6]))
    assert found["service_s"] == pytest.approx([4e-3, 13e-3])
    assert found["overhead_share"] == pytest.approx([0.5, 11 / 13])


def test_options_are_checked():
    built = registry.create("hardware/models", "server_overheads", {"stages": [{"name": "inference", "seconds": 0.1}]})
    assert built.evaluate()["capacity_per_s"] == pytest.approx(10)
    with pytest.raises(UserError, match="no stage 'net'"):
        registry.create("hardware/models", "server_overheads", {"inference": "net"})
