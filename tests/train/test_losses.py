"""Losses and metrics on logits small enough for pencil and paper."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
from archip.train.losses import bce_dice, cross_entropy, hits_and_total, loss_function, share  # noqa: E402


def test_cross_entropy_of_known_odds():
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # probabilities 3/4, 1/4 and 1/2, 1/2
    loss = cross_entropy(logits, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_label_smoothing_moves_probability_to_all_classes():
    logits = torch.tensor([[math.log(3.0), 0.0]])
    loss = cross_entropy(logits, torch.tensor([0]), smoothing=0.2)  # targets 0.9 and 0.1
    assert loss.item() == pytest.approx(0.9 * math.log(4 / 3) + 0.1 * math.log(4))


def test_bce_and_dice_of_known_probabilities():
    logits = torch.tensor([math.log(3.0), -math.log(3.0)]).view(1, 1, 1, 2)  # p = 3/4, 1/4
    masks = torch.tensor([1, 0], dtype=torch.uint8).view(1, 1, 2)
    dice = (2 * 0.75 + 1) / (0.75 + 0.25 + 1 + 1)
    assert bce_dice(logits, masks).item() == pytest.approx(math.log(4 / 3) + 1 - dice)


def test_a_sure_and_right_segmentation_has_no_loss_even_without_foreground():
    logits = torch.full((1, 1, 2, 2), -50.0)
    assert bce_dice(logits, torch.zeros(1, 2, 2)).item() == pytest.approx(0.0, abs=1e-6)


def test_accuracy_counts_samples():
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
    hits = hits_and_total(logits, torch.tensor([0, 0, 0]), "classification")
    assert hits.tolist() == [2, 3]
    assert share(hits) == pytest.approx(2 / 3)


def test_iou_is_over_all_pixels_of_all_images_together():
    predicted = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]]).view(2, 1, 2, 2) - 0.5
    true = torch.tensor([[1, 0, 1, 0], [1, 0, 0, 0]], dtype=torch.uint8).view(2, 2, 2)
    hits = hits_and_total(predicted, true, "segmentation")
    assert hits.tolist() == [1 + 1, 3 + 1]  # not the mean of 1/3 and 1/1
    assert share(hits) == 0.5


def test_nothing_to_find_and_nothing_found_is_perfect():
    assert share(hits_and_total(torch.full((1, 1, 2, 2), -1.0), torch.zeros(1, 2, 2), "segmentation")) == 1.0


def test_smoothing_concerns_classification_only():
    logits, masks = torch.randn(2, 1, 4, 4), torch.ones(2, 4, 4)
    assert torch.equal(loss_function("segmentation", 0.1)(logits, masks), bce_dice(logits, masks))
