"""BossNAS: labels are not used, blocks are trained in turn, and ratings are what the definition says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archip.core.errors import UserError  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.train import loop  # noqa: E402
from archip.train.bossnas import BossNAS  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.views import random_view  # noqa: E402

SPACE = ResNet9(stem=(2, 4), filters=(2, 4), skips=(0, 1), blocks=2)
RECIPE = Recipe(epochs=4, batch=16, lr=3e-3, keep="last", ema=0.0)


def _fit(images, rule, path=None, recipe=RECIPE):
    net = rule.network(SPACE, images)
    result = fit(net, images, recipe, 0, checkpoint=path, rule=rule)
    return net, result


def _rule(**options) -> BossNAS:
    return BossNAS(blocks=2, samples=16, **options)


def test_labels_are_not_used(images):
    splits = {name: (x, 1 - y) for name, (x, y) in images.splits.items()}
    nets = [_fit(data, _rule())[0] for data in (images, dataclasses.replace(images, splits=splits))]
    assert all(a.equal(b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))


def test_blocks_are_trained_in_turn_behind_the_best_path(images, monkeypatch):
    rule, seen = _rule(), []

    def watched(number, rng, ended=rule.epoch_ended):
        ended(number, rng)
        seen.append(({k: v.clone() for k, v in rule._net.online.state_dict().items()}, rule._net.settled))

    monkeypatch.setattr(rule, "epoch_ended", watched)
    net, _ = _fit(images, rule)
    first, second = "net.block1_conv.weight", "net.block2_conv.weight"
    weights = [states for states, _ in seen]
    assert not weights[0][first].equal(weights[1][first])
    assert weights[0][second].equal(weights[1][second])
    assert weights[1][first].equal(weights[3][first])
    assert not weights[1][second].equal(weights[3][second])
    assert [sorted(settled) for _, settled in seen] == [
        [],
        ["fn0", "fn1", "sk1"],
        ["fn0", "fn1", "sk1"],
        sorted(net.settled),
    ]
    assert all(net.settled[name] == value for name, value in seen[1][1].items())


def test_ratings_are_distances_to_the_mean_of_the_target_over_all_paths(images):
    rule = _rule()
    net, _ = _fit(images, rule)
    ratings = rule.ratings
    views, n = ratings._views, 16
    inside = [{**net.settled, "fn2": fn, "sk2": sk} for fn in (2, 4) for sk in (0, 1)]
    with torch.no_grad():
        behind = [net.entered(views, inside[0], 1, who) for who in (True, False)]
        centre = sum(net(behind[1], genotype, 1, False) for genotype in inside).double().numpy() / 4
        said = [net(behind[0], genotype, 1, True).double().numpy() for genotype in inside]
    expected = []
    for p in said:
        a, b = p / np.linalg.norm(p, axis=1)[:, None], centre / np.linalg.norm(centre, axis=1)[:, None]
        expected.append(np.concatenate([((a[:n] - b[n:]) ** 2).sum(1), ((a[n:] - b[:n]) ** 2).sum(1)]).mean())
    assert [ratings.distances(genotype)[1] for genotype in inside] == pytest.approx(expected, abs=1e-5)
    best = inside[int(np.argmin(expected))]
    assert (net.settled["fn2"], net.settled["sk2"]) == (best["fn2"], best["sk2"])
    other = {"fn0": 2, "fn1": 2, "sk1": 0, "fn2": 4, "sk2": 1}  # the second block is rated behind the best first one
    assert ratings.distances(other)[1] == pytest.approx(expected[3], abs=1e-5)
    assert 0 <= sum(ratings.distances(other)) <= ratings.worst == 8


def test_the_target_follows_with_a_momentum_that_ends_at_one(images, monkeypatch):
    rule, kept = _rule(momentum=0.9), []
    net = rule.network(SPACE, images)
    assert all(a.equal(b) for a, b in zip(net.online.parameters(), net.target.parameters(), strict=True))
    before = [p.clone() for p in net.target.parameters()]
    with torch.no_grad():
        for p in net.online.parameters():
            p.add_(1.0)
    net.follow(0.9)
    for old, new in zip(before, net.target.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)
    monkeypatch.setattr(type(net), "follow", lambda self, momentum: kept.append(momentum))
    _fit(images, rule)
    half = len(kept) // 2
    assert kept[:half] == pytest.approx(kept[half:])
    assert kept[:half] == sorted(kept[:half])
    assert kept[0] == pytest.approx(0.9)
    assert 0.97 < kept[-1] < 1


def test_a_training_that_was_stopped_ends_the_same(images, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
    whole, result = _fit(images, _rule())
    epoch = loop._Training.epoch
    for stop in (1, 3):
        path = tmp_path / f"{stop}.safetensors"
        with monkeypatch.context() as patch:
            patch.setattr(loop._Training, "epoch", lambda t, stop=stop: _stop() if len(t.history) == stop else epoch(t))
            with pytest.raises(KeyboardInterrupt):
                _fit(images, _rule(), path)
        rule = _rule()
        resumed, again = _fit(images, rule, path)
        assert again.history == result.history
        assert resumed.settled == whole.settled
        assert all(a.equal(b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    finished = _rule()
    net, _ = _fit(images, finished, path)
    assert finished.ratings.distances(net.settled) == rule.ratings.distances(net.settled)


def _stop():
    raise KeyboardInterrupt


def test_what_cannot_be_trained_so_is_refused(images):
    with pytest.raises(UserError, match=r"1 epochs are too few for 2 blocks.*at least 2"):
        _fit(images, _rule(), recipe=Recipe(epochs=1, keep="last"))
    with pytest.raises(UserError, match="siamese"):
        fit(SuperNet(SPACE, images.input_shape, 2, 0), images, RECIPE, 0, rule=_rule())
    with pytest.raises(UserError, match="tokens there are no views"):
        _rule().network(SPACE, dataclasses.replace(images, axes="NT"))


def test_views_are_moved_by_at_most_an_eighth_and_mirrored_only_if_wanted():
    x = torch.zeros(200, 1, 16)
    x[:, 0, 5:8] = torch.tensor([1.0, 2.0, 3.0])
    seen = {tuple(row.tolist()) for row in random_view(x, torch.Generator().manual_seed(0), False)[:, 0]}
    moved = {tuple(np.roll(x[0, 0].numpy(), shift).tolist()) for shift in range(-2, 3)}
    assert seen == moved
    mirrored = {tuple(row.tolist()) for row in random_view(x, torch.Generator().manual_seed(0), True)[:, 0]}
    assert mirrored == moved | {row[::-1] for row in moved}
    image = torch.arange(64.0).view(1, 1, 8, 8).repeat(50, 1, 1, 1) + 1
    views = random_view(image, torch.Generator().manual_seed(0), False)
    assert {int((view == 0).sum()) for view in views} == {0, 8, 15}  # one row or column of zeros comes in, or both
