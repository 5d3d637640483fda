"""U-Net: sizes by hand, canonical genotypes, images of any size."""

from __future__ import annotations

import pytest

from archip.core.errors import CandidateError
from archip.ir.workload import workload
from archip.spaces.unet import UNet

TALL = {"height": 5, "f1": 4, "f2": 8, "f3": 16, "f4": 32, "f5": 64}


def test_sizes_by_hand():
    """Height 2 with 4 and 8 filters on 3 x 16 x 16: level 1 and the way up at 16^2, level 2 at 8^2."""
    graph = UNet().graph({"height": 2, "f1": 4, "f2": 8}, (3, 16, 16), 1)
    work = workload(graph)
    convs = [(3 * 4 + 4 * 4, 256), (4 * 8 + 8 * 8, 64), ((4 + 8) * 4 + 4 * 4, 256)]
    assert work.macs == 9 * sum(w * pixels for w, pixels in convs) + 4 * 256
    assert work.params == 9 * sum(w for w, _ in convs) + 2 * (4 + 4 + 8 + 8 + 4 + 4) + 4 + 1
    assert graph.shapes["logits"] == (1, 1, 16, 16)


def test_levels_below_the_height_do_not_matter():
    assert UNet().canonical({**TALL, "height": 2}) == {"height": 2, "f1": 4, "f2": 8}


def test_has_the_choices_of_the_paper():
    """4/8/16 filters at the top, doubling to 64/128/256 at the bottom; 3 + 3^2 + … + 3^5 networks."""
    knobs = UNet().knobs
    assert list(knobs["f1"].values) == [4, 8, 16]
    assert list(knobs["f5"].values) == [64, 128, 256]
    assert sum(1 for _ in UNet().enumerate()) == 3 + 9 + 27 + 81 + 243


@pytest.mark.parametrize("sides", [(16, 16), (17, 31), (50, 64), (64, 50)])
def test_output_has_the_size_of_the_input(sides):
    graph = UNet().graph(TALL, (3, *sides), 1)
    assert graph.shapes[graph.outputs[0]] == (1, 1, *sides)
    assert all(side % 16 == 0 for side in graph.shapes["down1.1.conv"][2:])


def test_no_padding_where_none_is_needed():
    assert not {n.op for n in UNet().graph(TALL, (3, 48, 32), 1).nodes} & {"pad", "slice"}


def test_padding_at_the_edge_does_not_reach_pixels_far_away():
    """What is seen of a padded image is what is seen of the same image with zeros beside it."""
    torch = pytest.importorskip("torch")
    genes = {"height": 3, "f1": 4, "f2": 8, "f3": 16}
    padded = UNet().build(genes, (3, 18, 20), 1, seed=0).eval()
    whole = UNet().build(genes, (3, 20, 20), 1, seed=0).eval()
    x = torch.randn(2, 3, 18, 20)
    torch.testing.assert_close(padded(x), whole(torch.nn.functional.pad(x, (0, 0, 0, 2)))[:, :, :18])


def test_an_image_too_small_for_the_height_is_a_reason():
    with pytest.raises(CandidateError, match="cannot be halved 4 times"):
        UNet().graph(TALL, (3, 15, 64), 1)


def test_more_kernels_are_genes_and_the_plain_space_stays():
    space = UNet(kernels=(3, 5), max_height=2)
    genotype = space.canonical({"height": 2, "f1": 4, "f2": 8, "k1": 5, "k2": 3})
    graph = space.graph(genotype, (3, 16, 16), 1)
    kernels = {n.name: n.attrs["kernel"][0] for n in graph.nodes if n.op == "conv" and n.name != "logits"}
    assert {name for name, kernel in kernels.items() if kernel == 3} == {"down2.1.conv", "down2.2.conv"}
    assert graph.shapes["logits"] == (1, 1, 16, 16)
    plain = UNet(max_height=2)
    assert list(plain.knobs) == ["height", "f1", "f2"]
    same = plain.graph({"height": 2, "f1": 4, "f2": 8}, (3, 16, 16), 1)
    assert space.graph({**genotype, "k1": 3}, (3, 16, 16), 1).id == same.id
