"""Weight sets: which set a network belongs to, that sets are apart, and that the table is stored with the weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from archip.core.errors import UserError  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.nets.weight_sets import MixedSets, SplitSets  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402

SPACE = ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1), blocks=1)
NETS = {"fn0": 4, "fn1": 8, "sk1": 1}


def nets(n):
    return [SuperNet(SPACE, (1, 8, 8), 3, seed) for seed in range(n)]


def test_a_network_of_a_mixture_belongs_to_the_set_where_it_scores_best():
    sets = MixedSets(nets(3))
    place = sets.networks.index(NETS)
    sets.scores[place, 2] = 1.5
    other = MixedSets(nets(3))
    other.load_state_dict(sets.state_dict())
    x = torch.randn(2, 1, 8, 8)
    assert other.owner(NETS) == 2
    assert other(x, NETS).equal(other.nets[2](x, NETS))
    assert other(x, NETS, 0).equal(other.nets[0](x, NETS))
    assert [other.owner(g) for g in other.networks].count(2) == 1


def test_a_mixture_of_a_large_space_is_refused():
    space = ResNet9()
    with pytest.raises(UserError, match="at most 512"):
        MixedSets([SuperNet(space, (1, 8, 8), 3, 0)])


def test_a_split_gives_values_to_a_new_set_that_begins_with_the_same_weights():
    sets = SplitSets(nets(4))
    assert sets.used == [0]
    sets.split(0, "fn1", [8], 1)
    sets.split(1, "sk1", [0], 2)
    assert [sets.values(i)["fn1"] for i in sets.used] == [[4], [8], [8]]
    assert [sets.values(i)["sk1"] for i in sets.used] == [[0, 1], [1], [0]]
    owners = {tuple(g.values()): sets.owner(g) for g in SPACE.enumerate()}
    assert all(owner == (0 if fn1 == 4 else 1 if sk1 else 2) for (_, fn1, sk1), owner in owners.items())
    for a, b, c in zip(*(sets.nets[i].parameters() for i in range(3)), strict=True):
        assert a.equal(b)
        assert a.equal(c)
    other = SplitSets(nets(4))
    other.load_state_dict(sets.state_dict())
    assert other.used == [0, 1, 2]
