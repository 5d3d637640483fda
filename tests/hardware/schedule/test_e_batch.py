"""E-BATCH: the card's shares of useful steps, costs of a block by hand, and the choice of k."""

from __future__ import annotations

import numpy as np
import pytest

from archip.hardware.schedule.e_batch import EBatch, Engine, Layer

LAYER, ENGINE = Layer(macs=100, weight_bytes=4000, step_bytes=10), Engine(50, 8, 400, 1e-12, 1e-10)


def padded_share(lengths, slots):
    batches = [lengths[i : i + slots] for i in range(0, len(lengths), slots)]
    return sum(lengths) / sum(max(batch) * slots for batch in batches)


def test_the_cards_shares_of_useful_steps():
    """Card: 400 sequences of length U(5, 100), 16 slots: 0.966 sorted, 0.956 with concatenation.

    Padded in order of arrival it has 0.522, which is one draw: mean length 52.5 over the mean longest of 16 of
    5 + 95 x 16 / 17 is 0.556.
    """
    shares = []
    for seed in range(5):
        lengths = np.random.default_rng(seed).integers(5, 101, 400).tolist()
        served = EBatch(ks=(1,)).serve([LAYER], ENGINE, lengths)
        shares.append((padded_share(lengths, 16), padded_share(sorted(lengths), 16), served.useful_share))
    padded, by_length, slots = np.mean(shares, axis=0)
    assert padded == pytest.approx(52.5 / (5 + 95 * 16 / 17), abs=0.015)
    assert by_length == pytest.approx(0.966, abs=0.01)
    assert slots == pytest.approx(0.956, abs=0.02)


def test_a_block_by_hand():
    # 2 slots x 3 steps: 600 MACs take 12 cycles; 4000 bytes of weights take 500. Nothing spills: 60 of 400 bytes.
    assert EBatch(slots=2).block([LAYER], ENGINE, 3) == (500, pytest.approx(600e-12 + 4000e-10))
    # 50 steps: 1000 bytes of which 600 go out and come back: (4000 + 1200) / 8 cycles.
    assert EBatch(slots=2).block([LAYER], ENGINE, 50) == (650, pytest.approx(10000e-12 + 5200e-10))
    assert EBatch(slots=2).block([LAYER, LAYER], ENGINE, 3)[0] == 1000


def test_weights_cost_one_kth_a_step_until_activations_spill():
    batch = EBatch(slots=2)
    macs_j = 2 * LAYER.macs * ENGINE.mac_j
    weights_j = {k: batch.block([LAYER], ENGINE, k)[1] / k - macs_j for k in (1, 2, 4, 10, 20, 21, 40)}
    for k in (1, 2, 4, 10, 20):  # 20 steps of 2 slots fill the buffer of 400 bytes
        assert weights_j[k] == pytest.approx(weights_j[1] / k)
    assert weights_j[21] > weights_j[1] / 21 * (1 + 1e-6)
    assert weights_j[40] > weights_j[1] / 40 * 1.1


def test_the_next_sequence_begins_in_the_same_slot():
    # One slot, blocks of 4 steps: 3 and 3 steps end in blocks 1 and 2 without padding between them.
    served = EBatch(slots=1, ks=(4,)).serve([LAYER], ENGINE, [3, 3, 2])
    assert served.k_T.tolist() == [4, 4]
    assert served.useful_share == 1.0
    assert served.latency_N.tolist() == [500, 1000, 1000]


def test_it_waits_for_arrivals():
    served = EBatch(slots=1, ks=(1,)).serve([LAYER], ENGINE, [1, 1], arrivals=[0, 2000])
    assert served.latency_N.tolist() == [500, 500]
    assert served.cycles == 2500


def test_k_grows_with_the_load():
    batch = EBatch(slots=4)
    blocks = {k: batch.block([LAYER], ENGINE, k) for k in batch.ks}
    chosen = [batch.choose(blocks, depth) for depth in (1, 4, 16, 256)]
    assert chosen == sorted(chosen)
    assert chosen[0] == 1
    assert chosen[-1] >= 8


def test_a_bound_on_latency_rules_out_what_is_late():
    blocks = {1: (10.0, 5.0), 8: (60.0, 8.0)}
    assert EBatch(slots=1).choose(blocks, 8) == 8
    assert EBatch(slots=1, latency_cycles=100).choose(blocks, 2) == 1  # 2 x 10 cycles x 2 x 5 J against 60 x 8
    assert EBatch(slots=1).choose(blocks, 3) == 1  # 30 x 15 against 480
    assert EBatch(slots=1).choose(blocks, 4) == 8  # 40 x 20 against 480 ...
    assert EBatch(slots=1, latency_cycles=50).choose(blocks, 4) == 1  # ... which is too late
    assert EBatch(slots=1, latency_cycles=70).choose(blocks, 4, waited=20) == 1
    assert EBatch(slots=1, latency_cycles=50).choose(blocks, 8) == 8  # neither is in time: the faster one


@pytest.mark.parametrize(("interval", "within"), [(30_000, 1.0), (8_000, 1.05)])
def test_the_choice_against_every_fixed_k_in_energy_times_delay(interval, within):
    """Poisson arrivals: at light load better than each; at heavy load, where k = 64 is best, within 5 % of it."""
    rng = np.random.default_rng(0)
    engine = Engine(5, 8, 10_000, 1e-12, 1e-10)  # a step takes 320 cycles of work, a fetch of the weights 500
    lengths, arrivals = rng.integers(5, 101, 100).tolist(), np.cumsum(rng.exponential(interval, 100)).tolist()
    cost = {}
    for ks in (EBatch().ks, *((k,) for k in EBatch().ks)):
        served = EBatch(ks=ks).serve([LAYER], engine, lengths, arrivals)
        cost[ks] = served.energy_j * served.latency_N.mean()
    assert cost.pop(EBatch().ks) < within * min(cost.values())
