"""HyTra: the published network's size, the attention layer by hand, scales and their genes."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import CandidateError, UserError
from archip.ir.workload import workload
from archip.spaces.hytra import Hytra

IMAGENET = Hytra(stem="imagenet", width=64, layers=16, scales=4, attention_from=2, head_features=64)
BOSSNET_T0 = [[1], [1], [1, 1, 1, 0, 1], [0, 0, 0, 1, 0, 0, 0, 0, 0]]  # by scale; 1: convolution, 0: attention


def found() -> dict[str, object]:
    genes, i = {}, 0
    for scale, layers in enumerate(BOSSNET_T0):
        for place, is_conv in enumerate(layers):
            i += 1
            genes |= {f"down{i}": int(place == 0 and scale > 0), f"op{i}": "conv" if is_conv else "attention"}
    return IMAGENET.canonical(genes)


def test_the_published_network_has_its_published_size():
    """BossNet-T0 without SE: 3.4 G multiply-adds (table 3 of the paper)."""
    assert workload(IMAGENET.graph(found(), (3, 224, 224), 1000)).macs == pytest.approx(3.4e9, rel=0.03)


def test_genes_say_scales_and_only_what_can_be_chosen():
    genes = found()
    assert not {"op1", "op2"} & set(genes)  # no attention on maps of 56 x 56 and 28 x 28
    assert "down9" not in genes  # the last scale is reached with layer 8
    assert len(genes) == 8 + 14
    shapes = IMAGENET.graph(genes, (3, 224, 224), 10).shapes
    assert [shapes[f"layer{i}.scale{s}.conv.relu"] for i, s in ((1, 0), (2, 1), (7, 2))] == [
        (1, 256, 56, 56),
        (1, 512, 28, 28),
        (1, 1024, 14, 14),
    ]
    assert shapes["layer16.scale3.attention.relu"] == (1, 2048, 7, 7)


def test_an_attention_layer_by_hand():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    space = Hytra(layers=1, scales=2)
    m = space.build({"down1": 1, "op1": "attention"}, (3, 6, 4), 3, seed=0).eval()
    values = m.values(torch.randn(2, 3, 6, 4))
    at, name = "layer1_scale1_attention", "layer1.scale1.attention"
    x = values["stem.relu"]
    h = F.conv2d(F.conv2d(x, getattr(m, f"{at}_in").weight), getattr(m, f"{at}_places").weight,
                 getattr(m, f"{at}_places").bias, stride=2, padding=1, groups=16)  # fmt: skip
    h = F.relu(getattr(m, f"{at}_first_norm")(h))
    q, k, v = (
        F.conv2d(h, getattr(m, f"{at}_{p}").weight).reshape(2, 2, 8, 6).transpose(2, 3) for p in "qkv"
    )  # two heads of 8 channels, 3 x 2 places
    y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(2, 16, 3, 2)
    torch.testing.assert_close(values[f"{name}.map"], y)
    y = getattr(m, f"{at}_last")(F.conv2d(F.relu(getattr(m, f"{at}_mid_norm")(y)), getattr(m, f"{at}_out").weight))
    skip = getattr(m, f"{at}_skip8_norm")(F.conv2d(F.avg_pool2d(x, 2), getattr(m, f"{at}_skip8_conv").weight))
    torch.testing.assert_close(values[f"{name}.relu"], F.relu(y + skip))


def test_the_corners_hold_every_layer_of_every_network():
    """So that a supernet has room for all of them, also where the scale is reached late."""
    space = Hytra(layers=6, scales=4, attention_from=2)
    graphs = [space.graph(space.canonical(genes), (1, 16, 16), 3) for genes in space.corners()]
    room = {node.name: graph.shapes[node.name] for graph in graphs for node in graph.nodes}
    rng = np.random.default_rng(0)
    for _ in range(200):
        graph = space.graph(space.sample(rng), (1, 16, 16), 3)
        for node in graph.nodes:
            if node.op not in ("linear", "global_avg_pool", "constant"):
                assert room[node.name][1] == graph.shapes[node.name][1]


def test_a_map_of_one_place_is_not_halved():
    with pytest.raises(CandidateError, match="layer 1: a map of 1 x 1"):
        Hytra().graph({"down1": 1}, (3, 1, 1), 2)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"attention_from": 3}, "attention_from"), ({"head_features": 5}, "head_features"), ({"scales": 0}, "scales")],
)
def test_options_that_make_no_space_are_refused(options, match):
    with pytest.raises(UserError, match=match):
        registry.create("spaces", "hytra", options)
