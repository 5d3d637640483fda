"""Schedules against values worked out by hand."""

from __future__ import annotations

import pytest

from archip.train.schedules import ema_decay, warmup_cosine


def test_warm_up_rises_in_equal_steps_and_the_cosine_falls_from_one():
    factors = [warmup_cosine(step, n_steps=8, n_warmup=4) for step in range(8)]
    half = 0.5 * (1 + 2**-0.5)  # (1 + cos 45°) / 2
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, half, 0.5, 1 - half])


def test_without_warm_up_the_cosine_begins_at_once():
    assert [warmup_cosine(s, 2, 0) for s in range(2)] == pytest.approx([1.0, 0.5])


def test_one_step_of_training_is_at_full_rate():
    assert warmup_cosine(0, n_steps=1, n_warmup=0) == 1.0


def test_the_average_forgets_its_start_and_then_keeps_its_decay():
    assert [ema_decay(s, 0.9) for s in (0, 1, 8, 1000)] == pytest.approx([0.1, 2 / 11, 0.5, 0.9])
    assert ema_decay(1000, 0.0) == 0.0
